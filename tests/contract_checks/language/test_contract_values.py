"""Readers are tolerant of wording and strict about numbers, units, comparisons and names."""

import re
from collections.abc import Callable
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract_checks.language import (
    cadences,
    dates,
    limits,
    people,
    phrases,
    privacy,
    ranges,
    records,
    values,
)
from contract_checks.language.form import CLAUSES
from contract_checks.language.plain_words import BACKFILL, DELTA, SPAN
from contract_checks.language.sentence import Unreadable, spell
from contract_checks.language.terms import (
    AllowedValues,
    Approval,
    Cadence,
    ConsistencyRule,
    DriftThreshold,
    Range,
)
from contract_checks.language.values import at_least, at_most, naming

Reader = Callable[[str], object]

match_rate = at_least(values.percent)
delta = at_most(naming(DELTA, values.percent))
backfill = naming(BACKFILL, values.duration)
lateness = at_most(values.duration)

DAY, HOUR = timedelta(days=1), timedelta(hours=1)


@pytest.mark.parametrize(
    ("reader", "text", "value"),
    [
        (values.duration, "30d", 30 * DAY),
        (values.duration, "24h", 24 * HOUR),
        (values.duration, "2 hours", 2 * HOUR),
        (naming(SPAN, values.duration), "last 90 days", 90 * DAY),
        (values.duration, "15 min", timedelta(minutes=15)),
        (values.duration, "1.5 h", timedelta(minutes=90)),
        (backfill, "Compare 7-day historical backfill against baseline", 7 * DAY),
        (lateness, "≤ 24h", 24 * HOUR),
        (lateness, "up to 6 hours", 6 * HOUR),
        (match_rate, "≥ 98%", 0.98),
        (match_rate, ">= 98 %", 0.98),
        (match_rate, "at least 99.5 percent", 0.995),
        *((match_rate, text, 0.98) for text in ("98%", "> 98%", "98% or better", "not below 98%")),
        *((delta, text, 0.01) for text in ("1%", "< 1%", "less than 1%", "1% or less", "max 1%")),
        *(
            (limits.drift_threshold, f"PSI {text}", DriftThreshold(metric="PSI", minimum=0.1))
            for text in ("> 0.1", "above 0.1", "0.1", "of 0.1 or more", "is over 0.1")
        ),
        *((phrases.null_rate, text, 0.01) for text in ("null rate 1%", "max 1% nulls")),
        *((phrases.freshness, text, 2 * HOUR) for text in ("2 hours", "max 2h", "2h or less")),
        *((values.yes_no, text, True) for text in ("true", "required", "Enabled")),
        *((values.yes_no, text, False) for text in ("False", "disabled")),
        *(
            (ranges.allowed, text, Range(minimum=0, maximum=1000))
            for text in (
                "≥ 0, ≤ 1,000",
                "min 0, max 1000",
                "0–1000 (inclusive)",
                "0 to 1000 inclusive",
            )
        ),
        (delta, "≤ 1% difference across numeric fields", 0.01),
        (delta, "no more than 0.1%", 0.001),
        (ranges.allowed, "0–10,000", Range(minimum=0, maximum=10_000)),
        (ranges.allowed, "0-10,000", Range(minimum=0, maximum=10_000)),
        (ranges.allowed, "-5–5", Range(minimum=-5, maximum=5)),
        (ranges.allowed, "−10 — −5.5", Range(minimum=-10, maximum=-5.5)),
        (ranges.allowed, "0 to 1", Range(minimum=0, maximum=1)),
        (ranges.allowed, "≥ 0", Range(minimum=0, maximum=None)),
        (ranges.allowed, "<= 1,000", Range(minimum=None, maximum=1000)),
        (
            ranges.allowed,
            "free, pro, enterprise",
            AllowedValues(values=("free", "pro", "enterprise")),
        ),
        (values.identifiers, "(a_id, b_id)", ("a_id", "b_id")),
        (values.identifiers, "a_id and b_id", ("a_id", "b_id")),
        (values.tables, "w.a, w.s.b", ("w.a", "w.s.b")),
        (values.jobs, "ingest-job, dbt.model_a", ("ingest-job", "dbt.model_a")),
        (values.jobs, "none", ()),
        (values.yes_no, "Yes", True),
        (values.requirement, "not required", False),
        (values.version, "V12", "v12"),
        (dates.calendar_date, "2024-02-29", date(2024, 2, 29)),
        (
            people.approval,
            "J. Smith - 2026-01-01",
            Approval(name="J. Smith", date=date(2026, 1, 1)),
        ),
        (values.channel, "#ml-alerts Slack channel", "#ml-alerts"),
        (values.timezone, "Z", "UTC"),
        (values.timezone, "America/Argentina/Buenos_Aires", "America/Argentina/Buenos_Aires"),
        (values.title, "Feature Contract: a_feature (v3)", ("a_feature", "v3")),
        (cadences.refresh, "hourly", Cadence(every=HOUR)),
        (cadences.refresh, "every 15 minutes", Cadence(every=timedelta(minutes=15))),
        (phrases.rolling_window, "Sum over a rolling window of 30 days", 30 * DAY),
        (phrases.default_value, "zeros for numeric fields", 0.0),
        (phrases.default_value, "-1", -1.0),
        (phrases.default_value, "null", None),
        (phrases.null_rate, "null rate ≤ 1%", 0.01),
        (phrases.null_rate, "at most 1% missing", 0.01),
        (phrases.least_value, "All numeric fields must be ≥ 0", 0.0),
        (records.one_record_per, "One record per (a_id, b_id)", ("a_id", "b_id")),
        (records.one_record_per, "exactly one row per merchant", ("merchant",)),
        (phrases.freshness, "Feature age ≤ 2 hours", 2 * HOUR),
        (limits.drift_threshold, "PSI >= 0.1", DriftThreshold(metric="PSI", minimum=0.1)),
        (phrases.consistency, "none", ()),
        (
            phrases.consistency,
            "a ≥ b; c < d",
            (
                ConsistencyRule(left="a", operator="≥", right="b"),
                ConsistencyRule(left="c", operator="<", right="d"),
            ),
        ),
        (privacy.masking, "none", None),
        (privacy.access_review, "Quarterly access review", "quarterly"),
        (privacy.access_review, "access is reviewed annually", "yearly"),
    ],
)
def test_values_are_read(reader: Reader, text: str, value: object) -> None:
    assert reader(text) == value


