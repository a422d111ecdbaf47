"""How far back each store, log and baseline reaches (§9 retention)."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from contract_checks.evidence.facts import MissingEvidence, Operations, RegisteredView
from contract_checks.evidence.registry import read_online
from contract_checks.evidence.tables import ARRIVAL, events_of, offline_session
from contract_checks.language.contract import Contract

_ASKED = 1_000
WITHOUT_ENTITIES = {"promotion", "rollback", "baseline", "check"}
"""Records that tell of versions, not of entities; a baseline is judged by its own window."""


def read_oldest(
    contract: Contract,
    repository: Path,
    view: RegisteredView,
    operations: Operations | MissingEvidence,
) -> dict[str, datetime] | MissingEvidence:
    """The oldest instant each holds; what holds nothing is left out."""
    connection = offline_session(contract, view, datetime.max.replace(tzinfo=UTC))
    if isinstance(connection, MissingEvidence):
        return connection
    if isinstance(operations, MissingEvidence):
        return operations
    events = events_of(contract, view)
    times = (contract.time.event_timestamp, ARRIVAL)
    found = {
        "offline": _oldest(connection, "history", view.timestamp_field),
        "online": _oldest_online(connection, contract, repository, view),
        "events": _oldest_in(connection, events, times),
        "quarantine": _oldest_in(
            connection, events.with_name(f"{events.stem}_quarantine.parquet"), times
        ),
        "operations log": min(
            (r.at for r in operations.records if r.job not in WITHOUT_ENTITIES), default=None
        ),
        "baseline": next(_baseline(contract, operations), None),
    }
    return {store: oldest for store, oldest in found.items() if oldest is not None}


def _baseline(contract: Contract, operations: Operations) -> Iterator[datetime]:
    for record in reversed(operations.of("baseline", contract.view_name)):
        if record.passed:
            yield datetime.fromisoformat(record.figures["from"])


def _oldest(connection: duckdb.DuckDBPyConnection, table: str, *columns: str) -> datetime | None:
    """The least of the columns' values."""
    least = ", ".join(f'CAST(min("{column}") AS TIMESTAMPTZ)' for column in columns)
    row = connection.execute(f"SELECT least({least}) FROM {table}").fetchone()
    return row[0] if row else None


def _oldest_in(
    connection: duckdb.DuckDBPyConnection, file: Path, columns: tuple[str, ...]
) -> datetime | None:
    if not file.is_file():
        return None
    connection.read_parquet(str(file)).create_view("kept_rows", replace=True)
    return _oldest(connection, "kept_rows", *columns)


def _oldest_online(
    connection: duckdb.DuckDBPyConnection,
    contract: Contract,
    repository: Path,
    view: RegisteredView,
) -> datetime | None:
    """Of the entities whose last row is the oldest: a row online is as old as what it copies."""
    keys = ", ".join(f'"{key}"' for key in contract.entity.join_keys)
    asked = connection.execute(
        f"""SELECT {keys} FROM history GROUP BY ALL
        ORDER BY max("{view.timestamp_field}"), {keys} LIMIT {_ASKED}"""
    ).fetch_arrow_table()
    answer = read_online(repository, view.name, asked)
    stamps = (s for field in view.fields for s in answer[f"{field.name}__ts"].to_pylist() if s)
    oldest = min(stamps, default=None)
    return None if oldest is None else datetime.fromtimestamp(oldest, UTC)
