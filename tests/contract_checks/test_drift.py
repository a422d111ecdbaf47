"""Drift: which values are compared, what the baseline in use is, and what is said of them."""

import json
import math
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer
from drift_stores import (
    AS_OF,
    DRIFT,
    FEATURES,
    STILL,
    TICK,
    TTL,
    TYPES,
    VIEW,
    WARNED,
    WINDOW,
    Rows,
    alert,
    drawn_instant,
    row,
    stores,
    view_of,
    write,
)
from feast_copy import HISTORY, apply, copy_of_the_project
from typer.testing import CliRunner

import contract_checks.checks.drift  # noqa: F401  (importing binds the checks)
from contract_checks.evidence.declared import RegisteredView, Registry
from contract_checks.evidence.drift import freeze, read_drift
from contract_checks.evidence.evidence import Evidence
from contract_checks.evidence.facts import Distribution, Drift, Join, MissingEvidence, Operations
from contract_checks.evidence.tables import offline_sessions
from contract_checks.findings import Finding, Outcome
from contract_checks.judge import CHECKS
from contract_checks.language.contract import Contract
from contract_checks.language.loader import load
from contract_checks.operations.log import ADDRESS_VARIABLE, OperationsLog, Record
from jobs.reporting import freeze_baseline, recording
from scripts.freeze_baseline import main

ROOT = Path(__file__).parents[2]

Script = Callable[[datetime], tuple[int, str, str]]


@pytest.fixture(scope="session")
def contract() -> Contract:
    return load(ROOT / "contracts" / "customer_profile_v1.md")


def reworded(folder: Path, says: str, instead: str) -> Contract:
    text = (ROOT / "contracts" / "customer_profile_v1.md").read_text(encoding="utf-8")
    assert says in text
    copy = folder / "contract.md"
    copy.write_text(text.replace(says, instead), encoding="utf-8")
    return load(copy)


# What is compared: one value per entity.


def in_force(rows: Rows, customer: int, instant: datetime) -> dict[str, Any] | None:
    known = [r for r in rows if r["customer_id"] == customer and r["event_timestamp"] <= instant]
    newest = max(known, key=lambda r: r["event_timestamp"], default=None)
    return newest if newest and newest["event_timestamp"] >= instant - TTL else None


def per_bin(frozen: dict[str, Any]) -> list[int]:
    return [count for count in frozen["counts"] if count]


def baseline(figures: dict[str, Any], hours: float = 0) -> Record:
    return Record("baseline", VIEW, AS_OF + timedelta(hours=hours), True, 1.0, figures)


def promotion(hours: float, **changes: Any) -> Record:
    return replace(Record("promotion", VIEW, AS_OF + timedelta(hours=hours), True, 1.0), **changes)


def drift_of(
    contract: Contract, view: RegisteredView, *records: Record, as_of: datetime = AS_OF
) -> Drift:
    """The drift; missing evidence is raised."""
    sessions = offline_sessions(contract, view)
    return read_drift(contract, view, Operations(records), sessions, as_of)


def test_each_customer_counts_once_with_the_value_in_force(
    contract: Contract, tmp_path: Path
) -> None:
    draw = random.Random(5)
    customers = range(400)
    rows = [
        row(customer, AS_OF - draw.random() * timedelta(days=100), draw.randrange(3))
        for customer in customers
        for _ in range(draw.randrange(1, 9))
    ]
    view = stores(tmp_path, rows)
    figures = freeze(contract, view, AS_OF)

    then = [in_force(rows, customer, drawn_instant(customer)) for customer in customers]
    now = [in_force(rows, customer, AS_OF) for customer in customers]
    assert None in then
    assert None in now
    expected_then = Counter(r["orders_30d"] for r in then if r)
    expected_now = Counter(r["orders_30d"] for r in now if r)
    assert expected_then != expected_now
    assert figures["rows"] == expected_then.total()
    assert figures["features"]["orders_30d"]["alone"] == [0.0, 1.0, 2.0]
    assert per_bin(figures["features"]["orders_30d"]) == [expected_then[n] for n in range(3)]

    spread = drift_of(contract, view, baseline(figures)).features["orders_30d"]
    counts = zip(spread.bins, spread.baseline, spread.current, strict=True)
    assert {name: (a, b) for name, a, b in counts if a or b} == {
        str(n): (expected_then[n], expected_now[n]) for n in range(3)
    }
    n, m = expected_then.total(), expected_now.total()
    p = [(expected_then[v] + 0.5) / (n + 1.5) for v in range(3)]
    q = [(expected_now[v] + 0.5) / (m + 1.5) for v in range(3)]
    by_hand = sum((b - a) * math.log(b / a) for a, b in zip(p, q, strict=True))
    assert spread.psi == pytest.approx(by_hand, rel=1e-12)
    assert spread.noise == pytest.approx((1 / n + 1 / m) * 5.991, rel=1e-3)  # χ², 2 degrees