def test_sentences_are_read_term_by_term() -> None:
    fanout = records.fanout("If several exist for a customer_id, take the newest based on seen_at.")
    assert (fanout.keep, fanout.by, fanout.key) == ("latest", "seen_at", ("customer_id",))

    active = phrases.activity_filter("Only customers with at least two events in the last 7 days.")
    assert active is not None
    assert (active.minimum_events, active.window) == (2, 7 * DAY)

    dedup = records.dedup("Latest event per customer_id per hour")
    assert dedup is not None
    assert (dedup.keep, dedup.key, dedup.period) == ("latest", ("customer_id",), "hour")

    joined = phrases.cardinality("fan-out ratio ≤ 1.01; match rate ≥ 98%")
    assert (joined.minimum_match_rate, joined.maximum_fanout_ratio) == (0.98, 1.01)

    plan = phrases.deprecation("After the release of v2, support for v1 goes on for 90 days")
    assert (plan.version, plan.support, plan.successor) == ("v1", 90 * DAY, "v2")

    serving = limits.performance("error rate ≤ 0.1%, p99.9 latency ≤ 5 ms")
    assert serving.latency_percentile == 99.9
    assert serving.maximum_latency == timedelta(milliseconds=5)
    assert serving.maximum_error_rate == 0.001

    masked = privacy.masking("email and phone are tokenised in every export")
    assert masked is not None
    assert (masked.columns, masked.method) == (("email", "phone"), "tokenized")


