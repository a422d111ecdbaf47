"""Contracts written from a grammar, each beside the terms that a reader is to find in it.

Every clause has a strategy of (words, term) pairs; the term of a clause only people read is None.
Clauses that must agree with each other are drawn together, so that the contract is valid.
"""

from datetime import date, timedelta
from typing import Any

from hypothesis import strategies as st

from contract_checks.language.form import CLAUSES, TITLES
from contract_checks.language.terms import (
    ActivityFilter,
    Approval,
    Cadence,
    Cardinality,
    ConsistencyRule,
    DataType,
    Dedup,
    Deprecation,
    DriftThreshold,
    FanOut,
    Masking,
    Outliers,
    Performance,
    PersonalData,
    Range,
)

Words = tuple[str, Any]
Draw = Any

COLUMNS = ("customer_id", "seen_at", "region_code", "orders_net", "spend_total", "visits_web")
FEATURES = ("orders_net", "spend_total", "visits_web")
UNITS = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "min": timedelta(minutes=1),
    "h": timedelta(hours=1),
    " hours": timedelta(hours=1),
    "d": timedelta(days=1),
    "-day": timedelta(days=1),
    " weeks": timedelta(weeks=1),
}
NAMES = st.sampled_from(["Growth", "R. Osei", "Équipe Données", "Data & ML", "数据 team", "B2B"])
LEAST = st.sampled_from(["≥ ", "≥", ">= ", "at least "])
MOST = st.sampled_from(["≤ ", "≤", "<= ", "at most ", "no more than "])
CENTS = st.integers(-999_999_99, 999_999_99)


def spelled(number: float) -> st.SearchStrategy[str]:
    """A number as documents write it: plain, or with thousands separated by commas."""
    return st.sampled_from([f"{number:,}", f"{number}", f"{number}".replace("-", "−")])


def thousandths(count: int) -> str:
    """Thousandths as a number with one reading: 1.234 may be a thousand, 0.234 and 1.2340 not."""
    places = 4 if count > 1000 and count % 10 else 3
    return f"{count / 1000:.{places}f}" if count % 10 else f"{count / 1000}"


@st.composite
def durations(draw: Draw, words: str = "{}") -> Words:
    unit = draw(st.sampled_from(sorted(UNITS)))
    count = draw(st.integers(1, 500))
    return words.format(f"{count}{unit}"), count * UNITS[unit]


@st.composite
def shares(draw: Draw, words: str = "{}", sign: st.SearchStrategy[str] = MOST) -> Words:
    tenths = draw(st.integers(0, 1000))
    percent = draw(st.sampled_from(["%", " %", " percent"]))
    return words.format(f"{draw(sign)}{tenths / 10}{percent}"), tenths / 1000


def said(*words: str, **terms: object) -> st.SearchStrategy[Words]:
    """One of some words that mean themselves, or of some that mean another term."""
    return st.sampled_from([*((w.title(), w) for w in words), *terms.items()])


def named(strategy: st.SearchStrategy[str]) -> st.SearchStrategy[Words]:
    return strategy.map(lambda text: (text, text))


def several(strategy: st.SearchStrategy[str]) -> st.SearchStrategy[Words]:
    listed = st.lists(strategy, min_size=1, max_size=4, unique=True)
    return listed.map(lambda items: (", ".join(items), tuple(items)))


def approvals() -> st.SearchStrategy[Words]:
    days = st.dates(date(2000, 1, 1), date(2099, 12, 31))
    dash = st.sampled_from([" — ", " - ", ", "])
    return st.builds(lambda n, d, s: (f"{n}{s}{d}", Approval(name=n, date=d)), NAMES, days, dash)


IDENTIFIERS = st.sampled_from(COLUMNS)
TABLES = st.builds("{}.{}".format, st.sampled_from(["lake", "dwh.raw"]), IDENTIFIERS)
PROSE = st.sampled_from(["As agreed.", "Watch it: 3 ways, `a_b` ≥ 5%", "誰でも読める", "not *now*"])
YES = said(yes=True, No=False)
LIMITS = st.tuples(MOST, durations()).map(lambda both: (both[0] + both[1][0], both[1][1]))

