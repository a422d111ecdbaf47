"""What is known of reads that differ: their entities' log, and what the events make of them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from contract_checks.language.sentence import spell
from contract_checks.measures.comparison import Mismatch
from contract_checks.measures.differing_read import Declared, Log, LogRow, Read
from feature_pipeline.change_log.aggregate import aggregate
from storage.atomic import scratch_folder
from storage.duckdb_session import copy_to, parquet_at
from storage.parquet_table import is_table

_OTHER_WINDOWS = tuple(timedelta(days=n) for n in (1, 7, 14, 28, 29, 30, 31, 60, 90))
_ANY_LATENESS = timedelta(days=3_650)
_AS_IT_IS, _BY_HAPPENING = "as it is", "by happening"

Logs = Mapping[tuple[object, ...], Log]
Stamps = Mapping[tuple[object, ...], datetime | None]
"""Whence an online row is, by the keys of its read."""


@dataclass(frozen=True)
class Sources:
    """Where the log and the events lie, and how the one is made of the others."""

    log: Path
    events: Path
    keys: tuple[str, ...]
    time: str
    """Stamp of a log row, and when an event happened."""
    lookback: timedelta
    lateness: timedelta
    zone: str
    declared: Declared
    materialized: Sequence[datetime]
    """How far the online store was brought, each time."""


def reads_of(mismatches: Sequence[Mismatch], sources: Sources, stamps: Stamps) -> list[Read]:
    """The mismatches, whose keys end with the time of the read, with all that is known of them.

    Raises:
        RefusedError: the events are there, and cannot be read.
    """
    if not mismatches:
        return []
    until = max(_instant(m) for m in mismatches)
    with (
        scratch_folder(sources.log.parent, "shadow") as folder,
        duckdb.connect() as connection,
    ):
        connection.execute("SET TimeZone = 'UTC'")
        # DuckDB takes an Arrow table for one row and would loop over it: 200 times slower.
        connection.execute("SET asof_loop_join_threshold = 0")
        connection.register("asked", _asked(mismatches, sources))
        on_record = _logs(connection, sources, sources.log)
        made = _made(connection, sources, folder, until)
    recomputed, by_happening = made.pop(_AS_IT_IS, None), made.pop(_BY_HAPPENING, None)
    return [
        Read(
            at=_instant(mismatch),
            online=mismatch.online,
            offline=mismatch.offline,
            differing=mismatch.differing,
            log=on_record.get(key := mismatch.keys[:-1], ()),
            declared=sources.declared,
            materialized_to=_newest(sources.materialized, _instant(mismatch)),
            online_stamp=stamps.get(mismatch.keys),
            repeated=mismatch.nth > 1 and None in (mismatch.online, mismatch.offline),
            recomputed=None if recomputed is None else recomputed.get(key, ()),
            by_happening=None if by_happening is None else by_happening.get(key, ()),
            otherwise={name: logs.get(key, ()) for name, logs in made.items()},
        )
        for mismatch in mismatches
    ]


def _asked(mismatches: Sequence[Mismatch], sources: Sources) -> pa.Table:
    """The entities, and the instants of which their values are asked."""
    rows = []
    for mismatch in mismatches:
        at = _instant(mismatch)
        key = dict(zip(sources.keys, mismatch.keys, strict=False))
        instants = {at, _newest(sources.materialized, at)} - {None}
        rows += [key | {"instant": instant} for instant in instants]
    return pa.Table.from_pylist(rows)


def _instant(mismatch: Mismatch) -> datetime:
    at = mismatch.keys[-1]
    if not isinstance(at, datetime):
        raise TypeError(f"the last key of {mismatch.keys} is no time")
    return at


def _newest(instants: Sequence[datetime], at: datetime) -> datetime | None:
    return max((instant for instant in instants if instant <= at), default=None)


def _made(
    connection: duckdb.DuckDBPyConnection, sources: Sources, folder: Path, until: datetime
) -> dict[str, Logs]:
    """What the events of these entities make, as they are and as they might be taken.

    Nothing where there are no events, or the aggregation makes other features than these.
    """
    if not is_table(sources.events):
        return {}
    as_they_are, at_once = _staged(connection, sources, folder)
    window, lateness = sources.lookback, sources.lateness
    runs = {
        _AS_IT_IS: (as_they_are, window, lateness),
        _BY_HAPPENING: (at_once, window, lateness),
        "any event were early enough": (as_they_are, window, _ANY_LATENESS),
    } | {
        f"the window were {spell(other)}": (as_they_are, other, lateness)
        for other in _OTHER_WINDOWS
        if other != window
    }
    logs: dict[str, Logs] = {}
    for name, (events, lookback, allowed) in runs.items():
        logs[name] = {}
        if pq.read_metadata(events).num_rows == 0:
            continue
        log = folder / "log.parquet"
        aggregate(
            events,
            log,
            log.with_name("quarantine.parquet"),
            as_of=until,
            lookback_window=lookback,
            allowed_lateness=allowed,
            zone=sources.zone,
        )
        if not {*sources.declared.defaults} <= {*pq.read_schema(log).names}:
            return {}
        logs[name] = _logs(connection, sources, log, whole=name == _AS_IT_IS)
    return logs


def _staged(
    connection: duckdb.DuckDBPyConnection, sources: Sources, folder: Path
) -> tuple[Path, Path]:
    """The entities' events, and the admissible ones as if each had arrived when it happened."""
    same_key = " AND ".join(f'e."{key}" = a."{key}"' for key in sources.keys)
    as_they_are, at_once = folder / "events.parquet", folder / "events_at_once.parquet"
    theirs = f"""SELECT e.* FROM read_parquet($events) AS e
        WHERE EXISTS (FROM asked AS a WHERE {same_key})"""
    copy_to(connection, theirs, as_they_are, {"events": parquet_at(sources.events)})
    arrived = f"""SELECT * REPLACE ("{sources.time}" AS created_timestamp)
        FROM read_parquet($events)
        WHERE created_timestamp - "{sources.time}" BETWEEN INTERVAL 0 SECOND AND $lateness"""
    taken = {"events": parquet_at(as_they_are), "lateness": sources.lateness}
    copy_to(connection, arrived, at_once, taken)
    return as_they_are, at_once


def _logs(
    connection: duckdb.DuckDBPyConnection, sources: Sources, log: Path, *, whole: bool = True
) -> Logs:
    """The rows of the entities asked for, of each the oldest first.

    All of them, or those in force at an instant asked for, which answer for it as well.
    """
    keys, features = sources.keys, tuple(sources.declared.defaults)
    columns = ", ".join(f'l."{name}"' for name in (*keys, *features))
    same_key = " AND ".join(f'a."{key}" = l."{key}"' for key in keys)
    stamp = f'CAST(l."{sources.time}" AS TIMESTAMPTZ)'
    theirs = (
        f"read_parquet($log) AS l WHERE EXISTS (FROM asked AS a WHERE {same_key})"
        if whole
        else f"asked AS a ASOF JOIN read_parquet($log) AS l ON {same_key} AND instant >= {stamp}"
    )
    rows: list[tuple[Any, ...]] = connection.execute(
        f"SELECT {'' if whole else 'DISTINCT'} {stamp}, {columns} FROM {theirs} ORDER BY ALL",
        {"log": parquet_at(log)},
    ).fetchall()
    of_key: dict[tuple[object, ...], list[LogRow]] = defaultdict(list)
    for at, *rest in rows:
        if at is not None:
            values = dict(zip(features, rest[len(keys) :], strict=True))
            of_key[tuple(rest[: len(keys)])].append(LogRow(at, values))
    return of_key