@pytest.mark.parametrize(
    ("reader", "text", "found"),
    [
        (values.duration, "98%", "98%"),
        (values.duration, "30", "30"),
        (values.duration, "30 parsecs", "30 parsecs"),
        (values.duration, "the 99th percentile", "99th percentile"),
        (match_rate, "≥ 98 hours", "98 hours"),
        (match_rate, "≥ 0.98", "0.98"),
        (delta, "≤ 1 s difference", "1 s"),
        (phrases.freshness, "Feature age ≤ 2%", "2%"),
        (phrases.null_rate, "null rate ≤ 1 day", "1 day"),
        (limits.drift_threshold, "PSI ≥ 10%", "10%"),
        (phrases.least_value, "All fields must be ≥ 0 hours", "0 hours"),
        (phrases.outliers, "Values above 99.9% are flagged", "99.9%"),
        (phrases.cardinality, "match rate ≥ 98%, fanout ratio ≤ 101%", "101%"),
        (phrases.cardinality, "match rate ≥ 98, fanout ratio ≤ 1.01", "98"),
        (limits.performance, "p95 latency ≤ 50%, error rate ≤ 0.1%", "50%"),
        (limits.performance, "p95 latency ≤ 50ms, error rate ≤ 0.1 ms", "0.1 ms"),
        (phrases.deprecation, "v1 is supported 90% after v2 release", "90%"),
    ],
)
def test_a_wrong_unit_is_called_so(reader: Reader, text: str, found: str) -> None:
    with pytest.raises(Unreadable, match="wrong unit: expected") as raised:
        reader(text)
    assert f"got '{found}'" in str(raised.value)


@pytest.mark.parametrize(
    ("reader", "text"),
    [
        # comparisons that say something else
        (match_rate, "≤ 98%"),
        (delta, "≥ 1%"),
        (lateness, "≥ 24h"),
        (values.duration, "≥ 30d"),
        (phrases.freshness, "Feature age ≥ 2 hours"),
        (phrases.null_rate, "non-null rate ≤ 1%"),
        (limits.drift_threshold, "PSI ≤ 0.1"),
        # more than was asked for
        (values.duration, "30d or 60d"),
        (phrases.freshness, "Feature age ≤ 2 hours, orders_30d ≤ 1 hour"),
        (phrases.freshness, "Age of orders_30d ≤ 2 hours"),
        (phrases.freshness, "age ≤ 2 hours" + " indeed" * 200),
        (limits.drift_threshold, "PSI ≥ 0.1 and KS ≥ 0.2"),
        (records.dedup, "Latest or earliest event per customer_id per day"),
        (phrases.outliers, "Values above 99th percentile are flagged or dropped"),
        (phrases.deprecation, "v1, like v0, is supported for 90 days after v2 release"),
        (privacy.access_review, "Quarterly or yearly access review"),
        # negations
        (phrases.freshness, "Feature age is not ≤ 2 hours"),
        (privacy.masking, "customer_id is not hashed in training datasets"),
        (phrases.outliers, "Values above 99th percentile are never flagged"),
        (values.personal_data, "no (customer_id)"),
        # numbers out of bounds or misspelled
        (match_rate, "≥ 101%"),
        (match_rate, "≥ -1%"),
        (values.duration, "0d"),
        (values.duration, "-3d"),
        (values.duration, "99999999999 days"),
        (values.duration, "3 months"),
        (ranges.allowed, "0–1,00"),
        (ranges.allowed, "0–1.2.3"),
        (ranges.allowed, "0,5"),
        (ranges.allowed, "0–100%"),
        (ranges.allowed, "10"),
        (ranges.allowed, "free"),
        (ranges.allowed, "free, free"),
        (phrases.outliers, "Values above 0th percentile are flagged"),
        (phrases.cardinality, "match rate ≥ 98%, fanout ratio ≤ 0.9"),
        (limits.drift_threshold, "PSI ≥ 0"),
        (limits.performance, "p0 latency ≤ 5ms, error rate ≤ 1%"),
        (limits.performance, "p100 latency ≤ 5ms, error rate ≤ 1%"),
        (phrases.consistency, "a is bigger than b"),
        # names, dates and addresses
        (values.identifier, "customer id"),
        (values.identifiers, "a_id, a_id"),
        (people.names, "ML Platform, "),
        (values.table, "customer_events"),
        (values.version, "1.0"),
        (dates.calendar_date, "2026-02-29"),
        (dates.calendar_date, "2026-02-30"),
        (people.approval, "J. Smith"),
        (values.url, "ftp://catalog"),
        (values.url, "https://"),
        (values.channel, "the usual one"),
        (values.timezone, "Nowhere"),
        (values.timezone, "America"),
        (values.data_type, "spreadsheet"),
        (values.prose, "TBD"),
        (values.prose, "—"),
    ],
)
def test_what_does_not_say_it_is_unreadable(reader: Reader, text: str) -> None:
    with pytest.raises(Unreadable, match=r"expected|twice|no such day|a share of"):
        reader(text)