SIMPLE: dict[str, st.SearchStrategy[Words]] = {
    "§1 status": said("draft", "active", "deprecated", "retired"),
    "§1 owner": named(NAMES),
    "§1 steward": named(NAMES),
    "§1 model": several(NAMES),
    "§2 primary entity": named(IDENTIFIERS),
    "§2 key uniqueness expectation": said("1:1", "1:n", "n:1", "n:m"),
    "§2 join type": said("left", "inner", "right", "outer"),
    "§2 join failure policy": said("default", "null", "drop", "fail"),
    "§3 timestamp timezone": st.sampled_from([("utc", "UTC"), ("Europe/Oslo", "Europe/Oslo")]),
    "§3 point-in-time correctness": st.sampled_from([("Required", True), ("not required", False)]),
    "§3 allowed lateness": durations() | LIMITS,
    "§4 source system": several(TABLES),
    "§4 source owner": named(NAMES),
    "§4 refresh cadence": (
        durations("every {}") | said(daily=timedelta(1), Weekly=timedelta(7))
    ).map(lambda said: (said[0], Cadence(every=said[1]))),
    "§4 upstream dependencies": several(IDENTIFIERS) | said(none=()),
    "§4 lineage link": named(st.sampled_from(["http://a", "https://a.b:80/c?d=e#f"])),
    "§5.2 units": named(NAMES),
    "§6 completeness": shares("null rate {}"),
    "§6 outliers": st.integers(500, 999).map(
        lambda n: (
            f"Values above {n / 10}th percentile are flagged",
            Outliers(percentile=n / 10, action="flag"),
        )
    ),
    "§6 freshness": LIMITS.map(lambda limit: (f"Feature age {limit[0]}", limit[1])),
    "§7 baseline window": durations("last {}"),
    "§7 alert routing": named(st.sampled_from(["#ml-alerts", "a.b@c.example"])),
    "§8 offline computation path": named(TABLES),
    "§8 online computation path": named(TABLES),
    "§8 parity required": YES,
    "§8 shadow compare enabled": YES,
    "§8 acceptable delta": shares("{} difference"),
    "§9 data classification": said("public", "internal", "confidential", "restricted"),
    "§9 retention policy": durations() | LIMITS,
    "§9 approved consumers": several(NAMES),
    "§9 audit requirements": said("weekly", "monthly", "quarterly", "yearly"),
    "§10 served versions immutable": YES,
    "§10 breaking changes require new version": YES,
    "§11 backfill validation": durations("a {} stretch"),
    "§11 canary materialization": YES,
    "§11 shadow reads": YES,
    "§12 data owner approval": approvals(),
    "§12 ml owner approval": approvals(),
    "§12 platform approval": approvals(),
}


