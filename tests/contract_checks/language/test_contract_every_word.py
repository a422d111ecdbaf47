"""Every word of a value is part of a term, or can change none, or is refused."""

import random
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from contract_answers import CLAUSE, answer, reworded
from feast_copy import ROOT
from tries import WHOLE

from contract_checks.language.form import CLAUSES
from contract_checks.language.loader import load
from contract_checks.language.sentence import Unreadable
from contract_checks.language.terms import AllowedValues, Dedup

UNREAD = [
    ("§6 freshness", "Feature age ≤ 2 hours on weekdays"),
    ("§6 freshness", "Feature age ≤ 2 hours at the median"),
    ("§6 freshness", "Feature age ≤ 2 hours for most customers"),
    ("§6 completeness", "null rate ≤ 1% on average"),
    ("§6 completeness", "null rate ≤ 1% of columns"),
    ("§6 validity", "All numeric fields must be ≥ 0 (warning only)"),
    ("§6 validity", "All numeric fields must be ≥ 0 or null"),
    ("§6 validity", "All counts must be ≥ 0"),
    ("§7 warn", "PSI ≥ 0.1 for two consecutive weeks"),
    ("§7 warn", "PSI ≥ 0.1 on most features"),
    ("§7 baseline window", "same 30 days of last year"),
    ("§7 baseline window", "frozen 30 days before"),
    ("§5.1 aggregation", "Rolling 30-day window ending yesterday"),
    ("§5.1 aggregation", "Rolling window of 30 business days"),
    ("§5.1 aggregation", "Rolling 30-day window with decay"),
    ("§5.1 aggregation", "Rolling 30-day window and lifetime"),
    ("§4 refresh cadence", "hourly during business hours"),
    ("§4 refresh cadence", "every 15 minutes during the day"),
    ("§8 acceptable delta", "≤ 1% absolute difference"),
    ("§8 acceptable delta", "≤ 1% of rows"),
    ("§8 acceptable delta", "≤ 1% of the standard deviation"),
    ("§6 outliers", "Values above 99.9th percentile per country are flagged"),
    ("§11 performance tests", "p95 write latency ≤ 50ms, error rate ≤ 0.1%"),
    ("§5.1 dedup rules", "Latest event by ingestion time per customer_id per day"),
    ("§5.1 dedup rules", "Latest successful event per customer_id per day"),
    ("§9 retention policy", "365 days after account closure"),
    ("§9 retention policy", "kept 365 days or more"),
    ("§5.1 filters", "Drop customers with at least one event in the last 30 days"),
    ("§5.1 filters", "Only new customers with at least one event in the last 30 days"),
    ("§5.1 filters", "At least one paid event in the last 30 days"),
    ("§10 deprecation plan", "v1 is frozen 90 days before v2 release"),
    ("§9 audit requirements", "Annual DPIA"),
    ("§9 audit requirements", "Quarterly access review of admins"),
    ("§12 data owner approval", "Withheld by J. Smith — 2026-01-01"),
    ("§12 data owner approval", "Objection J. Smith — 2026-01-01"),
    ("§12 data owner approval", "Requested from J. Smith — 2026-01-01"),
    ("§9 approved consumers", "ML Platform only"),
    ("§9 approved consumers", "all except Marketing"),
    ("§9 approved consumers", "ML Platform, Marketing Analytics (aggregates, reports)"),
    ("§9 approved consumers", "Sales and Marketing"),
    ("§7 alert routing", "#ml-alerts on weekdays"),
    ("§7 alert routing", "#ml-alerts and PagerDuty"),
    ("§2 fanout", "keep the most recent paid record by event_timestamp"),
    ("§6 cardinality checks", "Join match rate ≥ 98% on average, fanout ratio ≤ 1.01"),
]


@pytest.mark.parametrize(("clause", "value"), UNREAD)
def test_a_word_that_nobody_reads_is_a_problem(clause: str, value: str) -> None:
    with pytest.raises(Unreadable, match=r"cannot place|expected|write"):
        CLAUSE[clause].reader(value)


def test_the_document_says_which_word_it_was(tmp_path: Path) -> None:
    said = answer(
        tmp_path / "contract.md",
        reworded(CLAUSE["§6 freshness"], lambda value: f"{value} at the median"),
    )
    assert [(p.clause, "(cannot place 'at')" in p.message) for p in said.problems] == [
        ("§6 freshness", True)
    ]


