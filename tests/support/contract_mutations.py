"""Documents that are nearly contracts: real ones after a few mutations, and files that are none."""

import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

from contract_grammar import SIMPLE, promises, written
from hypothesis import strategies as st

Lines = list[str]
Mutation = Callable[[Any, Lines], None]  # draws what it needs, and changes the lines in place

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    path.read_text(encoding="utf-8").splitlines()
    for path in (*sorted(ROOT.glob("contracts/*.md")), *sorted(ROOT.glob("tests/contracts/*.md")))
]

INVISIBLE = (
    "\u200b\u200c\u200d\u200e\u200f\u202a\u202c\u202d\u202e\u2066\u2069\u2060\u00ad\ufeff\U000e0041"
)
MARKS = "\u0301\u0335\u20e3\ufe0f"
DIGITS = "０５²½٣५Ⅳ𝟙"
SIGNS = "⩽≠≈±％‰×＜＝"
LOOK_ALIKES = str.maketrans("aceiopxyTKd015-≥≤%:_", "асеіорхуТКⅾ０１５‐⩾⩽％：＿")
BREAKS = "\r\f\v\x1c\x85\u2028\u2029\t\u00a0\u3000"
ODD = f"{INVISIBLE}{MARKS}{DIGITS}{SIGNS}{BREAKS}\0\x07\x1b\x7f\uffff\ue000אֲ👩💻🇳🇴é"
MARKDOWN = "*_`~#>|[](){}<>!\\&;:-+=0123456789. \"'"
NUMBERS = (
    "0", "-1", "1e6", "1,5", "1.5", "1,000", "1,00", "1.2.3", ".5", "5.", "007", "0x1F", "1_000",
    "∞", "NaN", "-0", "+3", "−2", "½", "10⁶", "99999999999999999999", "0.0000000001",
    "999,999,999,999,999", "100000000000",
)  # fmt: skip
UNITS = (
    "ms", " s", " min", "h", " hours", "d", "-day", " days", " weeks", " month", "y", "%",
    " percent", "th percentile", "‰", " parsecs", "㎳", " μs",
)  # fmt: skip
SAID = (
    "≥", "≤", ">", "<", "=", ">=", "=>", "==", "≠", "~", "not", "never", "no", "at least", "except",
    "unless", "maximum", "up to", "or", "and", "to",
)  # fmt: skip
NAMES = ("x", "a_b", "_", "a__b", "ä_b", "a_1d", "A_90d", "a-b", "a.b", "a" * 300)
SNIPPETS = (
    "**", "`", "``", "<!-- ", "-->", "<b>", "</div>", "[a](b)", "![", "]: ", "&amp;", "\\*", "***",
    "<https://a.b>", "$$", "{{", "| - |", "(", "((", ")", ":", "::", ":**", "**:", " — ", "–", "…",
)  # fmt: skip
BLOCKS = (
    "```\nexcept 3 days\n```", "~~~", "> - **Freshness:** 3 hours", "> quoted", "<div>\n", "<!--",
    "| a | b |\n| - | - |\n| 1 | 2 |", "===", "---", "***", "# Title", "## 6. Data", "###### x",
    "[a]: https://a.b 'c'", "1. one\n2. two", "- [ ] task", "- - - x", "- ", "-", "    code",
    "+ **Freshness:** Feature age ≤ 2 hours", "term\n: meaning", "<?php", "<![CDATA[", "\tcode",
)  # fmt: skip


def place(draw: Any, lines: Lines) -> int:
    """An index into the lines, of which there is always one."""
    lines[:] = lines or [""]
    return int(draw(st.integers(0, len(lines) - 1)))


def stretch(draw: Any, lines: Lines) -> slice:
    """A line with a few below it, or a whole section."""
    start = place(draw, lines)
    if draw(st.booleans()):
        return slice(start, start + draw(st.integers(1, 4)))
    headings = [i for i, line in enumerate(lines) if line.startswith("#")] or [0]
    return slice(*draw(st.sampled_from([*pairwise([*headings, len(lines)])])))


