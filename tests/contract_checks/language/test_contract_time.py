"""A document is read in time proportional to its length, and to the same answer every time."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import process_time

import pytest
from contract_answers import CLAUSE, rarely, reworded
from contract_mutations import BLOCKS, MARKDOWN, ROOT
from hypothesis import given
from hypothesis import strategies as st

from contract_checks.language.document import parse
from contract_checks.language.form import CLAUSES, Clause
from contract_checks.language.loader import lint
from contract_checks.language.naming import clause_of
from contract_checks.language.sentence import tidy


def work(path: Path, text: str) -> float:
    """How much the loader has to do, in processor time: a regex has no steps to count."""
    path.write_text(text, encoding="utf-8")
    for kept in (parse, tidy, clause_of):
        kept.cache_clear()  # or it would only look up what an earlier try read
    started = process_time()
    lint(path)
    return process_time() - started


def in_proportion(path: Path, text: Callable[[int], str], size: int = 10_000) -> None:
    """Four times the text is about four times the work, not sixteen times, on any machine.

    One is set against the other, right after it, and neither against a bound: what else runs on
    the machine slows both. It may change in between, so one pair of a few is enough.
    """
    ratios = []
    while not ratios or min(ratios) >= 9:
        assert len(ratios) < 8, ratios
        small, large = work(path, text(size)), work(path, text(4 * size))
        ratios.append(large / max(small, 0.03))


def counted(form: str, size: int) -> str:
    """The form with one number after another in it, up to about a size."""
    return ", ".join(form.format(n) for n in range(size // (len(form) + 4)))


@pytest.mark.parametrize(
    ("clause", "form"),
    [
        ("§1 model", "a{}"),
        ("§2 join keys", "a{}"),
        ("§4 source system", "a.b{}"),
        ("§4 upstream dependencies", "a{}"),
        ("§5.2 data type", "struct(a{}"),
        ("§6 consistency", "a{0} < b{0}"),
        ("§9 pii", "yes (a{}"),
        ("§12 platform approval", "(a – 2026-{}"),
        ("§12 platform approval", "a (2026-{}"),
    ],
)
def test_a_long_list_is_read_in_proportion(clause: str, form: str, tmp_path: Path) -> None:
    opening, bracket, item = form.rpartition("(")
    closing = ")" if bracket else ""

    def text(size: int) -> str:
        listed = f"{opening}{bracket}{counted(item, size)}{closing}"
        return reworded(CLAUSE[clause], lambda _: listed)

    in_proportion(tmp_path / "contract.md", text)


def test_many_ranges_beside_many_fields_are_read_in_proportion(tmp_path: Path) -> None:
    def text(size: int) -> str:
        fields = reworded(
            CLAUSE["§5.2 data type"], lambda _: f"struct({counted('b{}', size // 2)})"
        )
        ranges = "".join(f"\n  - a{n}: 0–1" for n in range(size // 30))
        return fields.replace("  - orders_30d: 0–1,000", f"  - orders_30d: 0–1,000{ranges}")

    in_proportion(tmp_path / "contract.md", text)


@pytest.mark.parametrize("line", [*BLOCKS, "- a", "- **a:** b", "## 1. Overview", "[", "![[a]("])
def test_many_blocks_are_read_in_proportion(line: str, tmp_path: Path) -> None:
    def text(size: int) -> str:
        return "# x\n\n## 1. Overview\n" + f"{line}\n" * (size // (len(line) + 1))

    in_proportion(tmp_path / "contract.md", text, size=5_000)


@rarely
@given(
    clause=st.sampled_from(CLAUSES),
    token=st.text(st.sampled_from(MARKDOWN + "abv≥–—_"), min_size=1, max_size=8),
    value_first=st.booleans(),
)
def test_anything_repeated_is_read_in_proportion(
    clause: Clause, token: str, value_first: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    def text(size: int) -> str:
        long = token * (size // len(token))
        return reworded(
            clause, lambda value: f"{value} {long}" if value_first else f"{long} {value}"
        )

    in_proportion(tmp_path_factory.getbasetemp() / "long.md", text)


def test_the_answer_does_not_depend_on_the_order_of_sets() -> None:
    code = (
        "import sys; from contract_checks.language.loader import lint;"
        "[print(problem) for path in sys.argv[1:] for problem in lint(path)]"
    )
    invalid = sorted(map(str, (ROOT / "tests" / "contracts" / "invalid").glob("*.md")))
    said = {
        subprocess.run(
            [sys.executable, "-c", code, *invalid],
            cwd=ROOT,
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(said) == 1
    assert len(said.pop().splitlines()) > 50