def test_the_edges_of_a_customers_instant(contract: Contract, tmp_path: Path) -> None:
    instants = [drawn_instant(customer) for customer in range(5)]
    assert all(AS_OF - WINDOW < instant <= AS_OF for instant in instants)
    rows = [
        row(0, instants[0], 10),  # at the instant: in force
        row(1, instants[1] + TICK, 20),  # just after it: not yet
        row(2, instants[2] - TTL, 30),  # as old as the ttl: still
        row(3, instants[3] - TTL - TICK, 40),  # older: no longer
        row(4, instants[4] - 2 * TICK, 50),  # superseded
        row(4, instants[4] - TICK, 60),
    ]
    figures = freeze(contract, stores(tmp_path, rows), AS_OF)
    assert figures["features"]["orders_30d"]["alone"] == [10.0, 30.0, 60.0]


def test_the_edges_of_the_present(contract: Contract, tmp_path: Path) -> None:
    long_ago = AS_OF - timedelta(days=100)
    rows = [
        *(row(customer, drawn_instant(customer), 5) for customer in range(20)),
        row(100, AS_OF, 10),
        row(101, AS_OF - TTL, 20),
        row(102, AS_OF - TTL - TICK, 30),
        row(103, AS_OF + TICK, 40),  # not yet known
        row(104, long_ago, 50),
    ]
    view = stores(tmp_path, rows)
    figures = freeze(contract, view, AS_OF)
    figures["features"]["orders_30d"] |= {
        "edges": [],
        "alone": [10.0, 20.0, 30.0, 40.0, 50.0],
        "counts": [20, *[0] * 11],
    }
    spread = drift_of(contract, view, baseline(figures)).features["orders_30d"]
    assert [name for name, now in zip(spread.bins, spread.current, strict=True) if now] == [
        "< 10",
        "10",
        "20",
    ]


def test_a_baseline_is_the_same_however_its_rows_lie(contract: Contract, tmp_path: Path) -> None:
    draw = random.Random(6)
    rows = [
        row(customer, AS_OF - draw.random() * timedelta(days=40), draw.randrange(100))
        for customer in range(300)
        for _ in range(4)
    ]
    first = freeze(contract, stores(tmp_path / "a", rows), AS_OF)
    draw.shuffle(rows)
    assert freeze(contract, stores(tmp_path / "b", rows), AS_OF) == first
    assert first["digest"]


def test_what_is_no_number_is_counted_apart(contract: Contract, tmp_path: Path) -> None:
    values = [None, math.nan, math.inf, -math.inf, 5.0, 7.0]
    rows = [row(n, drawn_instant(n)) for n in range(6)]
    for each, value in zip(rows, values, strict=True):
        each["avg_order_value_30d"] = value
    view = stores(tmp_path, [*rows, row(None, AS_OF, 9), row(7, None, 9)])
    figures = freeze(contract, view, AS_OF)
    json.dumps(figures, allow_nan=False)
    assert figures["rows"] == 6
    assert per_bin(figures["features"]["avg_order_value_30d"]) == [1, 1, 4]
    spread = drift_of(contract, view, baseline(figures)).features["avg_order_value_30d"]
    assert (spread.bins[-1], spread.current[-1], spread.psi) == ("no number", 4, 0.0)