SPELLINGS = {
    "ms": timedelta(milliseconds=1),
    " seconds": timedelta(seconds=1),
    "min": timedelta(minutes=1),
    "h": HOUR,
    "-hour": HOUR,
    " Days": DAY,
    "d": DAY,
    " weeks": 7 * DAY,
}


@given(count=st.integers(1, 100_000), unit=st.sampled_from(sorted(SPELLINGS)))
def test_any_duration_is_read_in_its_unit(count: int, unit: str) -> None:
    assert backfill(f"Compare the last {count:,}{unit} of history") == count * SPELLINGS[unit]


@given(length=st.integers(1, 10**12).map(lambda ms: timedelta(milliseconds=ms)))
def test_a_spelled_duration_reads_back(length: timedelta) -> None:
    assert values.duration(spell(length)) == length


@given(basis_points=st.integers(0, 10_000), space=st.sampled_from(["", " "]))
def test_any_percentage_is_the_nearest_fraction(basis_points: int, space: str) -> None:
    text = f"≥ {basis_points / 100:.2f}{space}%"
    assert match_rate(text) == basis_points / 10_000


numbers = st.integers(-(10**9), 10**9) | st.decimals(-1000, 1000, places=2)


@given(
    low=numbers, high=numbers, dash=st.sampled_from(["–", " – ", "-", " to "]), comma=st.booleans()
)
def test_any_two_numbers_make_a_range(low: float, high: float, dash: str, comma: bool) -> None:
    grouped = "," if comma else ""
    text = f"{low:{grouped}f}{dash}{high:{grouped}f}"
    assert ranges.allowed(text) == Range(minimum=float(low), maximum=float(high))


@given(number=st.decimals(-10_000, 10_000, places=3))
def test_a_dot_before_three_digits_is_refused_where_it_may_separate_thousands(number) -> None:
    if 1 <= abs(number) < 1000:
        with pytest.raises(Unreadable, match=re.escape(f" or {number * 1000:,.0f}, which")):
            ranges.allowed(f"≤ {number:f}")
    else:
        assert ranges.allowed(f"≤ {number:f}") == Range(minimum=None, maximum=float(number))


DOTTED = {
    "10.000": "10 or 10,000",
    "1.500": "1.5 or 1,500",
    "1.010": "1.01 or 1,010",
    "99.999": "99.9990 or 99,999",
    "100.000": "100 or 100,000",
    "+1.250": "+1.25 or +1,250",
    "-10.000": "-10 or -10,000",
    "001.500": "1.5 or 1,500",
}


@pytest.mark.parametrize("number", DOTTED)
def test_both_readings_of_a_dotted_number_are_told_and_can_be_written(number: str) -> None:
    told = f"^{re.escape(number)} may be read as two numbers: write {re.escape(DOTTED[number])},"
    for range_ in (f"0–{number}", f"{number} to 10,000", f"[{number}, 10,000]", f"≥ {number}"):
        with pytest.raises(Unreadable, match=told):
            ranges.allowed(range_)
    readings = [ranges.allowed(f"≤ {written}") for written in DOTTED[number].split(" or ")]
    assert readings[0].maximum * 1000 == pytest.approx(readings[1].maximum)


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (match_rate, "≥ 98.500%"),
        (match_rate, "≥ 98.500 percent"),
        (values.duration, "1.500 hours"),
        (values.duration, "30.000d"),
        (limits.performance, "p95 latency ≤ 50.000ms, error rate ≤ 0.1%"),
        (limits.performance, "p99.999 latency ≤ 50ms, error rate ≤ 0.1%"),
    ],
)
def test_a_dotted_number_is_refused_with_any_unit(read, text: str) -> None:
    with pytest.raises(Unreadable, match="may be read as two numbers"):
        read(text)


@pytest.mark.parametrize(
    ("number", "value"),
    [
        *(("0.125", 0.125), ("0.100", 0.1), ("1234.567", 1234.567), ("10,000.125", 10000.125)),
        *(("1.5000", 1.5), ("1.25", 1.25), ("-0.125", -0.125)),
    ],
)
def test_what_can_be_read_in_one_way_only_is_read(number: str, value: float) -> None:
    assert ranges.allowed(f"≤ {number}") == Range(minimum=None, maximum=value)
    if 0 < value < 100 and "," not in number:
        assert match_rate(f"≥ {number}%") == pytest.approx(value / 100)


