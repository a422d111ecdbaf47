"""How far back each store, log, baseline and training set reaches (§9 retention)."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from contract_checks.evidence.declared import RegisteredView
from contract_checks.evidence.facts import OnlineStore, Operations, TrainingSet, there
from contract_checks.evidence.tables import (
    ARRIVAL,
    events_of,
    is_table,
    offline_session,
    parquet_at,
)
from contract_checks.language.contract import Contract

WITHOUT_ENTITIES = {"promotion", "rollback", "baseline", "check"}
"""Records that tell of versions, not of entities; a baseline is judged by its own window."""


def read_oldest(
    contract: Contract,
    view: RegisteredView,
    operations: Operations,
    online: OnlineStore,
    training_sets: Sequence[TrainingSet],
) -> dict[str, datetime]:
    """The oldest instant each holds; what holds nothing is left out.

    Raises:
        MissingEvidence: there is no offline table.
    """
    connection = there(offline_session(contract, view, datetime.max.replace(tzinfo=UTC)))
    events = events_of(contract, view)
    times = (contract.time.event_timestamp, ARRIVAL)
    found = {
        "offline": _oldest(connection, "history", view.timestamp_field),
        "online": online.oldest,
        "events": _oldest_in(connection, events, times),
        "quarantine": _oldest_in(
            connection, events.with_name(f"{events.stem}_quarantine.parquet"), times
        ),
        "operations log": min(
            (r.at for r in operations.records if r.job not in WITHOUT_ENTITIES), default=None
        ),
        "baseline": min(
            (
                datetime.fromisoformat(r.figures["from"])
                for r in operations.of("baseline", contract.view_name)
                if r.passed
            ),
            default=None,
        ),
        "training sets": min((t.oldest for t in training_sets if t.oldest), default=None),
    }
    return {store: oldest for store, oldest in found.items() if oldest is not None}


def _oldest(connection: duckdb.DuckDBPyConnection, table: str, *columns: str) -> datetime | None:
    """The least of the columns' values."""
    least = ", ".join(f'CAST(min("{column}") AS TIMESTAMPTZ)' for column in columns)
    row = connection.execute(f"SELECT least({least}) FROM {table}").fetchone()
    return row[0] if row else None


def _oldest_in(
    connection: duckdb.DuckDBPyConnection, table: Path, columns: tuple[str, ...]
) -> datetime | None:
    if not is_table(table):
        return None
    connection.read_parquet(parquet_at(table)).create_view("kept_rows", replace=True)
    return _oldest(connection, "kept_rows", *columns)
