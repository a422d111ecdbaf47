"""The features at the as-of time against the frozen baseline (§7).

An entity counts once in either sample: the values of one entity at many instants of a window that
overlaps itself are no independent observations. Numeric features alone are measured.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import duckdb

from contract_checks.digest import digest_of
from contract_checks.evidence.declared import RegisteredView
from contract_checks.evidence.facts import (
    Distribution,
    Drift,
    MissingEvidence,
    Operations,
    there,
)
from contract_checks.evidence.tables import (
    MICROSECOND,
    DuckTable,
    Sessions,
    offline_sessions,
    read_join,
)
from contract_checks.language.contract import Contract
from contract_checks.measures.psi import Bins, Values, noise, psi
from contract_checks.operations.log import Record

_FLOATS = ("FLOAT", "DOUBLE", "DECIMAL")
_INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
_NUMERIC = {*_FLOATS, *_INTEGERS, *(f"U{integer}" for integer in _INTEGERS)}


def freeze(contract: Contract, view: RegisteredView, as_of: datetime) -> dict[str, Any]:
    """The figures of a `baseline` record: every feature's bins and counts, and the join's rates.

    Each entity has its value of one instant of the baseline window. Where the offline table begins
    within the window, so does the baseline.

    Raises:
        MissingEvidence: there is nothing to freeze, or no join to measure.
    """
    window = contract.drift.baseline_window
    sessions = offline_sessions(contract, view)
    history = sessions(as_of)
    values = _in_force(history, contract, view, as_of, window)
    join = there(read_join(contract, view, sessions, as_of))
    if not join.matched:
        raise MissingEvidence(
            f"no entity active in the look-back window before {as_of.isoformat()} has a feature "
            "row: run scripts/refresh.py"
        )
    frozen: dict[str, Any] = {
        "from": _beginning(history, view, as_of - window).isoformat(),
        "to": as_of.isoformat(),
        "rows": len(next(iter(values.values()))),
        "features": {name: _frozen(sample) for name, sample in values.items()},
        "match_rate": join.matched / join.entity_rows,
        "fanout_ratio": join.joined_rows / join.matched,
    }
    return frozen | {"digest": digest_of(frozen)}


def read_drift(
    contract: Contract,
    view: RegisteredView,
    operations: Operations,
    sessions: Sessions,
    as_of: datetime,
) -> Drift:
    """How far each feature moved from the baseline in use to its values in force at `as_of`.

    Raises:
        MissingEvidence: no baseline is in use, or no entity has a value in force.
    """
    figures = _baseline_in_use(operations, view).figures
    values = _in_force(sessions(as_of), contract, view, as_of, spread=MICROSECOND)
    return Drift(
        baseline_from=datetime.fromisoformat(figures["from"]),
        baseline_to=datetime.fromisoformat(figures["to"]),
        features={
            name: _distribution(frozen, values[name])
            for name, frozen in sorted(figures["features"].items())
            if name in values
        },
        baseline_match_rate=figures["match_rate"],
        baseline_fanout_ratio=figures["fanout_ratio"],
        intact=_digest(figures) == figures.get("digest"),
    )


def _baseline_in_use(operations: Operations, view: RegisteredView) -> Record:
    """The newest baseline on record before the last promotion; without a promotion, the newest.

    A baseline is frozen with the version that is promoted; a later one waits to be promoted with.
    A version promoted without any takes the first one since.
    """
    passed = [r for r in operations.records if r.passed and r.subject == view.name]
    promotions = [i for i, record in enumerate(passed) if record.job == "promotion"]
    until = promotions[-1] if promotions else len(passed)
    before = [record for record in passed[:until] if record.job == "baseline"]
    since = [record for record in passed[until:] if record.job == "baseline"]
    if not before and not since:
        raise MissingEvidence(
            f"no baseline of {view.name} is on record: run scripts/freeze_baseline.py"
        )
    return before[-1] if before else since[0]


def _in_force(
    history: duckdb.DuckDBPyConnection,
    contract: Contract,
    view: RegisteredView,
    as_of: datetime,
    spread: timedelta,
) -> Mapping[str, Values]:
    """Every numeric feature's values, one per entity: those in force at the entity's instant.

    The instant lies in (`as_of` − `spread`, `as_of`] and is drawn by the MD5 of the entity's key as
    text, to the microsecond; with a spread of one microsecond it is `as_of`. An entity without a
    row within the ttl of its instant is left out. Null is NaN.

    Raises:
        MissingEvidence: no numeric feature is stored, or no entity has a value in force.
    """
    columns = _numeric_columns(history, contract)
    if not columns:
        raise MissingEvidence(f"{view.source_path} holds no numeric feature of the contract")
    keys = [f'"{key}"' for key in contract.entity.join_keys]
    named = ", ".join(keys)
    values = ", ".join(f'CAST(history."{name}" AS DOUBLE) AS "{name}"' for name in columns)
    stamp = f'history."{view.timestamp_field}"'
    sample = history.execute(
        f"""
        WITH entities AS (
            SELECT {named}, CAST('0x' || left(md5(concat_ws('|', {named})), 15) AS BIGINT) AS draw
            FROM history WHERE {" AND ".join(f"{key} IS NOT NULL" for key in keys)}
            GROUP BY {named}
        ), drawn AS (
            SELECT {named}, $as_of - to_microseconds(draw % $microseconds) AS instant FROM entities
        )
        SELECT {values} FROM drawn ASOF JOIN (
            FROM history WHERE {stamp} >= $as_of - to_microseconds($microseconds) - $ttl
        ) AS history
        ON {" AND ".join(f"drawn.{key} = history.{key}" for key in keys)} AND instant >= {stamp}
        WHERE {stamp} >= instant - $ttl
        """,
        {"as_of": as_of, "microseconds": spread // MICROSECOND, "ttl": view.ttl},
    ).fetch_arrow_table()
    if sample.num_rows == 0:
        raise MissingEvidence(
            f"no entity has a value in force at {as_of.isoformat()}: run scripts/refresh.py"
        )
    return {name: sample[name].to_numpy() for name in columns}


def _numeric_columns(history: duckdb.DuckDBPyConnection, contract: Contract) -> list[str]:
    stored = DuckTable(history, "history").columns
    return [f for f in contract.features if stored.get(f, "").split("(")[0] in _NUMERIC]


def _beginning(
    history: duckdb.DuckDBPyConnection, view: RegisteredView, wanted: datetime
) -> datetime:
    """The wanted beginning, or the first row's stamp where the table begins later."""
    first = f'CAST(min("{view.timestamp_field}") AS TIMESTAMPTZ)'
    oldest = DuckTable(history, "history").value(first)
    return max(wanted, oldest) if isinstance(oldest, datetime) else wanted


def _frozen(values: Values) -> dict[str, Any]:
    """A feature's bins and the entities in each, as JSON has them."""
    bins = Bins.of(values)
    return {
        "edges": list(bins.edges),
        "alone": list(bins.alone),
        "counts": list(bins.counts(values)),
    }


def _distribution(frozen: Mapping[str, Any], values: Values) -> Distribution:
    as_frozen = Bins(tuple(frozen["edges"]), tuple(frozen["alone"]))
    bins, baseline = as_frozen.rounded(frozen["counts"])
    current = bins.counts(values)
    return Distribution(
        bins.labels, baseline, current, psi(baseline, current), noise(baseline, current)
    )


def _digest(figures: Mapping[str, Any]) -> str:
    return digest_of({name: value for name, value in figures.items() if name != "digest"})