@pytest.mark.parametrize("number", ["10,00", "1'000", "12.345,67", "1.000.000"])
def test_other_ways_to_group_are_refused(number: str) -> None:
    for read, text in ((ranges.allowed, f"0–{number}"), (values.duration, f"{number} days")):
        with pytest.raises(Unreadable):
            read(text)


@pytest.mark.parametrize("number", ["1 000", "1\u00a0000"])
def test_a_space_groups_thousands_in_a_range_alone(number: str) -> None:
    assert ranges.allowed(f"0–{number}") == Range(minimum=0, maximum=1000)
    with pytest.raises(Unreadable):
        values.duration(f"{number} days")


@pytest.mark.parametrize(
    ("clause", "text", "instead"),
    [
        ("§7 warn", "PSI ≥ 0,125", "with a dot"),
        ("§7 warn", "PSI ≥ 0,1", "write 0.1"),
        ("§7 fail", "PSI ≥ 1,001", "with a dot"),
        ("§6 cardinality checks", "match rate ≥ 98%, fanout ratio ≤ 1,001", "with a dot"),
        ("§8 acceptable delta", "≤ 0,100%", "write 0.100"),
        ("§2 expected match rate", "99,2 %", "write 99.2"),
        ("§6 validity", "All numeric fields must be ≥ 0,125", "write 0.125"),
        ("§5.2 default value", "0,125", "write 0.125"),
        ("§11 performance tests", "p95 latency ≤ 0,500 s, error rate ≤ 0.1%", "write 0.500"),
        ("§3 lookback window", "0,500 hours", "write 0.500"),
    ],
)
def test_a_comma_before_decimals_is_no_comma_of_thousands(
    clause: str, text: str, instead: str
) -> None:
    with pytest.raises(Unreadable, match=instead):
        READERS[clause](text)


@given(number=st.integers(0, 10**6), unit=st.sampled_from(["%", " percent", "th percentile", ""]))
def test_no_duration_is_read_from_another_unit(number: int, unit: str) -> None:
    with pytest.raises(Unreadable, match="wrong unit"):
        values.duration(f"{number}{unit}")


@given(text=st.text() | st.text(st.sampled_from("0123456789.,%≥≤–- dhpvsmin_()#@/:'`")))
def test_every_reader_reads_or_says_why_not(text: str) -> None:
    for clause in CLAUSES:
        try:
            if clause.entry:
                clause.entry(text, text)
            else:
                clause.reader(text)
        except Unreadable as reason:
            assert str(reason)


@pytest.mark.parametrize(
    ("read", "text", "meaning"),
    [
        (phrases.freshness, "no older than 30 minutes", timedelta(minutes=30)),
        (phrases.least_value, "Numeric values must not be negative", 0),
        (privacy.masking, "not required", None),
        (phrases.activity_filter, "n/a", None),
    ],
)
def test_usual_ways_to_say_it(read, text, meaning):
    assert read(text) == meaning


def test_three_or_more_is_at_least_three():
    read = phrases.activity_filter("Only sellers with 3 or more shipments in the last 7 days.")
    assert (read.minimum_events, read.window) == (3, timedelta(days=7))


def test_support_once_the_successor_is_out():
    read = phrases.deprecation("v3 stays available for 60 days once v4 is released")
    assert (read.version, read.support, read.successor) == ("v3", timedelta(days=60), "v4")


READERS = {clause.id: clause.reader for clause in CLAUSES}