@st.composite
def agreeing(draw: Draw) -> dict[str, Words]:
    """The clauses that must agree with each other, each in a wording of its own."""
    key = draw(st.sampled_from([("customer_id",), ("customer_id", "region_code")]))
    keys, per = " + ".join(key), " and ".join(key)
    days = draw(st.integers(1, 60))
    window = timedelta(days)
    windows = st.sampled_from([f"{days}d", f"{days} days", f"{24 * days}h", f"{1440 * days} min"])
    rate, least_rate = draw(shares(sign=LEAST))
    fanout = draw(st.integers(100, 500)) / 100
    low, high = (cents / 100 for cents in sorted([draw(CENTS), draw(CENTS)]))
    default = draw(st.sampled_from([low, high]))
    warn, fail = sorted(draw(st.sets(st.integers(1, 5000), min_size=2, max_size=2)))
    version, later = f"v{draw(st.integers(1, 99))}", f"v{draw(st.integers(100, 199))}"
    support, supported = draw(durations())
    latency, slowest = draw(durations())
    errors, most_errors = draw(shares())
    operator = draw(st.sampled_from("≥≤><="))
    events = draw(st.integers(1, 99))
    spread = f"{draw(spelled(low))} to {draw(spelled(high))}"
    allowed = Range(minimum=low, maximum=high)
    return {
        "§1 feature name": ("customer_profile", "customer_profile"),
        "§1 version": (version, version),
        "§2 join keys": (keys, key),
        "§2 expected match rate": (rate, least_rate),
        "§2 fanout": ("keep the newest by seen_at", FanOut(keep="latest", by="seen_at", key=())),
        "§3 event timestamp field": ("seen_at", "seen_at"),
        "§3 lookback window": (draw(windows), window),
        "§5.1 aggregation": (f"Sums over a rolling window of {draw(windows)}", window),
        "§5.1 filters": draw(
            st.sampled_from(
                [
                    ("none", None),
                    (
                        f"At least {events} visits in the last {draw(windows)}.",
                        ActivityFilter(minimum_events=events, window=window),
                    ),
                ]
            )
        ),
        "§5.1 dedup rules": (
            f"Latest event per {per} per day",
            Dedup(keep="latest", key=key, period="day"),
        ),
        "§5.2 data type": (
            f"struct({', '.join(FEATURES)})",
            DataType(name="struct", fields=FEATURES),
        ),
        "§5.2 nullable": ("no", False),
        "§5.2 default value": (draw(spelled(default)), default),
        "§5.2 allowed range": (
            "".join(f"\n  - {feature}: {spread}" for feature in FEATURES),
            dict.fromkeys(FEATURES, allowed),
        ),
        "§6 validity": (f"every number is {draw(LEAST)}{draw(spelled(low))}", low),
        "§6 uniqueness": (f"One record per {per}", key),
        "§6 consistency": (
            f"spend_total {operator} orders_net",
            (ConsistencyRule(left="spend_total", operator=operator, right="orders_net"),),
        ),
        "§6 cardinality checks": (
            f"match rate {rate}, fanout ratio {draw(MOST)}{fanout}",
            Cardinality(minimum_match_rate=least_rate, maximum_fanout_ratio=fanout),
        ),
        "§7 drift metrics": ("PSI, KS", ("PSI", "KS")),
        "§7 thresholds": ("", None),
        "§7 warn": (
            f"PSI ≥ {thousandths(warn)}",
            DriftThreshold(metric="PSI", minimum=warn / 1000),
        ),
        "§7 fail": (
            f"PSI >= {thousandths(fail)}",
            DriftThreshold(metric="PSI", minimum=fail / 1000),
        ),
        "§9 pii": (f"yes ({per})", PersonalData(present=True, columns=key)),
        "§9 masking": (
            f"{keys} is hashed in every export",
            Masking(columns=key, method="hashed", scope="every export"),
        ),
        "§10 deprecation plan": (
            f"{version} is supported for {support} after {later} release",
            Deprecation(version=version, support=supported, successor=later),
        ),
        "§10 changelog": (f"\n  - {version} — 2026-01-31: As agreed", {version: date(2026, 1, 31)}),
        "§11 performance tests": (
            f"p99.9 latency ≤ {latency}, error rate {errors}",
            Performance(
                latency_percentile=99.9, maximum_latency=slowest, maximum_error_rate=most_errors
            ),
        ),
    }


@st.composite
def promises(draw: Draw) -> dict[str, Words]:
    """The words and the term of every clause of a valid contract."""
    drawn = {clause: draw(strategy) for clause, strategy in SIMPLE.items()} | draw(agreeing())
    return {clause.id: drawn.get(clause.id) or (draw(PROSE), None) for clause in CLAUSES}


def written(promised: dict[str, Words]) -> str:
    """The document that makes these promises."""
    version = promised["§1 version"][0]
    lines = [f"# Feature Contract — customer_profile ({version})"]
    for number, title in TITLES.items():
        lines += ["", f"## {number}. {title}", ""]
        for clause in CLAUSES:
            if clause.section == number:
                indent = "  " if clause.parent else ""
                lines.append(f"{indent}- **{clause.label}:** {promised[clause.id][0]}")
    return "\n".join(lines)
