"""Nothing in a clause goes unread: what a reader cannot place makes the clause a problem."""

import re
from pathlib import Path

import pytest
from contract_answers import CLAUSE, OURS, TYPED, answer, line_of, reworded

from contract_checks.language.form import Clause


@pytest.mark.parametrize(
    "below",
    [
        "  - except 3 days",
        "    - except\n      - 3 days",
        "  1. except 3 days",
        "  > except 3 days",
        "\n  ```\n  except 3 days\n  ```",
        "\n      except 3 days",
        "  <div>except 3 days</div>",
        "  ## except 3 days",
        "\n  [except]: 3-days",
        "\n  | except |\n  | - |\n  | 3 |",
    ],
)
def test_nothing_below_a_clause_goes_unread(below: str, tmp_path: Path) -> None:
    said = answer(tmp_path / "contract.md", "\n".join(added_below(TYPED, below)))
    complained = {problem.clause for problem in said.problems}
    where_words_are_free = {"§9 masking"}  # whatever follows 'in' says where
    assert {clause.id for clause in TYPED} - complained <= where_words_are_free


@pytest.mark.parametrize("below", ["    - not 7", "    1. not 7", "    > not 7", "\n    [a]: 7"])
def test_nothing_below_a_range_goes_unread(below: str, tmp_path: Path) -> None:
    at = next(index for index, line in enumerate(OURS) if "orders_30d: 0–1,000" in line) + 1
    said = answer(tmp_path / "contract.md", "\n".join([*OURS[:at], *below.split("\n"), *OURS[at:]]))
    assert [problem.clause for problem in said.problems] == ["§5.2 allowed range"]


def added_below(clauses: list[Clause], below: str) -> list[str]:
    """Our document with something below each of these clauses, indented as far as they are."""
    lines = list(OURS)
    for clause in clauses:
        at = line_of(clause)
        lines[at] += "\n" + re.sub("(?m)^(?=.)", "  " if clause.parent else "", below)
    return lines


@pytest.mark.parametrize(
    ("clause", "value"),
    [
        ("§3 lookback window", "1,5 or 30 days"),
        ("§5.1 aggregation", "Rolling 30-day window é3é"),
        ("§6 cardinality checks", "match rate ≥ 98%, fanout ratio ≤ 1 .01"),
        ("§6 cardinality checks", "match rate ≥ 98%, fanout ratio ≤ 1\u200b.01"),
        ("§6 freshness", "Feature age ≤ 2 hours, 1,5 days at weekends"),
        ("§6 freshness", "Feature age ≤ 2 hours, 99999999999999999999 in all"),
        ("§6 freshness", "Feature age ≤ 2 hours, see 1.2.3"),
        ("§6 freshness", "Feature age ≤ 2 hours (business days)"),
        ("§6 freshness", "Feature age ≤ 2 working hours"),
        ("§6 freshness", "Feature age ≤ 2 hours on weekdays"),
        ("§3 allowed lateness", "24h, weekends apart"),
        ("§6 freshness", "Feature age ≤ 2 hours ≠ 2 days"),
        ("§6 outliers", "Values above 99.9th percentile are nоt flagged"),
        ("§6 uniqueness", "One record per customer_id and région_code"),
        ("§6 validity", "All numeric fields must be ≥ 0½"),
        ("§6 validity", "All numeric fields must be ≥ 0e6"),
        ("§6 validity", "All numeric fields must be ≥ 0x10"),
        ("§7 warn", "PSI ≥ 0.1５"),
        ("§7 warn", "PSI ≥ 0.1²"),
        ("§7 warn", "PSI ≥ 0.1 ‰"),
        ("§2 fanout", "keep the most recent by event_timestampé"),
        ("§1 owner", "Ana\u202eytlucaF"),
        ("§1 business purpose", "Clears \x1b[2J the screen"),
        ("§4 lineage link", "https://catalog.example.com/\u202egro.live"),
    ],
)
def test_a_half_read_value_is_a_problem(clause: str, value: str, tmp_path: Path) -> None:
    said = answer(tmp_path / "contract.md", reworded(CLAUSE[clause], lambda _: value))
    assert clause in [problem.clause for problem in said.problems]


@pytest.mark.parametrize(
    ("wrong", "right"), [("orders_30d: lots", "orders_30d: 0–9"), ("v1: x", "v1 — 2026-01-01: x")]
)
def test_an_unreadable_item_may_be_followed_by_another_of_its_name(
    wrong: str, right: str, tmp_path: Path
) -> None:
    section = "5.2 Schema" if "orders" in wrong else "10. Versioning & Change Control"
    label = "Allowed range / values" if "orders" in wrong else "Changelog"
    text = f"# x\n\n## {section}\n- **{label}:**\n  - {wrong}\n  - {right}\n"
    lines = [p.line for p in answer(tmp_path / "contract.md", text).problems]
    assert {5, 6} <= set(lines)


def test_a_message_shows_what_cannot_be_seen(tmp_path: Path) -> None:
    said = answer(
        tmp_path / "contract.md", reworded(CLAUSE["§1 version"], lambda value: f"{value}\u200b")
    )
    assert said.problems[0].message.endswith(r"got 'v1\u200b'")


def test_a_document_longer_than_a_contract_is_not_read(tmp_path: Path) -> None:
    said = answer(tmp_path / "contract.md", "\n".join(OURS) + "\n\n" + "é" * 100_000)
    assert [problem.clause for problem in said.problems] == ["document"]
    assert "longer than 200,000 bytes" in said.problems[0].message