def test_features_that_are_no_numbers_are_left_out(contract: Contract, tmp_path: Path) -> None:
    rows = [row(n, drawn_instant(n)) for n in range(6)]
    view = stores(tmp_path, rows)
    figures = freeze(contract, view, AS_OF)
    assert tuple(figures["features"]) == FEATURES
    table = pq.read_table(view.source_path)
    words = pa.array(["many"] * table.num_rows)
    money = table["avg_order_value_30d"].cast(pa.decimal128(38, 12))
    table = table.set_column(table.column_names.index("orders_30d"), "orders_30d", words)
    table = table.drop_columns(["sessions_30d", "avg_order_value_30d"])
    pq.write_table(table.append_column("avg_order_value_30d", money), view.source_path)
    assert tuple(drift_of(contract, view, baseline(figures)).features) == FEATURES[:2]


def test_the_join_is_measured_before_defaults(contract: Contract, tmp_path: Path) -> None:
    rows = [row(n, AS_OF - TTL) for n in range(8)]
    doubled = [*rows, row(7, AS_OF - TTL)]
    view = stores(tmp_path, [*doubled, row(8, AS_OF - 3 * TTL), row(9, AS_OF - 3 * TTL)])
    figures = freeze(contract, view, AS_OF)
    assert (figures["match_rate"], figures["fanout_ratio"]) == (8 / 10, 9 / 8)


def test_a_baseline_is_no_longer_than_its_table(contract: Contract, tmp_path: Path) -> None:
    old = [row(1, AS_OF - WINDOW - TICK), row(1, AS_OF - TICK)]
    young = [row(1, AS_OF - WINDOW + TICK), row(1, AS_OF - TICK)]
    began = [
        freeze(contract, stores(tmp_path / name, rows), AS_OF)["from"]
        for name, rows in (("old", old), ("young", young))
    ]
    assert began == [(AS_OF - WINDOW).isoformat(), (AS_OF - WINDOW + TICK).isoformat()]


def test_a_changed_figure_shows(contract: Contract, tmp_path: Path) -> None:
    view = stores(tmp_path, [row(n, drawn_instant(n), n % 3) for n in range(60)])
    log = OperationsLog(f"sqlite:///{tmp_path / 'operations.db'}")
    log.append(baseline(freeze(contract, view, AS_OF)))
    (read,) = log.records(AS_OF)
    assert drift_of(contract, view, read).intact
    assert set(read.figures) == {
        *("from", "to", "rows", "features", "match_rate", "fanout_ratio", "digest")
    }
    for name in read.figures:
        changed = json.loads(json.dumps(read.figures))
        if name == "features":
            changed["features"]["orders_30d"]["counts"][1] += 1
        elif name in ("from", "to"):
            changed[name] = (AS_OF - timedelta(days=90)).isoformat()
        else:
            changed[name] = 0.5
        assert not drift_of(contract, view, baseline(changed)).intact, name


def test_the_baseline_in_use_is_the_one_promoted_with(contract: Contract, tmp_path: Path) -> None:
    view = stores(tmp_path, [row(n, drawn_instant(n)) for n in range(5)])
    figures = freeze(contract, view, AS_OF)

    def frozen(hours: float, **changes: Any) -> Record:
        """A baseline that is told from others by its beginning."""
        named = {**figures, "from": (AS_OF + timedelta(hours=hours)).isoformat()}
        return replace(baseline(named, hours), **changes)

    in_use: list[tuple[float, list[Record]]] = [
        (2, [frozen(1), frozen(2)]),
        (1, [frozen(1), promotion(1.5), frozen(2)]),
        (1, [frozen(1), promotion(1), frozen(1, figures={})]),  # all at the same instant
        (2, [frozen(1), promotion(1.5), frozen(2), promotion(3), frozen(4)]),
        (2, [frozen(1), frozen(2), promotion(3, passed=False)]),
        (2, [frozen(1), promotion(1.5, passed=False), frozen(2)]),
        (2, [frozen(1), promotion(1.5, subject="customer_profile_v2"), frozen(2)]),
        (1, [frozen(1), frozen(2, passed=False, figures={"error": "no table"})]),
        (1, [frozen(1), frozen(2, subject="customer_profile_v2")]),
        (2, [promotion(1), frozen(2), frozen(3)]),  # promoted without any
    ]
    for hours, records in in_use:
        drift = drift_of(contract, view, *records)
        assert drift.baseline_from == AS_OF + timedelta(hours=hours), records

    for without in ([], [promotion(1)], [frozen(1, passed=False)]):
        with pytest.raises(MissingEvidence, match="freeze_baseline"):
            drift_of(contract, view, *without)


