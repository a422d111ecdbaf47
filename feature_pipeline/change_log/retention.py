"""Retention (contract §9): let go what is too old, and keep every value since exactly as it was.

A value of the change log is made of the events of one look-back window, so the rows stamped in the
first window after the cutoff are made of events that have left. They can never be made again: they
stay as they were served, and a refresh makes those after them only. The change log carries its own
beginning, beside its parts, so that no refresh can miss it.

At the cutoff itself a customer who is active has the values of the last row before it. That row
leaves, and its values are carried to the cutoff. A customer whose values are all zeros there needs
no row: the default says the same (§5.2).
"""

from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from feature_pipeline.change_log.removal import before, remove, rows_to_go
from storage.duckdb_session import copy_to, embedded_engine, parquet_at
from storage.errors import RefusedError
from storage.one_row import one_row
from storage.parquet_table import (
    delete_other_versions,
    is_table,
    new_version,
    notes_of,
    part_up_to,
    parts_of,
)
from storage.table_bounds import mark_retained_since, retained_since

EVENT_TIMES = ("event_timestamp", "created_timestamp")
_KEYS = ("customer_id", "event_timestamp")


def old_history(history: Path, cutoff: datetime) -> int:
    """Rows of the change log that are stamped before the cutoff."""
    return rows_to_go(history, before(cutoff, "event_timestamp"))


def old_events(events: Path, cutoff: datetime) -> int:
    """Events, or quarantined events, that happened or arrived before the cutoff."""
    return rows_to_go(events, before(cutoff, *EVENT_TIMES))


def delete_expired_events(events: Path, cutoff: datetime) -> int:
    """Take them out. The change log must begin at the cutoff before its events may go."""
    return remove(events, before(cutoff, *EVENT_TIMES))


def delete_expired_history(history: Path, cutoff: datetime) -> None:
    """Begin the change log at the cutoff. Safe to run again, and with a later cutoff.

    The change log must be known up to a look-back window after the cutoff.
    """
    begins = max(cutoff, retained_since(history) or cutoff)
    parts = parts_of(history)
    features = [c for c in pq.read_schema(parts[0]).names if c not in _KEYS]
    active = " OR ".join(f'"{feature}" <> 0' for feature in features)
    kept = f"""
        FROM read_parquet($parts) WHERE event_timestamp >= $cutoff
        UNION ALL
        SELECT * REPLACE (CAST($cutoff AS TIMESTAMPTZ) AS event_timestamp) FROM (
            FROM read_parquet($parts) WHERE event_timestamp <= $cutoff
            QUALIFY event_timestamp = max(event_timestamp) OVER (PARTITION BY customer_id)
        ) WHERE event_timestamp < $cutoff AND ({active})
    """
    with embedded_engine(history.parent) as connection:
        reaching_back = [p for p in parts if _reaches_back_to(cutoff, p, connection)]
        staying = [part for part in parts if part not in reaching_back]
        with new_version(history, [*staying, *notes_of(history)]) as version:
            if reaching_back:
                copy_to(
                    connection,
                    f"FROM ({kept}) ORDER BY customer_id, event_timestamp",
                    version / part_up_to(cutoff, whole=True),
                    {"parts": [parquet_at(part) for part in reaching_back], "cutoff": cutoff},
                )
            mark_retained_since(version, begins)
    delete_other_versions(history)


def _reaches_back_to(cutoff: datetime, part: Path, connection: duckdb.DuckDBPyConnection) -> bool:
    query = "SELECT count(*) FROM read_parquet($part) WHERE event_timestamp <= $cutoff"
    (rows,) = one_row(connection, query, {"part": parquet_at(part), "cutoff": cutoff})
    return bool(rows)


def refuse_to_begin(
    history: Path, cutoff: datetime, *, known_to: datetime, lookback_window: timedelta
) -> None:
    """Make sure that no value after the cutoff is still to be made of what would go.

    Raises:
        RefusedError: there is no change log, or it ends within a look-back window of the cutoff.
    """
    if not is_table(history):
        raise RefusedError(f"no change log at {history}: run scripts/refresh.py first")
    refuse_unless_known(cutoff, known_to=known_to, lookback_window=lookback_window)


def refuse_unless_known(
    cutoff: datetime, *, known_to: datetime, lookback_window: timedelta
) -> None:
    """Make sure that a change log which is there reaches far enough beyond the cutoff.

    Raises:
        RefusedError: it ends within a look-back window of the cutoff.
    """
    if known_to - cutoff < lookback_window:
        raise RefusedError(
            f"the stores are refreshed up to {known_to.isoformat()}, less than a look-back window "
            f"after {cutoff.isoformat()}: values yet to come are made of events before that. Run "
            "scripts/refresh.py first"
        )