def delete(draw: Any, lines: Lines) -> None:
    del lines[stretch(draw, lines)]


def duplicate(draw: Any, lines: Lines) -> None:
    copied = lines[stretch(draw, lines)]
    at = place(draw, lines)
    lines[at:at] = copied


def move(draw: Any, lines: Lines) -> None:
    taken = stretch(draw, lines)
    moved = lines[taken]
    del lines[taken]
    at = place(draw, lines)
    lines[at:at] = moved


def swap(draw: Any, lines: Lines) -> None:
    one, other = place(draw, lines), place(draw, lines)
    lines[one], lines[other] = lines[other], lines[one]


def swap_values(draw: Any, lines: Lines) -> None:
    one, other = place(draw, lines), place(draw, lines)
    label, _, value = lines[one].partition(":** ")
    other_label, _, other_value = lines[other].partition(":** ")
    lines[one], lines[other] = f"{label}:** {other_value}", f"{other_label}:** {value}"


def truncate(draw: Any, lines: Lines) -> None:
    at = place(draw, lines)
    lines[at] = lines[at][: draw(st.integers(0, len(lines[at])))]


def join(draw: Any, lines: Lines) -> None:
    at = place(draw, lines)
    lines[at : at + 2] = [draw(st.sampled_from(["", " ", "; "])).join(lines[at : at + 2])]


def wrap(draw: Any, lines: Lines) -> None:
    """Break a line where it has a space: a wrapped sentence is still one value."""
    at = place(draw, lines)
    head, _, tail = lines[at].rpartition(" ")
    lines[at : at + 1] = [head, draw(st.sampled_from(["", "  ", "    ", "\t"])) + tail]


def indent(draw: Any, lines: Lines) -> None:
    where = stretch(draw, lines)
    by = draw(st.sampled_from([" ", "  ", "    ", "\t", "> ", "- ", "1. "]))
    lines[where] = [by + line for line in lines[where]]


def type_in(draw: Any, lines: Lines) -> None:
    at = place(draw, lines)
    typed = draw(st.text(st.sampled_from(ODD) | st.sampled_from(MARKDOWN), min_size=1, max_size=4))
    column = draw(st.integers(0, len(lines[at])))
    lines[at] = lines[at][:column] + typed + lines[at][column + draw(st.integers(0, 1)) :]


def disguise(draw: Any, lines: Lines) -> None:
    at = place(draw, lines)
    column = draw(st.integers(0, len(lines[at])))
    lines[at] = lines[at][:column] + lines[at][column:].translate(LOOK_ALIKES)


def renumber(draw: Any, lines: Lines) -> None:
    _replace(draw, lines, r"[0-9][0-9,.]*", NUMBERS)


def change_unit(draw: Any, lines: Lines) -> None:
    _replace(draw, lines, r"(?<=[0-9])[ -]?[a-z%]+", UNITS)


def change_comparison(draw: Any, lines: Lines) -> None:
    _replace(draw, lines, r"[≥≤<>=]+|\b(?:at|by|per|is|above|yes|no)\b", SAID)


def change_name(draw: Any, lines: Lines) -> None:
    _replace(
        draw, lines, r"\w+_\w+", ["x", "a_b", "_", "a__b", "ä_b", "a_1d", "A_90d", "a-b", "a.b"]
    )


def put_snippet(draw: Any, lines: Lines) -> None:
    _replace(draw, lines, r" |\*\*|:", SNIPPETS)


def put_block(draw: Any, lines: Lines) -> None:
    at = place(draw, lines)
    margin = draw(st.sampled_from(["", " ", "  ", "    "]))
    block = [margin + line for line in draw(st.sampled_from(BLOCKS)).split("\n")]
    lines[at:at] = [""] * draw(st.integers(0, 1)) + block


