"""docs/scaling.md: what it reckons is what its formulas give, from figures that were measured."""

import ast
import operator
import re
from collections.abc import Callable

from feast_copy import ROOT

PAGE = (ROOT / "docs" / "scaling.md").read_text("utf-8")
RESULTS = (ROOT / "benchmarks" / "RESULTS.md").read_text("utf-8")
OPERATORS: dict[type, Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
UNITS = {"M": 1e6, "B": 1e9, "GB": 1e9, "TB": 1e12, "MB": 1e6, "min": 60, "h": 3_600}


def value(node: ast.expr) -> float:
    if isinstance(node, ast.BinOp):
        return OPERATORS[type(node.op)](value(node.left), value(node.right))
    assert isinstance(node, ast.Constant)
    return float(node.value)


def stated(text: str) -> float:
    """A number of the page, with its unit: `23 GB` is 23e9, `6.7 h` is in seconds."""
    number, _, unit = text.replace(",", "").partition(" ")
    return float(number) * UNITS.get(unit.split(" ")[0], 1)


def rows(heading: str) -> list[list[str]]:
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in cells if re.search(r"\d", row[-1])]


def test_what_is_reckoned_is_what_its_formula_gives() -> None:
    reckoned = rows("Reckoned")
    assert len(reckoned) > 15
    for what, formula, told in reckoned:
        given = value(ast.parse(formula.strip("`"), mode="eval").body)
        assert abs(stated(told) / given - 1) < 0.03, (what, given)


def test_what_is_measured_stands_in_the_results() -> None:
    _, *measured = rows("Measured")  # the first row names the sizes
    assert len(measured) > 8
    section = RESULTS.split("## Every step, for scaling")[1].split("\n## ")[0]
    for what, *figures in measured:
        for figure in figures:
            assert re.search(rf"(?<![\d,.]){re.escape(figure)}(?![\d,])", section), (what, figure)
