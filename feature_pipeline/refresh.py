"""Bring a change log up to an instant, at a cost that follows what arrived and not the history.

What is on record stays, byte for byte, and the rows since then are added: those of the customers of
whom an event arrived or left the window. Their sums need the events of one look-back window alone,
for whatever came before has left it and adds nothing. Where the log was not left by such a run, or
is not what that run left, or the events are not those it saw, all is made anew and compared with
what may have been served.
"""

from collections.abc import Callable
from datetime import datetime

import duckdb

from feature_pipeline.arrivals import stage_arrivals
from feature_pipeline.change_log import in_utc, refuse_one_for_another, write_log
from feature_pipeline.engine import copy_to, embedded_engine
from feature_pipeline.events_table import refuse_wrong_schema
from feature_pipeline.parquet_table import adding_to, known_by, parts_of, rows_of
from feature_pipeline.refreshed import (
    Refreshed,
    Tables,
    Terms,
    extent,
    later_than,
    newest_arrival,
)
from feature_pipeline.refusal import A_LATER_TIME, RefusedError
from feature_pipeline.retention import begin_at, kept_from
from feature_pipeline.watermark import Watermark, digest_of_terms, read_watermark
from feature_pipeline.whole_log import make_anew

_ORDER = "customer_id, event_timestamp"


def bring_up_to(
    as_of: datetime,
    tables: Tables,
    terms: Terms,
    on_step: Callable[[str], None] = lambda step: None,
) -> Refreshed:
    """Bring the log up to `as_of`. Safe to run again after being killed.

    Raises:
        RefusedError: the log is known beyond `as_of`, or a row that may have been served would be
            taken back; see `stage_events` for the rest.
        ValueError: `as_of` has no time zone.
    """
    as_of = in_utc(as_of)
    on_step("checking what is there")
    before, rows, why = what_is_there(as_of, tables, terms)
    with embedded_engine(tables.history.parent) as connection:
        if before is None or why:
            return make_anew(connection, tables, terms, before, as_of, rows, why or "", on_step)
        return _continued(connection, tables, terms, before, as_of, rows, on_step)


def what_is_there(
    as_of: datetime, tables: Tables, terms: Terms
) -> tuple[Watermark | None, int, str | None]:
    """How far the log is known, the events there are, and why the log cannot be continued.

    Raises:
        RefusedError: the log is known beyond `as_of`, or the events are no such table.
    """
    refuse_one_for_another(tables.events, tables.history, tables.quarantine)
    before = read_watermark(tables.history)
    if before and before.as_of > as_of:
        raise RefusedError(
            f"{tables.history} is known up to {before.as_of.isoformat()}, beyond "
            f"{as_of.isoformat()}: {A_LATER_TIME}"
        )
    rows = refuse_wrong_schema(tables.events)
    why = "no refresh has left a log" if before is None else _why_anew(before, tables, terms, rows)
    return before, rows, why


def _why_anew(before: Watermark, tables: Tables, terms: Terms, rows: int) -> str | None:
    """Why the log cannot be continued; None where it can."""
    if before.terms != digest_of_terms(terms.lookback_window, terms.allowed_lateness, terms.zone):
        return "the aggregation or its terms are others now"
    if rows - later_than(before.as_of, tables.events) != before.delivered:
        return "the events that had arrived by the last refresh are not those it saw"
    if rows_of(parts_of(tables.history)) != before.history_rows:
        return "the log is not as the last refresh left it"
    if rows_of(known_by(parts_of(tables.quarantine), before.as_of)) != before.quarantined:
        return "the quarantine is not as the last refresh left it"
    return None


def _continued(
    connection: duckdb.DuckDBPyConnection,
    tables: Tables,
    terms: Terms,
    before: Watermark,
    as_of: datetime,
    rows: int,
    on_step: Callable[[str], None],
) -> Refreshed:
    """Add the rows stamped since the watermark; a second run up to the same instant adds none."""
    if before.as_of == as_of:
        later = later_than(as_of, tables.events, terms.erased)
        return before.refreshed_from(before, not_yet_arrived=later)
    delivered = rows - later_than(as_of, tables.events)
    on_step("checking and staging arrivals")
    arrived = stage_arrivals(
        connection,
        tables.events,
        before.as_of,
        as_of,
        lookback_window=terms.lookback_window,
        lateness=terms.allowed_lateness,
        erased=terms.erased,
        zone=terms.zone,
    )
    on_step("writing quarantined arrivals")
    with adding_to(tables.quarantine, before.as_of, as_of, connection, _ORDER) as quarantine:
        copy_to(connection, "FROM quarantined_events", quarantine, {})
    on_step("aggregating")
    with adding_to(tables.history, before.as_of, as_of, connection, _ORDER) as log:
        write_log(
            connection,
            "FROM change_log WHERE event_timestamp > $since",
            log,
            {"since": before.as_of},
            events=tables.events,
            as_of=as_of,
            lookback_window=terms.lookback_window,
            zone=terms.zone,
        )
        new_rows, newest = extent(connection, log)
        newest_in = newest_arrival(connection, "delivered", as_of)
        now = before.continued(as_of, delivered, arrived, new_rows, newest, newest_in)
        now.write(log.parent)
        begin_at(log.parent, kept_from(tables.history))
        on_step("putting the log in place")
    return now.refreshed_from(before, arrived.not_yet_arrived)