def nothing(folder: Path) -> RegisteredView:
    return view_of(folder / "absent.parquet")


def emptied(folder: Path) -> RegisteredView:
    return stores(folder, [])


def long_gone(folder: Path) -> RegisteredView:
    return stores(folder, [row(n, AS_OF - WINDOW - TTL - TICK) for n in range(5)])


def without_features(folder: Path) -> RegisteredView:
    view = stores(folder, [row(n, drawn_instant(n)) for n in range(5)])
    table = pq.read_table(view.source_path)
    pq.write_table(table.drop_columns(list(FEATURES)), view.source_path)
    return view


def without_events(folder: Path) -> RegisteredView:
    view = stores(folder, [row(n, drawn_instant(n)) for n in range(5)])
    (folder / "customer_events.parquet").unlink()
    return view


def without_active(folder: Path) -> RegisteredView:
    view = stores(folder, [row(n, drawn_instant(n)) for n in range(5)])
    write([], folder / "customer_events.parquet", list(TYPES)[:3])
    return view


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (nothing, "no offline table"),
        (emptied, "no entity has a value in force"),
        (long_gone, "no entity has a value in force"),
        (without_features, "no numeric feature"),
        (without_events, "no events"),
        (without_active, "no entity active"),
    ],
)
def test_nothing_is_frozen_without_evidence(
    made: Callable[[Path], RegisteredView], why: str, contract: Contract, tmp_path: Path
) -> None:
    with pytest.raises(MissingEvidence, match=why):
        freeze(contract, made(tmp_path), AS_OF)


def test_no_drift_is_measured_of_no_values(contract: Contract, tmp_path: Path) -> None:
    view = stores(tmp_path / "a", [row(n, drawn_instant(n)) for n in range(5)])
    frozen = baseline(freeze(contract, view, AS_OF))
    for made in (nothing, emptied, long_gone, without_features):
        with pytest.raises(MissingEvidence):
            drift_of(contract, made(tmp_path / made.__name__), frozen)
    with pytest.raises(MissingEvidence, match="value in force"):
        drift_of(contract, view, frozen, as_of=AS_OF + TTL + TICK)


# What is said of it.

BLOCKED = replace(WARNED, psi=0.2)
NOISY = Distribution(("0", "1"), (5, 5), (1, 9), 0.6, 0.77)
JOIN = Join(1000, 980, 980, ("customer_id=7",))
KEPT, BROKEN, UNKNOWN = Outcome.KEPT, Outcome.BROKEN, Outcome.UNKNOWN


def evidence(
    drift: Drift | MissingEvidence = DRIFT,
    records: tuple[Record, ...] = (),
    join: Join | MissingEvidence = JOIN,
    channel: str = "#ml-alerts Slack channel",
    **gathered: Any,
) -> Evidence:
    absent = MissingEvidence("not gathered")
    view = view_of(Path("offline.parquet"), **({"alerts": channel} if channel else {}))
    facts: dict[str, Any] = {
        "as_of": AS_OF + timedelta(hours=2),
        "gathered_registry": Registry("feature_store", {}, {VIEW: view}, {}),
        "gathered_offline": absent,
        "gathered_online": absent,
        "gathered_join": join,
        "gathered_probes": absent,
        "gathered_parity": absent,
        "gathered_operations": Operations(records),
        "gathered_drift": drift,
        "gathered_training_sets": absent,
        "gathered_oldest": absent,
        "gathered_signatures": absent,
    }
    return Evidence(**(facts | gathered))


def with_orders(spread: Distribution) -> Drift:
    return replace(DRIFT, features={**DRIFT.features, "orders_30d": spread})


def findings(clause: str, contract: Contract, given: Evidence) -> list[Finding]:
    (bound,) = [check for check in CHECKS if check.clause == clause]
    return list(bound.run(contract, given))


def worst(found: list[Finding]) -> Outcome:
    outcomes = {finding.outcome for finding in found}
    assert outcomes
    return next(outcome for outcome in (BROKEN, UNKNOWN, KEPT) if outcome in outcomes)


