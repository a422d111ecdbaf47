"""A day is read in whatever way it is written, but where another day may be meant."""

from datetime import date

import pytest
from contract_answers import CLAUSE

from contract_checks.language.dates import calendar_date
from contract_checks.language.sentence import Unreadable
from contract_checks.language.terms import Approval

DAY = date(2025, 10, 17)
WRITTEN = (
    *("2025-10-17", "2025/10/17", "17 Oct 2025", "17 October 2025", "17-Oct-2025", "17th Oct 2025"),
    *("17th of October 2025", "Oct 17, 2025", "October 17 2025", "Oct. 17, 2025"),
    *("17.10.2025", "17/10/2025", "10/17/2025", "17-10-2025"),
)


@pytest.mark.parametrize("text", WRITTEN)
def test_a_day_is_read_alone_and_in_a_signature(text: str) -> None:
    assert calendar_date(text) == DAY
    for signed in (f"A. Lee, {text}", f"A. Lee — {text}", f"A. Lee ({text})"):
        assert CLAUSE["§12 ml owner approval"].reader(signed) == Approval(name="A. Lee", date=DAY)
    release = CLAUSE["§10 changelog"].entry
    assert release is not None
    for label in (f"v2 — {text}", f"v2, {text}", f"v2 ({text})", f"{text} – v2"):
        assert release(label, "first") == ("v2", DAY)
    assert release(f"v2 - {text} - first", "") == ("v2", DAY)
    assert release("v2", f"Date: {text}; Change: first") == ("v2", DAY)


@pytest.mark.parametrize("text", ["02/05/2026", "2.5.2026", "02-05-2026"])
def test_a_day_that_may_be_a_month_is_refused_with_both(text: str) -> None:
    for read, written in (
        (calendar_date, text),
        (CLAUSE["§12 platform approval"].reader, f"A. Lee — {text}"),
    ):
        with pytest.raises(Unreadable, match=r"2026-05-02 or 2026-02-05"):
            read(written)


def test_the_same_number_twice_is_one_day() -> None:
    assert calendar_date("02.02.2026") == date(2026, 2, 2)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "31 Feb 2026",
            "2026-02-30",
            "32.01.2026",
            "13/13/2026",
            "Oct 2025",
            "17 Oct",
            "17/10/25",
        ),
        *("about 17 Oct 2025", "17 Oct 2025 or later", "end of 2025", "17 Okt 2025", "20251017"),
        *("17 Oct 2025 to 3 Nov 2025", "17.10/2025", "2025-W42"),
    ],
)
def test_what_is_no_day_is_refused(text: str) -> None:
    for read, written in (
        (calendar_date, text),
        (CLAUSE["§12 data owner approval"].reader, f"A. Lee, {text}"),
    ):
        with pytest.raises(Unreadable):
            read(written)


@pytest.mark.parametrize(
    "note",
    ["second. 03.09.2024 – v1: first", "second; v1 — 2024-09-03: first", "second, v1 (3 Sep 2024)"],
)
def test_a_note_that_holds_another_release_is_refused(note: str) -> None:
    read = CLAUSE["§10 changelog"].entry
    assert read is not None
    with pytest.raises(Unreadable, match="another release"):
        read("v2 — 2026-02-14", note)
    assert read("v2 — 2026-02-14", "columns of v1 kept until 2026-12-31")[0] == "v2"


@pytest.mark.parametrize("name", ["A. Lee, Feb 2026", "A. Lee on 2026-01-31", "A. Lee (2025)"])
def test_a_name_with_a_year_in_it_may_be_another_date(name: str) -> None:
    with pytest.raises(Unreadable):
        CLAUSE["§12 platform approval"].reader(f"{name} — 2026-02-01")


def test_a_signature_may_name_its_parts() -> None:
    read = CLAUSE["§12 data owner approval"].reader
    assert read("Name: A. Lee, Date: 2025-10-17") == Approval(name="A. Lee", date=DAY)


@pytest.mark.parametrize("text", ["A / B", "Fraud, Risk / Credit", "A or B"])
def test_names_between_slashes_may_be_one_or_several(text: str) -> None:
    for clause in ("§9 approved consumers", "§1 model"):
        with pytest.raises(Unreadable, match="one name or two"):
            CLAUSE[clause].reader(text)
        quoted = CLAUSE[clause].reader('"Risk / Credit", `fraud_model`, A/B testing')
        assert quoted == ("Risk / Credit", "fraud_model", "A/B testing")


@pytest.mark.parametrize("clause", ["§1 owner", "§1 steward", "§4 source owner"])
def test_one_answers(clause: str) -> None:
    with pytest.raises(Unreadable, match="one name"):
        CLAUSE[clause].reader("Scan Hub team; TMS is owned by Transport IT")
    assert CLAUSE[clause].reader("Scan Hub, J. Lee") == "Scan Hub, J. Lee"


def test_a_chain_is_the_relations_between_its_neighbours() -> None:
    rules = CLAUSE["§6 consistency"].reader("a ≤ b < c; d can't be more than e")
    assert isinstance(rules, tuple)
    assert [(r.left, r.operator, r.right) for r in rules] == [
        *(("a", "≤", "b"), ("b", "<", "c"), ("d", "≤", "e"))
    ]
    with pytest.raises(Unreadable):
        CLAUSE["§6 consistency"].reader("a ≤ b ≤")


@pytest.mark.parametrize(
    ("clause", "text", "days"),
    [
        ("§9 retention policy", "13 months", "393 to 397"),
        ("§9 retention policy", "3 years", "1095 to 1096"),
        ("§3 lookback window", "a quarter", "89 to 92"),
        ("§7 baseline window", "P1M", "28 to 31"),
    ],
)
def test_a_length_of_the_calendar_is_told_in_days(clause: str, text: str, days: str) -> None:
    with pytest.raises(Unreadable, match=f"write days, {days} of them"):
        CLAUSE[clause].reader(text)


def test_a_unit_beside_a_feature_is_that_of_its_range() -> None:
    read = CLAUSE["§5.2 allowed range"].entry
    assert read is not None
    assert read("length (km)", "0–50") == read("length", "0–50 km")
    for label, text in (("length (km)", "0–50 m²"), ("plan (km)", "a, b"), ("length (key)", "0–5")):
        with pytest.raises(Unreadable):
            read(label, text)
