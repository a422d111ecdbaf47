"""Wordings that teams use, each with what it must be read as, or that it must not be read."""

from datetime import timedelta
from typing import Any

import pytest
from contract_answers import CLAUSE

from contract_checks.language.sentence import Unreadable
from contract_checks.language.terms import (
    AllowedValues,
    Cadence,
    Cardinality,
    Dedup,
    DriftThreshold,
    FanOut,
    Masking,
    Outliers,
    Range,
)

HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(weeks=1)


def every(length: timedelta, **when: str) -> Cadence:
    return Cadence(every=length, **when)


def span(minimum: float | None, maximum: float | None, **more: Any) -> Range:
    return Range(minimum=minimum, maximum=maximum, **more)


LATEST_A_DAY = Dedup(keep="latest", key=("customer_id",), period="day")
READ: dict[str, list[tuple[str, object]]] = {
    "§1 status": [("in production", "active"), ("live", "active")],
    "§2 expected match rate": [
        *((words, 0.98) for words in ("98%", "≥ 98 percent", "> 98%", "98% minimum")),
        *((words, 0.98) for words in ("better than 98%", "no less than 98%", "98 % or more")),
        ("99.9% or better", 0.999),
        ("above 98%", 0.98),
    ],
    "§2 key uniqueness expectation": [("one to one", "1:1"), ("1:m", "1:n"), ("m:1", "n:1")],
    "§2 join type": [("left outer join", "left"), ("left-outer", "left"), ("full outer", "outer")],
    "§2 join failure policy": [
        ("use defaults", "default"),
        ("fall back to default values", "default"),
        ("use the defaults of §5.2", "default"),
        ("leave as NULL", "null"),
        ("return null", "null"),
        ("reject the request", "fail"),
    ],
    "§2 join keys": [
        ("customer_id / channel", ("customer_id", "channel")),
        ("customer_id & channel", ("customer_id", "channel")),
    ],
    "§2 fanout": [
        ("latest row wins (by seen_at)", FanOut(keep="latest", by="seen_at", key=())),
        ("latest seen_at wins", FanOut(keep="latest", by="seen_at", key=())),
        *(
            (words, FanOut(keep="latest", by="seen_at", key=()))
            for words in (
                "keep the row with the highest seen_at",
                "Should a pair appear more than once, keep the row with the latest seen_at.",
                "If there are several rows for a key, the one with the max seen_at wins.",
            )
        ),
        *(
            (words, FanOut(keep="latest", by="seen_at", key=("region",)))
            for words in (
                "If a region has several records, the one with the latest seen_at is used.",
                "where a region has several records, keep the latest by seen_at",
                "If a region comes back more than once, take the row with the newest seen_at",
                "newest by seen_at per region",
            )
        ),
    ],
    "§3 timestamp timezone": [
        ("UTC+0", "UTC"),
        ("stored in UTC", "UTC"),
        ("all timestamps in UTC", "UTC"),
        ("Europe/Berlin time", "Europe/Berlin"),
    ],
    "§3 point-in-time correctness": [("enforced", True), ("yes, required", True), ("no", False)],
    "§3 lookback window": [
        *((words, 1.5 * HOUR) for words in ("1h30m", "1 hour and 30 minutes", "PT1H30M")),
        *((words, 26 * HOUR) for words in ("P1DT2H", "1 day and 2 hours", "1 day 2 h")),
        ("2 hours 30 minutes 10 seconds", 2.5 * HOUR + 10 * HOUR / 3600),
        *((words, 17 * DAY) for words in ("2 weeks and 3 days", "two weeks three days", "2w3d")),
        ("ninety days", 90 * DAY),
        *((words, 30 * DAY) for words in ("P30D", "30 calendar days", "the past 30 days", "720h")),
        *((words, WEEK) for words in ("one week", "a week", "P1W", "the last seven days")),
    ],
    "§3 allowed lateness": [
        *((words, timedelta(0)) for words in ("none", "0", "no late events", "no lateness")),
        *((words, DAY) for words in ("PT24H", "a day", "at most 24 hours", "up to one day")),
    ],
    "§4 refresh cadence": [
        ("twice a day", every(12 * HOUR)),
        ("4 times per day", every(6 * HOUR)),
        ("thrice daily", every(8 * HOUR)),
        ("every other day", every(2 * DAY)),
        ("fortnightly", every(2 * WEEK)),
        ("every half hour", every(HOUR / 2)),
        ("every two hours", every(2 * HOUR)),
        ("PT1H", every(HOUR)),
        ("once per day", every(DAY)),
        ("daily at 04:00", every(DAY, at="04:00")),
        ("daily at 04:00 Europe/Berlin", every(DAY, at="04:00", zone="Europe/Berlin")),
        ("every day at 6pm", every(DAY, at="18:00")),
        ("every day at 12 am", every(DAY, at="00:00")),
        ("nightly at 2:30 UTC", every(DAY, at="02:30", zone="UTC")),
        ("weekly, Sundays", every(WEEK, weekday="Sunday")),
        ("daily at 04:00 utc", every(DAY, at="04:00", zone="UTC")),
        ("daily at 04:00 z", every(DAY, at="04:00", zone="UTC")),
        ("weekly on Mondays at 06:00", every(WEEK, weekday="Monday", at="06:00")),
    ],
    "§4 upstream dependencies": [
        (words, ()) for words in ("none", "no", "N.A.", "-", "—", "No upstream jobs")
    ],
    "§5.1 aggregation": [("rolling window of one week", WEEK), ("Rolling P30D window", 30 * DAY)],
    "§5.1 filters": [(words, None) for words in ("none", "No", "N/A", "no filter", "—")],
    "§5.1 dedup rules": [
        ("keep the latest event per customer_id and day", LATEST_A_DAY),
        ("one event per customer_id per day (the latest)", LATEST_A_DAY),
        ("no dedup", None),
        ("-", None),
    ],
    "§5.2 nullable": [("not nullable", False), ("never", False), ("N", False), ("Y", True)],
    "§5.2 default value": [("none", None), ("no default", None), ("0 for all features", 0.0)],
    "§6 completeness": [
        ("at most 1% of values may be null", 0.01),
        ("less than 1% nulls", 0.01),
        ("null share ≤ 1 %", 0.01),
        ("99% complete", 0.01),
        ("at least 99.5% non-null", 0.005),
        ("fully populated", 0.0),
    ],
    "§6 validity": [
        *((words, 0.0) for words in ("no negative values", "zero or more")),
        *(
            (words, 0.0)
            for words in ("No numeric field may be negative", "values are zero or more")
        ),
    ],
    "§6 uniqueness": [
        ("unique by customer_id", ("customer_id",)),
        ("no duplicates per customer_id, channel", ("customer_id", "channel")),
        ("Max one row per a and b", ("a", "b")),
        ("One row per pair (a, b)", ("a", "b")),
        ("one row per store_no / sku", ("store_no", "sku")),
    ],
    **{
        clause: [("Y", True), ("mandatory", True), ("not required", False), ("off", False)]
        for clause in ("§8 parity required", "§11 canary materialization", "§11 shadow reads")
    },
    "§6 cardinality checks": [
        (
            "match rate > 98%, fanout ratio < 1.01",
            Cardinality(minimum_match_rate=0.98, maximum_fanout_ratio=1.01),
        ),
    ],
    "§6 outliers": [
        (words, Outliers(percentile=99.5, action="clip"))
        for words in (
            "values over the 99.5th percentile are capped",
            "winsorized at the 99.5th percentile",
            "clip values beyond the 99.5th percentile",
            "values above p99.5 are clipped",
        )
    ],
    "§6 freshness": [
        (words, 2 * HOUR)
        for words in (
            "max age 2h",
            "maximum age: 2 hours",
            "at most two hours old",
            "features are at most 2 hours old",
            "PT2H",
            "no older than 2 hours",
        )
    ],
    "§7 drift metrics": [
        ("PSI; KS", ("PSI", "KS")),
        ("Jensen-Shannon, Wasserstein distance", ("Jensen-Shannon", "Wasserstein distance")),
    ],
    "§8 acceptable delta": [("identical", 0.0), ("0", 0.0), ("1 %", 0.01)],
    "§7 warn": [
        (words, DriftThreshold(metric="PSI", minimum=0.1))
        for words in (
            "PSI: 0.1",
            "PSI exceeds 0.1",
            "PSI more than 0.1",
            "PSI at or above 0.1",
            "if PSI ≥ 0.1",
        )
    ],
    "§9 masking": [
        ("customer_id hashed", Masking(columns=("customer_id",), method="hashed", scope="")),
        (
            "hash customer_id in training sets",
            Masking(columns=("customer_id",), method="hashed", scope="training sets"),
        ),
    ],
    "§9 data classification": [("Internal use only", "internal")],
    "§9 retention policy": [("P365D", 365 * DAY), ("at most 52 weeks", 364 * DAY)],
    "§9 audit requirements": [
        ("access reviewed every quarter", "quarterly"),
        ("every 6 months", "half-yearly"),
        ("every three months", "quarterly"),
        ("once a year", "yearly"),
    ],
    "§11 backfill validation": [("one week of history", WEEK)],
}