JUDGED: list[tuple[str, Outcome, dict[str, Any]]] = [
    ("§7 baseline window", KEPT, {}),
    ("§7 baseline window", BROKEN, {"drift": replace(DRIFT, baseline_from=AS_OF - WINDOW - TICK)}),
    ("§7 baseline window", BROKEN, {"drift": replace(DRIFT, baseline_from=AS_OF - WINDOW + TICK)}),
    ("§7 baseline window", KEPT, {"as_of": AS_OF}),
    ("§7 baseline window", BROKEN, {"as_of": AS_OF - TICK}),
    ("§7 baseline window", BROKEN, {"drift": replace(DRIFT, intact=False)}),
    ("§7 drift metrics", KEPT, {}),
    (
        "§7 drift metrics",
        BROKEN,
        {"drift": replace(DRIFT, features=dict.fromkeys(FEATURES[1:], STILL))},
    ),
    ("§7 drift metrics", BROKEN, {"drift": replace(DRIFT, features={})}),
    ("§7 warn", KEPT, {}),
    ("§7 warn", KEPT, {"drift": with_orders(replace(WARNED, psi=math.nextafter(0.1, 0)))}),
    ("§7 warn", BROKEN, {"drift": with_orders(WARNED)}),
    ("§7 warn", KEPT, {"drift": with_orders(WARNED), "records": (alert(),)}),
    ("§7 warn", KEPT, {"drift": with_orders(WARNED), "records": (alert(0),)}),
    ("§7 warn", KEPT, {"drift": with_orders(WARNED), "records": (alert(clause="§7 fail"),)}),
    ("§7 warn", BROKEN, {"drift": with_orders(WARNED), "records": (alert(-0.001),)}),
    (
        "§7 warn",
        BROKEN,
        {"drift": with_orders(WARNED), "records": (alert(feature="sessions_30d"),)},
    ),
    (
        "§7 warn",
        BROKEN,
        {"drift": with_orders(WARNED), "records": (alert(clause="§6 freshness"),)},
    ),
    ("§7 warn", BROKEN, {"drift": with_orders(WARNED), "records": (alert(delivered=False),)}),
    (
        "§7 warn",
        BROKEN,
        {"drift": with_orders(WARNED), "records": (alert(subject="customer_profile_v2"),)},
    ),
    *(
        ("§7 warn", outcome, {"drift": with_orders(spread), "records": records})
        for outcome, spread, records in (
            (BROKEN, WARNED, (alert(1), alert(2, state="ended"))),
            (BROKEN, WARNED, (alert(1), alert(2, state="ended", delivered=False))),
            (KEPT, WARNED, (alert(1), alert(2, feature="sessions_30d", state="ended"))),
            (KEPT, WARNED, (alert(1), alert(2, clause="§7 fail", state="ended"))),
            (KEPT, WARNED, (alert(-9), alert(-5, state="ended"), alert(1))),
            (BROKEN, WARNED, (alert(1), alert(2, state="ended"), alert(2, delivered=False))),
            # Put on record, then delivered; delivered later it still began before the baseline.
            (KEPT, WARNED, (alert(1, delivered=False), alert(2))),
            (BROKEN, WARNED, (alert(-1, delivered=False), alert(2))),
            # A warning, however often told, does not tell of a block.
            (BROKEN, BLOCKED, (alert(1),)),
            (BROKEN, BLOCKED, (alert(1), alert(2, clause="§7 fail", delivered=False))),
            (KEPT, BLOCKED, (alert(1), alert(2, clause="§7 fail"))),
            (KEPT, BLOCKED, (alert(clause="§7 fail"),)),
            (KEPT, replace(BLOCKED, psi=math.nextafter(0.2, 0)), (alert(1),)),
        )
    ),
    ("§7 warn", UNKNOWN, {"drift": with_orders(NOISY)}),
    ("§7 warn", UNKNOWN, {"drift": replace(DRIFT, features={})}),
    ("§7 warn", UNKNOWN, {"drift": replace(DRIFT, intact=False)}),
    ("§7 fail", KEPT, {}),
    ("§7 fail", KEPT, {"drift": with_orders(WARNED)}),
    ("§7 fail", KEPT, {"drift": with_orders(replace(BLOCKED, psi=math.nextafter(0.2, 0)))}),
    ("§7 fail", BROKEN, {"drift": with_orders(BLOCKED)}),
    ("§7 fail", UNKNOWN, {"drift": with_orders(NOISY)}),
    ("§7 fail", BROKEN, {"drift": with_orders(replace(NOISY, psi=0.77))}),
    ("§7 fail", UNKNOWN, {"drift": replace(DRIFT, features={})}),
    ("§7 fail", UNKNOWN, {"drift": replace(DRIFT, intact=False)}),
    ("§7 join drift checks", KEPT, {}),
    ("§7 join drift checks", KEPT, {"join": replace(JOIN, matched=970, joined_rows=970)}),
    ("§7 join drift checks", BROKEN, {"join": replace(JOIN, matched=969, joined_rows=969)}),
    ("§7 join drift checks", KEPT, {"join": Join(1000, 1000, 1010, ())}),
    ("§7 join drift checks", BROKEN, {"join": Join(1000, 1000, 1011, ())}),
    (  # on the edge: 310/600 - (1 - 0.98) is a float above 298/600
        "§7 join drift checks",
        KEPT,
        {"drift": replace(DRIFT, baseline_match_rate=310 / 600), "join": Join(600, 298, 298, ())},
    ),
    ("§7 join drift checks", UNKNOWN, {"join": Join(0, 0, 0, ())}),
    ("§7 join drift checks", UNKNOWN, {"join": Join(10, 0, 0, ())}),
    ("§7 join drift checks", UNKNOWN, {"drift": replace(DRIFT, intact=False)}),
    ("§7 alert routing", KEPT, {}),
    ("§7 alert routing", KEPT, {"channel": "#ml-alerts"}),
    ("§7 alert routing", BROKEN, {"channel": "#elsewhere"}),
    ("§7 alert routing", BROKEN, {"channel": "#ml-alerts-test"}),
    ("§7 alert routing", BROKEN, {"channel": "whom it may concern"}),
    ("§7 alert routing", BROKEN, {"channel": ""}),
    ("§7 alert routing", KEPT, {"records": (alert(), alert(clause="§6 freshness"))}),
    ("§7 alert routing", BROKEN, {"records": (alert(), alert(feature="x", delivered=False))}),
    ("§7 alert routing", BROKEN, {"records": (alert(feature="x", delivered=False), alert(2))}),
    ("§7 alert routing", BROKEN, {"records": (alert(clause="x", delivered=False), alert(2))}),
    ("§7 alert routing", BROKEN, {"records": (alert(channel="#elsewhere"),)}),
    ("§7 alert routing", KEPT, {"records": (alert(1, delivered=False), alert(2))}),
    ("§7 alert routing", BROKEN, {"records": (alert(1), alert(2, delivered=False))}),
    ("§7 alert routing", KEPT, {"records": (alert(subject="other_view", channel="#other"),)}),
    ("§7 alert routing", UNKNOWN, {"gathered_operations": MissingEvidence("no log")}),
]