def overdo(draw: Any, lines: Lines) -> None:
    """Repeat something until the line is very long, or the nesting very deep."""
    at = place(draw, lines)
    token = draw(st.text(st.sampled_from(MARKDOWN + "ab≥—\u200b"), min_size=1, max_size=6))
    size = draw(st.sampled_from([100, 1_000, 1_001, 10_000, 100_000]))
    lines[at] += draw(st.sampled_from(["", " "])) + token * (size // len(token))


def nest(draw: Any, lines: Lines) -> None:
    at = place(draw, lines)
    deep = draw(st.integers(1, 40))
    lines[at:at] = ["  " * level + "- a: 1" for level in range(deep)]


def revalue(draw: Any, lines: Lines) -> None:
    """Give a clause what the grammar of contracts says there, or in another clause."""
    _replace(draw, lines, r"(?<=:\*\* ).*|(?<=: ).*", [draw(PLAUSIBLE)])


def relabel(draw: Any, lines: Lines) -> None:
    said = [" ", "", "/", " (team)", "s", " (", ")", "-", ": ", "The "]
    _replace(draw, lines, r"(?<=\w)(?:\*\*|:| )(?=\W|\w)", said)


def reword(draw: Any, lines: Lines) -> None:
    """Change words that are nobody's promise, which often leaves a document valid."""
    headings = [i for i, line in enumerate(lines) if line.startswith("##")] or [0]
    at = draw(st.sampled_from(headings)) + 1
    lines[at:at] = ["", draw(PARAGRAPHS), ""]


def _replace(draw: Any, lines: Lines, pattern: str, others: Any) -> None:
    """Put something else in one place where the pattern stands."""
    at = place(draw, lines)
    for line in (*range(at, len(lines)), *range(at)):
        if found := list(re.finditer(pattern, lines[line])):
            match = draw(st.sampled_from(found))
            before, after = lines[line][: match.start()], lines[line][match.end() :]
            lines[line] = before + draw(st.sampled_from(others)) + after
            return


MUTATIONS: tuple[Mutation, ...] = (
    delete, duplicate, move, swap, swap_values, truncate, join, wrap, indent, type_in, disguise,
    renumber, change_unit, change_comparison, change_name, put_snippet, put_block, overdo, nest,
    revalue, relabel, reword,
)  # fmt: skip

PARAGRAPHS = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=60).map(
    lambda words: f"Note {words}".rstrip()
)
"""One line of prose: whatever stands in it, its first word makes it a paragraph."""

JUNK = st.binary(max_size=400) | st.text(st.characters(), max_size=400).map(
    lambda text: text.encode("utf-8", "surrogatepass")
)
PLAUSIBLE = st.one_of(*SIMPLE.values()).map(lambda drawn: str(drawn[0]))


@st.composite
def mutated(draw: Any) -> str:
    """A contract after one to eight mutations."""
    known = st.sampled_from(DOCUMENTS).map(list)
    lines = draw(known | promises().map(lambda drawn: written(drawn).split("\n")))
    for mutation in draw(st.lists(st.sampled_from(MUTATIONS), min_size=1, max_size=8)):
        mutation(draw, lines)
    return "\n".join(lines)


@st.composite
def files(draw: Any) -> bytes:
    """What may lie at the path of a contract: nine in ten a mutated contract, encoded somehow."""
    kind = draw(st.integers(0, 19))
    if kind == 0:
        return draw(JUNK)
    text = draw(mutated())
    if kind == 1:
        whole = text.encode()
        at = draw(st.integers(0, len(whole)))
        return whole[:at] + draw(st.binary(max_size=3) | st.just(b"\xed\xa0\x80")) + whole[at:]
    if kind == 2:
        return text.encode(draw(st.sampled_from(["utf-8-sig", "utf-16", "utf-7"])))
    ending = draw(st.sampled_from(["\n", "\n", "\n", "\r\n", "\r"]))
    return text.replace("\n", ending).encode()
