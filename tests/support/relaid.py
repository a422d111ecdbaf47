"""Contracts laid out otherwise: the same sections and clauses as tables, lines, lists, headings."""

import random
from collections.abc import Callable, Sequence
from pathlib import Path

from contract_checks.language import people, values
from contract_checks.language.document import Bullet, parse
from contract_checks.language.naming import clause_of

ROOT = Path(__file__).parents[2]
Layout = Callable[[str, Sequence[Bullet]], list[str]]
LISTED = (people.names, values.identifiers, values.tables, values.jobs)


def bullets(marker: str, *, bold: bool = True, nested: bool = False) -> Layout:
    """A list; with `nested`, names stand one an item."""

    def lay(section: str, clauses: Sequence[Bullet], indent: str = "") -> list[str]:
        lines = []
        for place, clause in enumerate(clauses, start=1):
            mark = f"{place}." if marker == "1." else marker
            label = f"**{clause.label}:**" if bold else f"{clause.label}:"
            listed = _listed(section, clause) if nested and not indent else []
            lines.append(f"{indent}{mark} {label} {'' if listed else clause.value}".rstrip())
            below = indent + " " * (len(mark) + 1)
            lines += [f"{below}- {item}" for item in listed]
            lines += lay(section, clause.items, below)
        return lines

    return lay


def table(header: str = "| Field | Value |") -> Layout:
    """A table of two columns, a list's items in one cell."""

    def lay(section: str, clauses: Sequence[Bullet]) -> list[str]:
        rows = [f"| {c.label} | {'<br>'.join(_items(c)) or c.value} |" for c in clauses]
        return [header, "| :--- | --- |", *rows]

    return lay


def headerless(section: str, clauses: Sequence[Bullet]) -> list[str]:
    """A table whose first clause stands where Markdown has the header."""
    first, *others = table()(section, clauses)[2:]
    return [first, "|---|---|", *others]


def lines(*, bold: bool, apart: bool) -> Layout:
    """`Label: value` lines, each a paragraph or all in one as far as lists let them."""

    def lay(section: str, clauses: Sequence[Bullet]) -> list[str]:
        laid = []
        for clause in clauses:
            label = f"**{clause.label}:**" if bold else f"{clause.label}:"
            laid.append(f"{label} {clause.value}".rstrip())
            laid += ["", *(f"- {item}" for item in _items(clause)), ""] if clause.items else []
            laid += [""] if apart else []
        return laid

    return lay


def headings(section: str, clauses: Sequence[Bullet]) -> list[str]:
    """A heading per clause, its value below it."""
    laid = []
    for clause in clauses:
        laid += [f"#### {clause.label}", "", clause.value, ""]
        laid += [f"- {item}" for item in _items(clause)]
        laid += [""]
    return laid


LAYOUTS: dict[str, Layout] = {
    "bullets": bullets("-"),
    "asterisks": bullets("*", bold=False),
    "pluses": bullets("+"),
    "numbers": bullets("1.", bold=False),
    "nested": bullets("-", nested=True),
    "table": table(),
    "table of terms": table("| Contract term | What we promise |"),
    "table without bars": table("Clause | Agreed"),
    "table without words": table("|  |  |"),
    "headerless table": headerless,
    "lines": lines(bold=False, apart=False),
    "bold lines": lines(bold=True, apart=False),
    "paragraphs": lines(bold=False, apart=True),
    "bold paragraphs": lines(bold=True, apart=True),
    "headings": headings,
}
HEADINGS: dict[str, Callable[[str, str], list[str]]] = {
    "as in the form": lambda n, title: [f"{'#' * (2 + ('.' in n))} {n}. {title}"],
    "of the first level": lambda n, title: [f"# {n}. {title}"],
    "unnumbered": lambda n, title: [f"## {title}"],
    "with a sign": lambda n, title: [f"## §{n} {title}"],
    "named a section": lambda n, title: [f"## Section {n}: {title}"],
    "underlined": lambda n, title: [title, "---"],
    "underlined with its number": lambda n, title: [f"{n}. {title}", "---"],
    "bold": lambda n, title: [f"**{n}. {title}**"],
    "bold heading": lambda n, title: [f"## **{n}) {title}**"],
}


def relaid(text: str, layout: Callable[[], str], heading: Callable[[], str]) -> str:
    """A contract with each section in a layout and below a heading that these choose."""
    document = parse(text)
    laid = [f"# {document.title}", ""]
    for section in document.sections:
        laid += [*HEADINGS[heading()](section.number, section.title), ""]
        if section.bullets:
            laid += [*LAYOUTS[layout()](section.number, section.bullets), ""]
    return "\n".join(laid)


def mixed(text: str, seed: int) -> str:
    """A contract in which every section draws its layout and its heading."""
    draws = random.Random(seed)
    headings = sorted(HEADINGS.keys() - {"underlined with its number"})  # joins a numbered list
    return relaid(text, lambda: draws.choice(sorted(LAYOUTS)), lambda: draws.choice(headings))


def _items(clause: Bullet) -> list[str]:
    return [item.written for item in clause.items]


def _listed(section: str, clause: Bullet) -> list[str]:
    named = clause_of(section, clause.label)
    if named is None or named.reader not in LISTED or clause.value in ("none", ""):
        return []
    return clause.value.rstrip(".").split(", ")