@pytest.mark.parametrize(("clause", "outcome", "given"), JUDGED)
def test_judged(clause: str, outcome: Outcome, given: dict[str, Any], contract: Contract) -> None:
    found = findings(clause, contract, evidence(**given))
    assert worst(found) is outcome, found
    assert all(finding.expected and finding.got for finding in found)
    assert not any("could not be judged" in finding.got for finding in found)


def clauses() -> Iterator[str]:
    yield from (check.clause for check in CHECKS if check.judge.__module__.endswith("checks.drift"))


def test_every_clause_has_been_kept_and_broken() -> None:
    assert set(clauses()) == {clause for clause, _, _ in JUDGED}
    for clause in clauses():
        assert {outcome for judged, outcome, _ in JUDGED if judged == clause} >= {KEPT, BROKEN}


def test_without_evidence_every_clause_is_unknown(contract: Contract) -> None:
    absent = MissingEvidence("no baseline of customer_profile_v1 is on record")
    given = evidence(drift=absent, gathered_registry=absent)
    for clause in clauses():
        assert [f.outcome for f in findings(clause, contract, given)] == [UNKNOWN], clause


def test_a_block_says_how_far_of_how_many_and_where(contract: Contract) -> None:
    found = findings("§7 fail", contract, evidence(with_orders(BLOCKED)))
    (broken,) = [finding for finding in found if finding.outcome is BROKEN]
    assert broken.expected == "orders_30d PSI < 0.2"
    assert broken.got == "PSI 0.2000 (n = 1,000, m = 1,000, noise 0.0120)"
    assert broken.sample == ("0: 50.0% → 34.0%", "1: 50.0% → 65.0%", "2: 0.0% → 1.0%")
    assert len(found) == len(FEATURES)


