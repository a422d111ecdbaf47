"""Take a change log back from a time that has not come, to the last one that can be believed.

A refresh that was told a time ahead of the clock wrote down what has yet to happen: that all events
left the window, and that nothing came. What was stamped by the last refresh before it stays; the
next one makes the log anew from the events, and holds it against that.
"""

from dataclasses import replace
from datetime import datetime
from pathlib import Path

from feature_pipeline.change_log.watermark import read_watermark
from feature_pipeline.compute_engines.postgres.warehouse import (
    HISTORY,
    REFRESHES,
    refusals,
    session,
    writing_alone,
)
from storage.duckdb_session import copy_to, embedded_engine, parquet_at
from storage.one_row import one_row
from storage.parquet_table import is_table, new_version, notes_of, part_up_to, rows_of

_TERMS = "stepped back"
"""Not those of any aggregation, so that no refresh goes on from here without looking."""


def step_back_in_lake(history: Path, known_to: datetime) -> int:
    """Leave the log as it was known to `known_to`; says how many rows went. Safe to run again."""
    before = read_watermark(history)
    if before is None or not is_table(history):
        return 0
    part = part_up_to(known_to, whole=True)
    query = """FROM read_parquet($log) WHERE event_timestamp <= $known_to
        ORDER BY customer_id, event_timestamp"""
    with (
        embedded_engine(history.parent) as connection,
        new_version(history, notes_of(history)) as version,
    ):
        log = parquet_at(history)
        copy_to(connection, query, version / part, {"log": log, "known_to": known_to})
        staying = rows_of([version / part])
        replace(before, as_of=known_to, terms=_TERMS, history_rows=staying).write(version)
    return before.history_rows - staying


def step_back_in_warehouse(address: str, known_to: datetime) -> int:
    """Step back in the PostgreSQL warehouse, in one transaction.

    `address` is a libpq connection string of a login with the role `feature_store_retention`.

    Raises:
        RefusedError: the warehouse cannot be reached or written to, or another job writes.
    """
    bounds = {"known_to": known_to, "terms": _TERMS}
    with (
        refusals("feature_store_retention"),
        session(address) as connection,
        writing_alone(connection),
        connection.transaction(),
    ):
        gone = connection.execute(
            f"DELETE FROM {HISTORY} WHERE event_timestamp > %(known_to)s", bounds
        ).rowcount
        (bounds["rows"],) = one_row(connection, f"SELECT count(*) FROM {HISTORY}")
        connection.execute(_ON_RECORD, bounds)
    return gone


_ON_RECORD = f"""
    INSERT INTO {REFRESHES} (
        as_of, lookback_window, allowed_lateness, aggregation,
        ingested, kept, superseded, quarantined, history_rows
    )
    SELECT %(known_to)s, lookback_window, allowed_lateness, %(terms)s, 0, 0, 0, 0, %(rows)s
    FROM {REFRESHES} ORDER BY refresh DESC LIMIT 1
"""