READ = [
    ("§6 uniqueness", "One record per customer_id, channel", ("customer_id", "channel")),
    ("§6 uniqueness", "One record per customer_id and channel", ("customer_id", "channel")),
    ("§6 uniqueness", "exactly one row per (customer_id, locale)", ("customer_id", "locale")),
    *(
        (
            "§5.1 dedup rules",
            f"Latest event {keys}",
            Dedup(keep="latest", key=("customer_id", "locale"), period="day"),
        )
        for keys in (
            "per customer_id, locale per day",
            "per customer_id and locale per day",
            "per customer_id, locale and day",
            "per (customer_id, locale) per day",
            "per customer_id + locale per calendar day",
            "for each customer_id, locale per UTC day",
        )
    ),
    ("§9 approved consumers", "Credit Risk; Treasury", ("Credit Risk", "Treasury")),
    ("§9 approved consumers", '"Sales and Marketing", ML', ("Sales and Marketing", "ML")),
    ("§9 approved consumers", "A, B and C", ("A", "B", "C")),
    ("§9 approved consumers", "A, B, and C.", ("A", "B", "C")),
]


@pytest.mark.parametrize(("clause", "value", "term"), READ)
def test_all_of_a_list_is_read(clause: str, value: str, term: object) -> None:
    assert CLAUSE[clause].reader(value) == term


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("one of A, V, P, U", ("A", "V", "P", "U")),
        ("free, pro, or enterprise", ("free", "pro", "enterprise")),
        ("free, 'in trial'", ("free", "in trial")),
        ("A | B", ("A", "B")),
        ("positive integers, zero allowed", None),
        ("free, pro or enterprise", ("free", "pro", "enterprise")),
        ("Value / Core / Premium", ("Value", "Core", "Premium")),
        ("free / pro, trial", None),
        ("free / n/a", None),
    ],
)
def test_a_set_is_its_values_and_nothing_else(text: str, values: tuple[str, ...] | None) -> None:
    read = CLAUSE["§5.2 allowed range"].entry
    assert read is not None
    if values is None:
        with pytest.raises(Unreadable):
            read("tier", text)
    else:
        assert read("tier", text) == ("tier", AllowedValues(values=values))


DOCUMENTS = [
    ROOT / "contracts" / "customer_profile_v1.md",
    *sorted((ROOT / "tests" / "contracts").glob("*.md")),
]
QUALIFIERS = (ROOT / "tests" / "support" / "qualifiers.txt").read_text(encoding="utf-8").split()
"""Qualifiers, negations, quantities and conjunctions."""


def with_a_word_more(value: str, draws: random.Random, share: float) -> Iterator[tuple[str, str]]:
    """The value with one word more, at each place between its words."""
    words = value.split()
    for word in QUALIFIERS:
        for place in range(len(words) + 1):
            if draws.random() < share:
                yield word, " ".join([*words[:place], word, *words[place:]])


RANGES = ("0–10,000", "≥ 0", "> 0 and ≤ 1", "between 0 and 24 hours", "[0, 1)", "€0–€500")
A_UNIT_OR_A_FACTOR = {"min", "second", "minute", "month", "year", "thousand", "million"}
"""Words of the list that say beside a number of a range how many of what it is."""


def test_a_word_more_in_a_range_is_refused() -> None:
    read, draws, silent = CLAUSE["§5.2 allowed range"].entry, random.Random(2026), []
    assert read is not None
    for text in RANGES:
        for word, longer in with_a_word_more(text, draws, 1.0 if WHOLE else 0.3):
            with suppress(Unreadable):
                if (got := read("spend", longer)) and word not in A_UNIT_OR_A_FACTOR:
                    silent.append((longer, got))
    assert silent == []


MEANS_THE_SAME = {
    "§2 fanout": {"several", "if"},
    "§3 allowed lateness": {"maximum", "max"},
    "§5.1 filters": {"active", "only"},
    "§9 retention policy": {"maximum", "max"},
    "§9 audit requirements": {"reviewed"},
    "§10 deprecation plan": {"minimum", "min"},
    "§11 performance tests": {"error"},
}
"""Words of the list that say again what the clause says already."""


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)
def test_a_word_more_is_another_reading_or_none(document: Path) -> None:
    """Of each document 50,000 wordings under `make test-all`, 500 of them with every change."""
    draws, tried, silent = random.Random(2026), 0, []
    texts = load(document).texts
    for clause in CLAUSES:
        if clause.is_prose or clause.entry or clause.group:
            continue
        meant = clause.reader(texts[clause.id])
        for word, text in with_a_word_more(texts[clause.id], draws, 1.0 if WHOLE else 0.015):
            tried += 1
            try:
                same = clause.reader(text) == meant
            except Unreadable:
                same = False
            if same and word not in MEANS_THE_SAME.get(clause.id, ()):
                silent.append((clause.id, text))
    assert tried > (50_000 if WHOLE else 500)
    assert silent == []