def test_a_warning_that_was_told_is_flagged_and_breaks_nothing(contract: Contract) -> None:
    found = findings("§7 warn", contract, evidence(with_orders(WARNED), (alert(),)))
    (flagged,) = [finding for finding in found if finding.count]
    assert (flagged.outcome, flagged.count) == (KEPT, 1)
    assert flagged.got.endswith("told by an alert")


def test_a_fan_out_on_the_edge_of_its_room_is_kept(tmp_path: Path) -> None:
    roomy = reworded(tmp_path, "fanout ratio ≤ 1.01", "fanout ratio ≤ 1.15")
    for rows, outcome in ((128, KEPT), (129, BROKEN)):  # 1.13 + (1.15 - 1) is a float below 1.28
        given = evidence(replace(DRIFT, baseline_fanout_ratio=1.13), join=Join(100, 100, rows, ()))
        assert worst(findings("§7 join drift checks", roomy, given)) is outcome


@pytest.mark.parametrize("clause", ["§7 warn", "§7 fail"])
def test_insufficient_data_leaves_the_other_features_judged(
    clause: str, contract: Contract
) -> None:
    *others, unknown = findings(clause, contract, evidence(with_orders(NOISY)))
    assert [finding.outcome for finding in others] == [KEPT] * 3
    assert unknown.outcome is UNKNOWN
    assert "insufficient data" in unknown.got
    assert "orders_30d PSI 0.6000 (n = 10, m = 10, noise 0.7700)" in unknown.got


def test_a_metric_nobody_measures_is_unknown_beside_one_that_is(
    contract: Contract, tmp_path: Path
) -> None:
    both = reworded(tmp_path, "**Drift metrics:** PSI", "**Drift metrics:** psi, KL divergence")
    measured, unknown = findings("§7 drift metrics", both, evidence())
    assert (measured.outcome, unknown.outcome) == (KEPT, UNKNOWN)
    assert unknown.got == "KL divergence cannot be measured yet; PSI can"


def test_thresholds_on_a_metric_nobody_measures_are_unknown(
    contract: Contract, tmp_path: Path
) -> None:
    text = (ROOT / "contracts" / "customer_profile_v1.md").read_text(encoding="utf-8")
    (tmp_path / "contract.md").write_text(text.replace("PSI", "KL"), encoding="utf-8")
    other = load(tmp_path / "contract.md")
    for clause in ("§7 drift metrics", "§7 warn", "§7 fail"):
        assert [f.outcome for f in findings(clause, other, evidence())] == [UNKNOWN], clause


# The whole way: frozen by the script, told from the log, judged by the checks.