@pytest.mark.parametrize(
    ("clause", "text", "usual"),
    [
        ("§1 model", "churn, scoring and reporting", "churn, scoring, reporting"),
        ("§1 model", "churn, scoring, and reporting", "churn, scoring, reporting"),
        ("§1 model", "churn, and scoring", "churn, scoring"),
        ("§2 join keys", "a_id, b_id, and c_id", "a_id, b_id, c_id"),
        ("§4 source system", "w.a, w.b, and w.c", "w.a, w.b, w.c"),
        ("§4 source system", "w.a and w.b", "w.a, w.b"),
        ("§4 upstream dependencies", "a_job, b_job, and c_job", "a_job, b_job, c_job"),
        ("§6 consistency", "a ≥ b, c ≥ d, and e < f", "a ≥ b; c ≥ d; e < f"),
        ("§3 timestamp timezone", "utc", "UTC"),
        ("§3 timestamp timezone", "UTC (all timestamps are stored in UTC)", "UTC"),
        ("§3 timestamp timezone", "All timestamps in UTC", "UTC"),
        ("§3 timestamp timezone", "Coordinated Universal Time (UTC)", "UTC"),
        ("§2 expected match rate", "98% or more", "≥ 98%"),
        ("§2 expected match rate", "99.5 % or higher", "≥ 99.5%"),
        ("§2 expected match rate", "minimum 98%", "≥ 98%"),
        ("§2 expected match rate", "greater than or equal to 98%", "≥ 98%"),
        ("§8 acceptable delta", "must not exceed 1%", "≤ 1%"),
        ("§8 acceptable delta", "no greater than 1%", "≤ 1%"),
        ("§6 completeness", "null rate < 1%", "null rate ≤ 1%"),
        ("§6 completeness", "null rate below 1%", "null rate ≤ 1%"),
        ("§6 completeness", "null rate does not exceed 1%", "null rate ≤ 1%"),
        ("§6 completeness", "no nulls", "null rate ≤ 0%"),
        ("§6 completeness", "No null values allowed.", "null rate ≤ 0%"),
        ("§6 freshness", "Feature age under 2 hours", "age ≤ 2 hours"),
        ("§6 freshness", "Age must not exceed 2 hours", "age ≤ 2 hours"),
        (
            "§6 cardinality checks",
            "match rate at least 98%, fan-out ratio less than 1.01",
            "match rate ≥ 98%, fanout ratio ≤ 1.01",
        ),
        ("§4 refresh cadence", "every hour", "hourly"),
        ("§4 refresh cadence", "every day", "daily"),
        ("§4 refresh cadence", "once a day", "daily"),
        ("§4 refresh cadence", "Nightly", "daily"),
        ("§4 refresh cadence", "hourly batch", "hourly"),
        ("§4 refresh cadence", "every 30m", "every 30 minutes"),
        ("§2 join type", "Left join", "left"),
        ("§2 key uniqueness expectation", "one-to-one", "1:1"),
        ("§3 point-in-time correctness", "yes", "required"),
        ("§3 point-in-time correctness", "Mandatory", "required"),
        ("§12 ml owner approval", "J. Smith, 2026-05-05", "J. Smith — 2026-05-05"),
        ("§12 ml owner approval", "J. Smith (2026-01-01)", "J. Smith — 2026-01-01"),
        ("§12 ml owner approval", "J. Smith -- 2026-01-01", "J. Smith — 2026-01-01"),
        ("§9 masking", "a_id must be hashed in exports", "a_id is hashed in exports"),
        ("§9 masking", "a_id will be hashed in exports", "a_id is hashed in exports"),
        ("§9 masking", "a_id is hashed (SHA-256) in exports", "a_id is hashed in exports"),
        (
            "§10 deprecation plan",
            "v1 is supported at least 90 days after v2 is out",
            "v1 is supported for 90 days after v2 release",
        ),
        (
            "§10 deprecation plan",
            "v1 is supported for 90 days following v2 release",
            "v1 is supported for 90 days after v2 release",
        ),
        ("§5.1 dedup rules", "Latest event per a_id and day", "Latest event per a_id per day"),
        ("§5.1 dedup rules", "Latest event per a_id and per day", "Latest event per a_id per day"),
        (
            "§5.1 dedup rules",
            "Latest event per a_id and b_id per calendar day",
            "Latest event per (a_id, b_id) per day",
        ),
        (
            "§5.1 filters",
            "one or more orders in the past 7 days",
            "at least one event in the last 7 days",
        ),
        (
            "§5.1 filters",
            "Customers with an event in the last 30 days",
            "at least one event in the last 30 days",
        ),
        (
            "§5.1 aggregation",
            "Rolling 7-day window, updated every 15 minutes.",
            "Rolling 7-day window",
        ),
        ("§5.1 aggregation", "Rolling 12h window per device_id", "Rolling 12h window"),
        ("§6 uniqueness", "At most one record per a_id", "One record per a_id"),
        ("§6 uniqueness", "a_id is unique", "One record per a_id"),
        (
            "§11 performance tests",
            "p95 read latency under 50ms, error rate below 0.1%",
            "p95 latency ≤ 50ms, error rate ≤ 0.1%",
        ),
        (
            "§11 performance tests",
            "latency p95 ≤ 50ms, error rate < 0.1%",
            "p95 latency ≤ 50ms, error rate ≤ 0.1%",
        ),
        (
            "§11 performance tests",
            "95th percentile latency under 50ms, error rate ≤ 0.1%",
            "p95 latency ≤ 50ms, error rate ≤ 0.1%",
        ),
        ("§9 pii", "yes: customer_id", "yes (customer_id)"),
        ("§9 pii", "Yes, customer_id", "yes (customer_id)"),
        ("§9 pii", "none", "no"),
        ("§9 audit requirements", "Twice-yearly access review", "half-yearly"),
        ("§9 audit requirements", "Access is reviewed twice a year", "half-yearly"),
    ],
)
def test_another_wording_means_the_same(clause: str, text: str, usual: str) -> None:
    assert READERS[clause](text) == (
        usual if clause == "§9 audit requirements" else READERS[clause](usual)
    )


