"""What a refresh works on, by which terms, and what it says it did."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import duckdb

from feature_pipeline.change_log.events_table import parts_reaching, readable, rows_if_all_beyond
from feature_pipeline.change_log.instants import arrived_by, arrives_after
from feature_pipeline.change_log.intake import IntakeCounts
from feature_pipeline.change_log.local_days import IN_UTC
from feature_pipeline.erasure.erased_customers import NO_ERASURES, ErasedCustomers, leave_out
from storage.duckdb_session import parquet_at
from storage.one_row import one_row


@dataclass(frozen=True)
class Tables:
    """Where the events lie, and what is made of them."""

    events: Path
    history: Path
    quarantine: Path


@dataclass(frozen=True)
class Terms:
    """What decides what the events come to: contract §3, and who was erased (§9)."""

    lookback_window: timedelta
    allowed_lateness: timedelta
    erased: ErasedCustomers = NO_ERASURES
    zone: str = IN_UTC
    """Whose days are counted."""


@dataclass(frozen=True)
class RefreshResult:
    """What one refresh did, and what the log is now."""

    events: IntakeCounts
    """Counts of all events so far."""
    history_rows: int
    new_rows: int
    """Rows that were not there before."""
    since: datetime | None
    """The new rows are stamped after it; None where they may be anywhere."""
    newest: datetime | None
    """Stamp of the newest row; None where there is none."""
    newest_arrival: datetime
    """When the newest event had arrived."""
    left_out: int
    """Events of erased customers that arrived after `since`, and were not ingested."""
    made_anew: str | None
    """Why everything was computed again; None where the log was continued."""
    known_before: IntakeCounts | None = field(default=None, compare=False)
    """Counts of all events at the refresh that this one went on from; None where it began anew."""

    @property
    def judged_now(self) -> tuple[int, int]:
        """Events that this run took in, and how many of them it quarantined."""
        before = self.known_before
        return (
            self.events.ingested - (before.ingested if before else 0),
            self.events.quarantined - (before.quarantined if before else 0),
        )


def later_than(instant: datetime, events: Path, erased: ErasedCustomers = NO_ERASURES) -> int:
    """Events that arrived after it, those of the erased left out.

    No part is opened whose footer tells that all its events arrived before it, or all after.
    """
    count, parts = 0, []
    for part in parts_reaching(events, {"created_timestamp": instant}):
        rows = None if erased else rows_if_all_beyond(part, "created_timestamp", instant)
        if rows is None:
            parts.append(part)
        else:
            count += rows
    if not parts:
        return count
    every_part = "read_parquet($parts, hive_partitioning = false)"
    later = f"FROM {every_part} WHERE {arrives_after('$instant')}"
    bounds = {"parts": [parquet_at(part) for part in parts], "instant": instant}
    with readable(parts), duckdb.connect() as connection:
        if not erased:
            return count + int(one_row(connection, f"SELECT count(*) {later}", bounds)[0])
        connection.execute(f"CREATE TABLE theirs AS SELECT customer_id {later}", bounds)
        connection.execute("CREATE VIEW later AS FROM theirs")
        leave_out(connection, "later", erased)
        return count + int(one_row(connection, "SELECT count(*) FROM later")[0])


def newest_arrival(
    connection: duckdb.DuckDBPyConnection, events: str, as_of: datetime
) -> datetime | None:
    """When the newest event of a view had arrived by then."""
    query = f"SELECT max(created_timestamp) FROM {events} WHERE {arrived_by('$as_of')}"
    newest: datetime | None = one_row(connection, query, {"as_of": as_of})[0]
    return newest


def extent(connection: duckdb.DuckDBPyConnection, part: Path) -> tuple[int, datetime | None]:
    """Rows of a part or of a whole log, and the newest one's stamp."""
    rows, newest = one_row(
        connection,
        "SELECT count(*), max(event_timestamp) FROM read_parquet($part)",
        {"part": parquet_at(part)},
    )
    return int(rows), newest
