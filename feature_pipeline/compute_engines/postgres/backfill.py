"""Backfill validation in the warehouse: its own aggregation again, compared row by row."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from feature_pipeline.change_log.backfill import (
    Backfill,
    compared_here,
    refuse_nothing,
    refuse_what_has_gone,
)
from feature_pipeline.change_log.backfill_causes import causes_of_differences
from feature_pipeline.change_log.local_days import IN_UTC
from feature_pipeline.compute_engines.postgres import sql as sql
from feature_pipeline.compute_engines.postgres.admission import (
    admit,
    refuse_unknown_zone,
    retained_since,
)
from feature_pipeline.compute_engines.postgres.change_log_copy import (
    ACCEPTED_EVENTS,
    CHANGE_LOG,
    copy_into_engine,
)
from feature_pipeline.compute_engines.postgres.sql import without_zone
from feature_pipeline.compute_engines.postgres.warehouse import (
    HISTORY,
    REFRESHES,
    refusals,
    session,
)
from feature_pipeline.erasure.erased_customers import NO_ERASURES, ErasedCustomers
from storage.atomic import scratch_folder
from storage.duckdb_session import embedded_engine
from storage.postgres_session import Session


def compare_in_warehouse(
    address: str,
    scratch_beside: Path,
    *,
    as_of: datetime,
    stretch: timedelta,
    lookback_window: timedelta,
    allowed_lateness: timedelta,
    erased: ErasedCustomers = NO_ERASURES,
    zone: str = IN_UTC,
    on_step: Callable[[str], None] = lambda step: None,
) -> Backfill:
    """Compare the log's rows stamped in (as_of - stretch, as_of] with those its events make.

    `address` is a libpq connection string of a login that may read events and log. Nothing is
    written but temporary tables; the rows of the stretch are compared in a folder beside here.

    Raises:
        RefusedError: the warehouse cannot be read, retention has let go of events that the stretch
            is made of, or there is nothing in it to compare.
        ValueError: `as_of` has no time zone.
    """
    if as_of.tzinfo is None:
        raise ValueError("as_of must carry a time zone: a naive time names no instant")
    after = as_of - stretch
    bounds = {
        "as_of": as_of,
        "since": after,
        "made_since": after,
        "lookback_window": lookback_window,
        "allowed_lateness": allowed_lateness,
        "zone": zone,
    }
    columns = ", ".join(CHANGE_LOG)
    with refusals("feature_store_judge"), session(address) as warehouse, warehouse.transaction():
        refuse_what_has_gone(retained_since(warehouse), after, lookback_window)
        on_step("aggregating")
        admit(warehouse, erased)
        refuse_unknown_zone(warehouse, zone)
        warehouse.execute(sql.ACCEPTED, bounds)
        warehouse.execute(sql.DOUBLED)
        warehouse.execute(sql.WITHOUT_DOUBLES)
        warehouse.execute("ANALYZE accepted_events")
        warehouse.execute(sql.made(), {k: without_zone(v) for k, v in bounds.items()})
        on_step("comparing with the history on record")
        warehouse.execute(sql.ON_RECORD_IN_STRETCH, bounds)
        with (
            scratch_folder(scratch_beside, "backfill") as folder,
            embedded_engine(folder) as engine,
        ):
            for name, table in (("on_record", "on_record"), ("recomputed", "made")):
                query = f"SELECT {columns} FROM {table}"
                copy_into_engine(warehouse, query, engine, name, CHANGE_LOG, folder)
            compared = compared_here(engine)
            if compared.differing:
                on_step("looking for causes")
                query = f"SELECT {', '.join(ACCEPTED_EVENTS)} FROM accepted_events"
                copy_into_engine(
                    warehouse, query, engine, "accepted_events", ACCEPTED_EVENTS, folder
                )
                same = _made_alike(warehouse, lookback_window, allowed_lateness, zone)
                compared = replace(compared, causes=causes_of_differences(engine, same_terms=same))
    refuse_nothing(compared, HISTORY, after, as_of)
    return compared


def _made_alike(
    warehouse: Session, lookback_window: timedelta, lateness: timedelta, zone: str
) -> bool:
    """Whether the log was last refreshed by this aggregation and these terms."""
    row = warehouse.execute(
        f"""SELECT aggregation, lookback_window, allowed_lateness FROM {REFRESHES}
        ORDER BY refresh DESC LIMIT 1"""
    ).fetchone()
    return row is None or row == (sql.digest_of_aggregation(zone), lookback_window, lateness)