@pytest.mark.parametrize(
    ("text", "minimum", "maximum"),
    [
        ("between 0 and 1", 0, 1),
        ("[0, 1]", 0, 1),
        ("[-5, 1,000]", -5, 1000),
        ("0..10", 0, 10),
        ("0–∞", 0, None),
    ],
)
def test_ranges_have_other_spellings(text: str, minimum: float, maximum: float | None) -> None:
    assert ranges.allowed(text) == Range(minimum=minimum, maximum=maximum)


def test_masking_without_a_place_holds_everywhere() -> None:
    masked = privacy.masking("customer_id is hashed")
    assert masked is not None
    assert (masked.columns, masked.method, masked.scope) == (("customer_id",), "hashed", "")


@pytest.mark.parametrize(
    ("clause", "text"),
    [
        ("§5.1 aggregation", "No rolling 30-day window."),
        ("§5.1 aggregation", "A rolling 30-day window is no longer used"),
        ("§5.1 aggregation", "Rolling 7-day window, not updated every 15 minutes"),
        ("§5.1 filters", "No customers with at least one event in the last 30 days"),
        ("§6 validity", "No numeric field must be ≥ 0"),
        ("§6 uniqueness", "More than one record per customer_id"),
        ("§6 uniqueness", "Zero or one record per customer_id"),
        ("§6 uniqueness", "One record per customer_id and day"),
        ("§6 uniqueness", "customer_id is not unique"),
        ("§6 uniqueness", "a_id and b_id are unique"),
        ("§5.1 dedup rules", "Latest five events per customer_id per day"),
        ("§6 outliers", "Values above 99th percentile are hardly ever flagged"),
        ("§3 allowed lateness", "may exceed 24h"),
        ("§10 deprecation plan", "v1 is unsupported for 90 days after v2 release"),
        ("§9 masking", "customer_id is hashed in no training datasets"),
        ("§9 masking", "customer_id is hashed (not) in training datasets"),
        ("§7 alert routing", "#a and #b"),
        ("§9 audit requirements", "Every other month"),
        ("§9 audit requirements", "bi-monthly"),
        ("§12 ml owner approval", "pending — 2026-01-01"),
        ("§12 ml owner approval", "Not approved — 2026-01-01"),
        ("§12 ml owner approval", "TBD (2026-01-01)"),
        ("§12 ml owner approval", "Rejected by J. Smith, 2026-01-01"),
        ("§2 expected match rate", "not 98% or more"),
        ("§2 expected match rate", "≤ 98% or more"),
        ("§2 expected match rate", "less than 98%"),
        ("§6 freshness", "age not below 2 hours"),
        ("§3 timestamp timezone", "not UTC"),
        ("§4 refresh cadence", "daily at 25:00"),
        ("§3 lookback window", "30m"),
        ("§5.2 allowed range", "(1,100)"),
        ("§11 performance tests", "p95 error rate ≤ 0.1%, latency ≤ 50ms"),
    ],
)
def test_a_contradiction_is_not_read_as_the_promise(clause: str, text: str) -> None:
    read = ranges.allowed if clause == "§5.2 allowed range" else READERS[clause]
    with pytest.raises(Unreadable):
        read(text)