def test_half_the_orders_gone_are_a_block(contract: Contract, tmp_path: Path) -> None:
    draw = random.Random(8)
    rows = [row(n, AS_OF - timedelta(days=29), draw.randrange(0, 12)) for n in range(2000)]
    rows += [row(n, drawn_instant(n), draw.randrange(0, 12)) for n in range(2000)]
    view = stores(tmp_path, rows)
    frozen = baseline(freeze(contract, view, AS_OF))
    later = AS_OF + timedelta(hours=1)
    rows += [row(n, later, draw.randrange(0, 12)) for n in range(2000)]
    view = stores(tmp_path, rows)
    still = drift_of(contract, view, frozen, as_of=later)
    assert worst(findings("§7 fail", contract, evidence(still))) is KEPT
    assert worst(findings("§7 warn", contract, evidence(still))) is KEPT
    later += TICK
    rows += [row(n, later, draw.randrange(0, 6)) for n in range(2000)]
    view = stores(tmp_path, rows)
    moved = drift_of(contract, view, frozen, as_of=later)
    broken = [f for f in findings("§7 fail", contract, evidence(moved)) if f.outcome is BROKEN]
    assert [f.expected.split()[0] for f in broken] == ["avg_order_value_30d", "orders_30d"]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project with its registry, without data."""
    folder = copy_of_the_project(tmp_path_factory.mktemp("project"))
    apply(folder)
    return folder


@pytest.fixture
def script(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Script]:
    """The script as run in the project: exit code, what it says, what it complains of."""

    def frozen(as_of: datetime) -> tuple[int, str, str]:
        done = CliRunner().invoke(app, ["--as-of", as_of.isoformat()])
        return done.exit_code, " ".join(done.stdout.split()), " ".join(done.stderr.split())

    app = typer.Typer()
    app.command()(main)
    monkeypatch.setattr(freeze_baseline, "ROOT", project)
    monkeypatch.setattr(recording, "ROOT", project)
    monkeypatch.delenv(ADDRESS_VARIABLE, raising=False)
    monkeypatch.setenv("COLUMNS", "120")
    yield frozen
    for made in (project / HISTORY.parent).iterdir():
        made.unlink()
    (project / "data" / "operations.db").unlink(missing_ok=True)


def on_record(project: Path) -> OperationsLog:
    return OperationsLog(f"sqlite:///{project / 'data' / 'operations.db'}")


def two_values(project: Path) -> None:
    """Fifty customers, of whom every other one orders."""
    rows = [row(n, AS_OF - timedelta(days=40), n % 2) for n in range(50)]
    stores(project / HISTORY.parent, [*rows, *(row(n, drawn_instant(n), n % 2) for n in range(50))])


def test_the_script_leaves_a_baseline_on_record(
    script: Script, project: Path, contract: Contract
) -> None:
    two_values(project)
    assert not freeze_baseline.is_frozen(contract, AS_OF)
    code, said, complained = script(AS_OF)
    assert (code, complained) == (0, "")
    assert freeze_baseline.is_frozen(contract, AS_OF)
    assert not freeze_baseline.is_frozen(contract, AS_OF - TICK)
    assert "│ orders_30d │ 0 │ 25 │ 50.0% │ │ │ 1 │ 25 │ 50.0% │" in said
    assert "50 entities, 2026-01-30T12:00:00+00:00 to 2026-03-01T12:00:00+00:00" in said
    assert "keeps the baseline" not in said
    assert script(AS_OF) == (0, said, "")  # safe to run again
    first, again = on_record(project).records(AS_OF)
    assert (first.job, first.subject, first.at, first.passed) == ("baseline", VIEW, AS_OF, True)
    assert first.figures == again.figures == freeze(contract, view_of(project / HISTORY), AS_OF)


def test_the_script_freezes_nothing_without_evidence(
    script: Script, project: Path, contract: Contract
) -> None:
    code, said, complained = script(AS_OF)
    assert (code, said) == (2, "")
    assert complained.startswith("refused: no offline table")
    (project / HISTORY).write_bytes(b"no parquet")
    assert script(AS_OF)[0] == 2
    records = on_record(project).records(AS_OF)
    assert [record.passed for record in records] == [False, False]
    assert not freeze_baseline.is_frozen(contract, AS_OF)
    registry = project / "data" / "registry.db"
    registry.rename(registry.with_suffix(".away"))
    code, said, complained = script(AS_OF)
    registry.with_suffix(".away").rename(registry)
    assert (code, said) == (2, "")
    assert "run `feast apply`" in complained


def test_a_promoted_version_keeps_its_baseline(script: Script, project: Path) -> None:
    two_values(project)
    assert script(AS_OF)[0] == 0
    on_record(project).append(promotion(1))
    code, said, _ = script(AS_OF + timedelta(hours=2))
    assert code == 0
    assert "keeps the baseline it was promoted with" in said
    code, said, complained = script(AS_OF + timedelta(minutes=59))
    assert (code, said) == (2, "")
    assert "was promoted at 2026-03-01T13:00:00+00:00" in complained
    assert [r.job for r in on_record(project).records(AS_OF + WINDOW)] == [
        *("baseline", "promotion", "baseline")
    ]