RANGES: list[tuple[str, object]] = [
    ("0 to 250,000", span(0, 250_000)),
    ("0 … 500", span(0, 500)),
    ("0–5 Million", span(0, 5_000_000)),
    ("[0, ∞)", span(0, None)),
    ("above 0", span(0, None, minimum_excluded=True)),
    ("-40–85 km/h", span(-40, 85, unit="km/h")),
    ("0–1M", span(0, 1_000_000)),
    *((words, span(0, 1)) for words in ("[0,1]", "[0, 1]", "from 0 to 1", "0 through 1")),
    ("(0,1]", span(0, 1, minimum_excluded=True)),
    ("0 … 24 000", span(0, 24_000)),
    ("> 0, at most 1 500", span(0, 1_500, minimum_excluded=True)),
    ("≥ 0, no upper limit", span(0, None)),
    ("between -£5k and £250k", span(-5_000, 250_000, unit="£")),
    ("phone / tablet", AllowedValues(values=("phone", "tablet"))),
    ("10k–1M", span(10_000, 1_000_000)),
    ("≥ 0, ≤ 1,000", span(0, 1_000)),
    ("min 0, max 500", span(0, 500)),
    ("< 1,000", span(None, 1_000, maximum_excluded=True)),
    ("> 0", span(0, None, minimum_excluded=True)),
    ("positive", span(0, None, minimum_excluded=True)),
    ("(0, 1]", span(0, 1, minimum_excluded=True)),
    ("0 ≤ x < 10", span(0, 10, maximum_excluded=True)),
    ("between 0 and 1 (exclusive)", span(0, 1, minimum_excluded=True, maximum_excluded=True)),
    ("0..10", span(0, 10)),
    ("0 and above", span(0, None)),
    ("0–inf", span(0, None)),
    ("0 – 100 EUR", span(0, 100, unit="EUR")),
    ("0 EUR – 100 EUR", span(0, 100, unit="EUR")),
    ("€0–€500", span(0, 500, unit="€")),
    ("0–24 hours", span(0, 24, unit="hours")),
    ("-40 to 85 °C", span(-40, 85, unit="°C")),
    ("≤ 5 km", span(None, 5, unit="km")),
    ("true/false", AllowedValues(values=("true", "false"))),
    ("A | B", AllowedValues(values=("A", "B"))),
]

