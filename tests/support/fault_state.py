"""All that a job leaves behind, so that two runs can be compared."""

import json
import re
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq
from fault_jobs import log_of
from feast_copy import HISTORY

ALWAYS = datetime.max.replace(tzinfo=UTC)
QUARANTINE = HISTORY.with_name("customer_events_quarantine.parquet")
_STAMPED = {".db", ".duckdb", ".json", ".html", ".prom", ".lock", ".log"}
"""Files that hold when they were written, or that are compared otherwise."""
_UPSTREAMS = {"__pycache__", "made"}
"""What Python and dbt leave for themselves."""

Ran = tuple[str, str, datetime, bool]


class State(NamedTuple):
    """What readers and the next job find."""

    tables: dict[str, Any]
    online: list[tuple[Any, ...]]
    registry: dict[str, Any]
    files: set[str]
    whole: dict[str, bytes]
    """Files whose every byte is the same in each run."""
    records: Counter[Ran]


def state_of(repository: Path) -> State:
    online = list(_online(repository / "data" / "online_store.db"))
    registry = dict(_registry(repository))
    records = log_of(repository).records(ALWAYS)
    # Once they were read: SQLite undoes what was not finished when somebody opens the file.
    files = {_without_version(f, repository): f for f in _files(repository)}
    return State(
        tables=tables_of(repository),
        online=online,
        registry=registry,
        files=set(files),
        whole={
            name: file.read_bytes()
            for name, file in files.items()
            if file.suffix not in _STAMPED and "data_warehouse" not in file.parts
        },
        records=Counter((r.job, r.subject, r.at, r.passed) for r in records),
    )


def tables_of(repository: Path) -> dict[str, list[dict[str, Any]] | None]:
    places = {place.name: repository / place for place in (HISTORY, QUARANTINE)}
    return {
        name: sorted(pq.read_table(place).to_pylist(), key=repr) if place.exists() else None
        for name, place in places.items()
    }


def _files(repository: Path) -> Iterator[Path]:
    for file in sorted(repository.rglob("*")):
        if file.is_file() and not _UPSTREAMS & set(file.parts):
            yield file


def _without_version(file: Path, repository: Path) -> str:
    """Which parts a version of a table has follows from how it was made, and its number, too."""
    return re.sub(r"/0\d{8}/.*", "/version", str(file.relative_to(repository)))


def _online(file: Path) -> Iterator[tuple[Any, ...]]:
    with closing(sqlite3.connect(file)) as database:
        names = database.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY 1")
        for (name,) in names.fetchall():
            rows = database.execute(
                f'SELECT entity_key, feature_name, value, event_ts FROM "{name}"'
            ).fetchall()
            yield from sorted((name, *row) for row in rows)


def _registry(repository: Path) -> Iterator[tuple[str, Any]]:
    from feature_access.registry import open_store

    store = open_store(repository)
    for view in store.list_feature_views():
        ends = sorted(end for _, end in view.materialization_intervals)
        yield view.name, (ends[-1] if ends else None, [f.name for f in view.features])
    for service in store.list_feature_services():
        views = [(p.name, [f.name for f in p.features]) for p in service.feature_view_projections]
        yield f"service {service.name}", views


def differences(found: State, unharmed: State) -> list[str]:
    """What the run after a fault left otherwise than one that met none.

    The run that met it may have left a record as well, that it failed or that it did its work, and
    whoever told of that an alert.
    """
    told = [
        f"{name}: {_first_difference(getattr(found, name), getattr(unharmed, name))}"
        for name in ("tables", "online", "registry", "files", "whole")
        if getattr(found, name) != getattr(unharmed, name)
    ]
    missing = unharmed.records - found.records
    jobs = {job for job, *_ in unharmed.records} | {"alert"}
    more = [r for r in found.records - unharmed.records if r[0] not in jobs]
    if missing or more:
        told.append(f"records: {dict(missing)} missing, {more} too many")
    return told


def _first_difference(one: Any, other: Any) -> str:
    if isinstance(one, dict):
        names = [n for n in {**one, **other} if one.get(n, "none") != other.get(n, "none")]
        name = names[0]
        return f"{name}: {_first_difference(one.get(name), other.get(name))}"
    if isinstance(one, set):
        return f"{sorted(one - other)} more, {sorted(other - one)} less"
    if isinstance(one, list) and isinstance(other, list):
        more = [row for row in one if row not in other]
        less = [row for row in other if row not in one]
        return f"{len(more)} more {more[:1]}, {len(less)} less {less[:1]}"
    return json.dumps([repr(one)[:300], repr(other)[:300]])
