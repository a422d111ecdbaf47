"""Events in, change log out, written atomically."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

import duckdb

from feature_pipeline.change_log.instants import in_utc
from feature_pipeline.change_log.intake import IntakeCounts, customer_days, stage_events
from feature_pipeline.change_log.local_days import IN_UTC
from feature_pipeline.change_log.quotient import call_nearest_quotient
from feature_pipeline.change_log.running_sums import ChangeLogReader
from feature_pipeline.erasure.erased_customers import NO_ERASURES, ErasedCustomers
from storage.atomic import replacing
from storage.duckdb_session import copy_in_order, copy_to, embedded_engine, parquet_at
from storage.errors import RefusedError
from storage.one_row import one_row

_AGGREGATE_SQL = (
    files("feature_pipeline.change_log").joinpath("aggregate.sql").read_text(encoding="utf-8")
)

# The SQL reckons in UTC without a zone; what is written names its zone.
_IN_UTC = f"""
    SELECT * REPLACE (make_timestamptz(epoch_us(event_timestamp)) AS event_timestamp)
    FROM ({_AGGREGATE_SQL})
"""


@dataclass(frozen=True)
class Aggregated:
    """What one run of the aggregation did."""

    events: IntakeCounts
    history_rows: int
    customers: int


def aggregate(
    events: Path,
    history: Path,
    quarantine: Path,
    *,
    as_of: datetime,
    lookback_window: timedelta,
    allowed_lateness: timedelta,
    erased: ErasedCustomers = NO_ERASURES,
    zone: str = IN_UTC,
    on_step: Callable[[str], None] = lambda step: None,
    in_sql: bool = False,
) -> Aggregated:
    """Write the change log of `events` as known at `as_of` to `history` (parquet).

    Both files appear whole or not at all. Window, lateness and zone are those of contract §3.
    Events of `erased` customers are left out. The log is made in one pass, or `in_sql`, by the
    statement that a warehouse runs; the rows are the same.

    Raises:
        RefusedError: see `stage_events`; also when a target cannot be written.
        ValueError: `as_of` has no time zone.
    """
    as_of = in_utc(as_of)
    refuse_one_for_another(events, history, quarantine)
    with (
        replacing(history) as history_draft,
        replacing(quarantine) as quarantine_draft,
        embedded_engine(history.parent) as connection,
    ):
        on_step("checking and staging events")
        staged = stage_events(connection, events, as_of, allowed_lateness, erased, zone)
        on_step("writing quarantined events")
        copy_to(connection, "FROM quarantined_events", quarantine_draft, {})
        on_step("aggregating")
        kept = write_log(
            connection,
            "FROM change_log",
            history_draft,
            {},
            events=events,
            as_of=as_of,
            lookback_window=lookback_window,
            zone=zone,
            in_sql=in_sql,
        )
        rows, customers = one_row(
            connection,
            "SELECT count(*), count(DISTINCT customer_id) FROM read_parquet($history)",
            {"history": parquet_at(history_draft)},
        )
    return Aggregated(staged.counts(kept), rows, customers)


def refuse_one_for_another(events: Path, history: Path, quarantine: Path) -> None:
    """Make sure that no target takes the place of what is read; raises RefusedError."""
    if len({path.resolve() for path in (events, history, quarantine)}) < 3:
        raise RefusedError(
            f"events ({events}), history ({history}) and quarantine ({quarantine}) must be three "
            "files: name another target"
        )


def write_log(
    connection: duckdb.DuckDBPyConnection,
    query: str,
    target: Path,
    bounds: dict[str, Any],
    *,
    events: Path,
    as_of: datetime,
    lookback_window: timedelta,
    zone: str,
    in_sql: bool = False,
) -> int:
    """Write what `query` makes of `change_log`, the log of `accepted_events`; see `aggregate`.

    Returns the customer-days among them.

    Raises:
        RefusedError: a sum is too large.
    """
    try:
        if in_sql:
            call_nearest_quotient(connection)
            known = {"as_of": as_of.replace(tzinfo=None), "lookback_window": lookback_window}
            copy_to(connection, f"WITH change_log AS ({_IN_UTC}) {query}", target, bounds | known)
            return customer_days(connection)
        log = ChangeLogReader(connection, as_of, lookback_window, zone)
        with connection.cursor() as beside:
            beside.register("change_log", log.rows)
            copy_in_order(beside, query, target, bounds)
        return log.customer_days
    except _DIED_OF_ITS_SUMS as error:
        # What a registered reader dies of arrives as text.
        if isinstance(error, duckdb.InvalidInputException) and "OverflowError" not in str(error):
            raise
        raise RefusedError(
            f"the sums of {events} grow beyond what a feature can hold, 64 bits: mend the amounts "
            "and run again; nothing was written"
        ) from error


_DIED_OF_ITS_SUMS = (
    duckdb.ConversionException,
    duckdb.OutOfRangeException,
    duckdb.InvalidInputException,
)