REFUSED = {
    "§2 join keys": ["none", "n/a", "TBD"],
    "§4 source system": ["N.A."],
    "§4 upstream dependencies": ["TBD", "unknown", "orders_job, none"],
    "§2 join failure policy": ["reject the row", "none"],
    "§2 expected match rate": ["0.98", "98", "about 98%", "~98%", "98%+"],
    "§3 lookback window": [
        *("24 h and 1 h", "1 day and 30 hours", "forty-five minutes", "30 days and 2 windows"),
        *("13 months", "P1M", "a few days", "30 business days"),
    ],
    "§3 allowed lateness": ["n/a", "none on weekdays", "a day or two"],
    "§4 refresh cadence": [
        *(
            "monthly",
            "every weekday",
            "hourly at 04:00",
            "daily on Mondays",
            "five times a day",
            "three times a week",
        ),
        *("daily at 04:00 Berlin/Europe", "twice a day on weekdays", "daily at 25:00"),
    ],
    "§5.2 default value": ["none for new customers"],
    "§6 completeness": ["≤ 1%", "1%", "99% complete on average", "101% complete"],
    "§6 freshness": ["max age 2h on weekdays", "minimum age 2h", "at least 2 hours old", "2h+"],
    "§1 owner": [
        "none",
        "n/a",
        "nobody",
        "null",
        "unknown",
        "Data Team, TBD",
        "as listed per source system",
    ],
    "§1 model": ["Churn prediction, credit scoring is forbidden"],
    "§5.2 units": ["see below", "per feature, see table"],
    "§5.2 nullable": ["required", "optional"],
    "§5.2 data type": ["decimal(10,2)"],
    "§9 masking": [
        *("customer_id masked in nothing", "customer_id hashed in neither of them", "not hashed"),
        *("customer_id hashed in training and tokenized in serving", "partially masked"),
        *("customer_id hashed in all but production", "customer_id hashed in training if asked"),
    ],
    "§9 pii": ["no PHI", "-", "not required", "yes (hashed)"],
    "§9 approved consumers": [
        *("anyone with access", "Marketing, pending approval", "Marketing upon request"),
        *("Marketing from 2027-01-01", "Marketing*", "Company-wide"),
        *("n/a", "Growth, unknown"),
    ],
    "§10 deprecation plan": [
        *("v1 goes out 90 days after v2 release", "v1 is available in 90 days after v2 release"),
    ],
    "§12 data owner approval": [
        *("J. Smith, provisional — 2026-01-01", "J. Smith and A. Lee — 2026-01-01"),
        *("approved with conditions — 2026-01-01", "J. Smith p.p. A. Lee — 2026-01-01"),
    ],
    "§7 fail": ["p: 0.05", "no PSI ≥ 0.1", "if p is 0.05"],
    "§8 acceptable delta": ["~1%", "+1%"],
    "§7 drift metrics": [
        *("PSI, divided by the standard deviation", "PSI for the two medians", "spread"),
        *("PSI and KS", "PSI, on weekdays", "PSI of most features"),
    ],
    "§7 warn": ["PSI: 0.1 on most features", "PSI below 0.1", "PSI usually ≥ 0.1"],
    "§9 audit requirements": [
        "biannual",
        "every 5 months",
        "access reviewed every quarter by hand",
    ],
    "§9 retention policy": [
        *("13 months", "365 days or more", "365d+", "~365 days"),
        *("kept after 365 days", "after 365 days", "deleted for 365 days", "delete 365 days"),
    ],
    "§6 outliers": [
        *(
            "winsorized at the 99.5th percentile per country",
            "values clipped at the 5th percentile",
        ),
    ],
}
RANGES_REFUSED = [
    *("0%–20%", "0–100 %", "1–5M", "0–10 m", "0 EUR – 100 USD", "€0–$500", "positive integers"),
    *("0–5bn", "0–5B", "0–5 mn", "0–5 lakh", "0–5 dozen", "0–1e3", "0–100 percent", "0–273 K"),
    *("0–10 usually", "≥ 0 mostly", "0–10 nullable", "0–10 each", "0–10 EUR/usually"),
    *("≤ 10 exclusive", "up to 10 (exclusive)", "> 0 (inclusive)", "[0, 10] exclusive"),
    *("free, pro, etc.", "free, pro, null", "free, pro (inclusive)", "positive (inclusive)"),
    *("0 or 1", "1e3", "0–10 or null", "about 0–10", "0–10 on weekdays", "0–10,0"),
    *(
        "0–10 typically",
        "0–1 null",
        "0–1 B",
        "0–10 excl",
        "free, pro, etc",
        "free, null",
        "A-Z, a-z",
    ),
]


