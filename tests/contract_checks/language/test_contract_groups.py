"""Headings people make for themselves among clauses, and items no further in than their list."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from contract_answers import OURS, answer

from contract_checks.changes.diff import diff, read_edition

TEXT = "\n".join(OURS)


def _of_section(number: str, change: Callable[[str], str]) -> str:
    """Our document with the lists of a section changed."""
    found = re.search(rf"#+ {re.escape(number)}[. ].*?(?=\n---|\n#|$)", TEXT, re.DOTALL)
    assert found
    section = re.sub(r"(?:(?:- |  ).*\n?)+", lambda clauses: change(clauses[0]), found[0])
    return TEXT[: found.start()] + section + TEXT[found.end() :]


def _grouped(clauses: str) -> str:
    first, *rest = re.split(r"(?m)^(?=- )", clauses)[1:]
    further_in = re.sub(r"(?m)^(?=.)", "  ", "".join(rest))
    return f"{first}- Whatever people call it\n{further_in}"


@pytest.mark.parametrize(
    "number", ["1", "2", "3", "4", "5.1", "5.2", "6", "8", "9", "10", "11", "12"]
)
def test_clauses_below_a_heading_in_a_list_are_clauses(number: str, tmp_path: Path) -> None:
    bare, grouped = tmp_path / "bare.md", tmp_path / "grouped.md"
    text = _of_section(number, _grouped)
    assert text != TEXT
    before, after = answer(bare, TEXT), answer(grouped, text)
    assert after.problems == []
    assert after.terms == before.terms
    assert diff(read_edition(bare), read_edition(grouped)).changes == ()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("- **Join type:** left", "- Join behaviour\n  - Join type: left\n  - on weekdays"),
        ("- **Join type:** left", "- Join behaviour\n  - Join type: left\n  - Mood: good"),
        ("- **Join type:** left", "- Join behaviour: usually\n  - Join type: left"),
        ("- **Join type:** left", "- Join behaviour\n  - Join type:"),
        (
            "- **Alert routing:** #ml-alerts Slack channel",
            "- Alert routing\n  - Fail: a\n  - Warn: b",
        ),
        ("- **Join type:** left", "- A\n  - Join type: left\n- B\n  - Join type: inner"),
    ],
)
def test_a_heading_hides_nothing(old: str, new: str, tmp_path: Path) -> None:
    assert old in TEXT
    assert answer(tmp_path / "a.md", TEXT.replace(old, new)).problems


def _not_further_in(clauses: str) -> str:
    return re.sub(r"(?m)^\s+-", "-", clauses)


@pytest.mark.parametrize("number", ["5.2", "10"])
def test_a_lists_items_may_stand_on_the_lines_after_it(number: str, tmp_path: Path) -> None:
    bare, level = tmp_path / "bare.md", tmp_path / "level.md"
    text = _of_section(number, _not_further_in)
    assert text != TEXT
    before, after = answer(bare, TEXT), answer(level, text)
    assert after.problems == []
    assert after.terms == before.terms
    assert diff(read_edition(bare), read_edition(level)).changes == ()


def test_an_item_after_another_clause_is_no_item_of_the_list(tmp_path: Path) -> None:
    text = TEXT.replace(
        "- **Allowed range / values:**", "- a_30d: 0–1\n- **Allowed range / values:**"
    )
    assert any("a_30d" in p.message for p in answer(tmp_path / "a.md", text).problems)


def test_a_set_may_be_a_list_below_its_feature(tmp_path: Path) -> None:
    below = "- **Allowed range / values:**\n  - plan: one of\n    - free\n    - pro\n"
    text = TEXT.replace("- **Allowed range / values:**\n", below)
    terms = answer(tmp_path / "a.md", text).terms
    assert terms
    assert terms["definition"]["allowed"]["plan"] == {"values": ["free", "pro"]}