@pytest.mark.parametrize(
    ("clause", "words", "term"),
    [(clause, words, term) for clause, rows in READ.items() for words, term in rows],
)
def test_it_is_read(clause: str, words: str, term: object) -> None:
    assert CLAUSE[clause].reader(words) == term


@pytest.mark.parametrize(
    ("clause", "words"), [(clause, words) for clause, rows in REFUSED.items() for words in rows]
)
def test_it_is_refused(clause: str, words: str) -> None:
    with pytest.raises(Unreadable):
        CLAUSE[clause].reader(words)


@pytest.mark.parametrize(("words", "term"), RANGES)
def test_a_range_is_read(words: str, term: object) -> None:
    read = CLAUSE["§5.2 allowed range"].entry
    assert read is not None
    assert read("spend", words) == ("spend", term)


@pytest.mark.parametrize("words", RANGES_REFUSED)
def test_a_range_is_refused(words: str) -> None:
    read = CLAUSE["§5.2 allowed range"].entry
    assert read is not None
    with pytest.raises(Unreadable):
        read("spend", words)


@pytest.mark.parametrize(
    ("allowed", "within", "without"),
    [
        (span(0, 1), (0, 0.5, 1), (-0.1, 1.1)),
        (span(0, 1, minimum_excluded=True), (0.1, 1), (0, 2)),
        (span(0, 1, maximum_excluded=True), (0, 0.9), (1, -1)),
        (span(None, 1, maximum_excluded=True), (-9, 0.9), (1,)),
    ],
)
def test_a_bound_that_is_excluded_is_no_value(
    allowed: Range, within: tuple[float, ...], without: tuple[float, ...]
) -> None:
    assert [allowed.admits(value) for value in (*within, *without)] == (
        [True] * len(within) + [False] * len(without)
    )


def test_what_is_not_said_of_a_range_stands_in_no_export() -> None:
    assert span(0, 1).model_dump(mode="json") == {"minimum": 0.0, "maximum": 1.0}
    assert every(HOUR).model_dump(mode="json") == "PT1H"
    assert every(DAY, at="04:00").model_dump(mode="json") == {"every": "P1D", "at": "04:00"}
