"""Bring a change log in the parquet lake up to an instant by Spark, beyond what one machine holds.

What it does, and what it leaves, is what feature_pipeline/refresh.py does and leaves: the same
aggregation, the same lake with the same watermark, so that either goes on where the other stopped.
"""

from collections.abc import Callable
from datetime import UTC, datetime

from pyspark.sql import SparkSession

from feature_pipeline import spark_sql as sql
from feature_pipeline.change_log import in_utc
from feature_pipeline.event_columns import KEYS
from feature_pipeline.last_bits import with_mended
from feature_pipeline.local_days import whole_days_from
from feature_pipeline.parquet_table import is_table, new_version, parts_of, rows_of
from feature_pipeline.refresh import what_is_there
from feature_pipeline.refreshed import Refreshed, Tables, Terms, later_than
from feature_pipeline.refusal import RefusedError
from feature_pipeline.retention import begin_at, kept_from
from feature_pipeline.spark_intake import (
    Statements,
    counted,
    set_doubles_aside,
    stage,
    write_set_aside,
)
from feature_pipeline.spark_lake import adding_parts_to, write_parts
from feature_pipeline.watermark import Watermark, digest_of_terms
from feature_pipeline.whole_log import made_otherwise, refuse_another_past, refuse_to_take_back
from spark_parquet import read_parts
from spark_start import failures_refused

_ORDER = ("customer_id", "event_timestamp")
_EVER = datetime(1, 1, 1, tzinfo=UTC)
_EXTENT = "SELECT count(*), max(event_timestamp) FROM written"


def refresh_on_spark(
    session: SparkSession,
    as_of: datetime,
    tables: Tables,
    terms: Terms,
    on_step: Callable[[str], None] = lambda step: None,
) -> Refreshed:
    """Bring the log up to `as_of`. Safe to run again after being killed.

    Raises:
        RefusedError, ValueError: see `bring_up_to`; also when the events hold nanoseconds, or
            Spark fails.
    """
    as_of = in_utc(as_of)
    on_step("checking what is there")
    before, rows, why = what_is_there(as_of, tables, terms)
    with failures_refused(_nothing_written, f"Spark did not bring {tables.history} up to date"):
        run = Statements.of(session, as_of, terms)
        if before is None or why:
            return _made_anew(run, tables, terms, before, as_of, rows, why or "", on_step)
        return _continued(run, tables, terms, before, as_of, rows, on_step)


def _nothing_written(why: str) -> RefusedError:
    return RefusedError(f"{why}; nothing was written")


def _made_anew(
    run: Statements,
    tables: Tables,
    terms: Terms,
    before: Watermark | None,
    as_of: datetime,
    rows: int,
    why: str,
    on_step: Callable[[str], None],
) -> Refreshed:
    """The whole log, unless it tells the past in another way."""
    history, begins = tables.history, kept_from(tables.history)
    served = parts_of(history) if is_table(history) else []
    served_rows = rows_of(served)
    delivered = rows - later_than(as_of, tables.events)
    run.bounds["since"] = _EVER
    on_step("checking and staging events")
    arrived = stage(run, tables, terms, "SELECT * FROM events_file")
    if not arrived.ingested:
        raise RefusedError(
            f"no event of {tables.events} had arrived by {as_of.isoformat()}; the first arrived "
            f"at {arrived.first}: name a later as-of time"
        )
    set_doubles_aside(run)
    run.view("accepted_events", sql.ACCEPTED)
    with new_version(history) as log:
        with new_version(tables.quarantine) as quarantine:
            on_step("writing quarantined events")
            write_set_aside(run, sql.QUARANTINED, quarantine, as_of, whole=True)
            counts = counted(run, arrived, rows_of(parts_of(quarantine)))
            on_step("aggregating")
            made = run.view("made", sql.aggregation())
            if served:
                read_parts(run.session, served).createOrReplaceTempView("served")
            if begins:
                run.bounds["whole_again"] = begins + terms.lookback_window
                made = run.view("continued", sql.CONTINUED)
            written = write_parts(made, log, as_of, _ORDER, run.stored, whole=True)
            read_parts(run.session, written).createOrReplaceTempView("written")
            if served:
                on_step("comparing with what was served")
                alike = made_otherwise(before, terms)
                mended = refuse_to_take_back(
                    run.row, history, sql.TAKEN_BACK, "written", alike=alike
                )
                why = with_mended(why, mended)
                if before and served_rows == before.history_rows:
                    run.bounds["known_to"] = before.as_of
                    past, alike = sql.ANOTHER_PAST, mended > 0
                    refuse_another_past(run.row, history, before.as_of, past, "served", alike=alike)
            on_step("putting the quarantine in place")
        history_rows, newest = run.row(_EXTENT)
        now = Watermark(
            as_of,
            digest_of_terms(terms.lookback_window, terms.allowed_lateness, terms.zone),
            delivered=delivered,
            kept=counts.kept,
            superseded=counts.superseded,
            quarantined=counts.quarantined,
            history_rows=history_rows,
            newest=newest,
            newest_arrival=arrived.newest or as_of,
        )
        now.write(log)
        begin_at(log, begins)
        on_step("putting the log in place")
    return Refreshed(
        counts,
        history_rows,
        history_rows - served_rows,
        None,
        newest,
        now.newest_arrival,
        left_out=delivered - counts.ingested,
        made_anew=why,
    )


def _continued(
    run: Statements,
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
    since, window = before.as_of, terms.lookback_window
    run.bounds |= {
        "since": since,
        "leave_from": since - window,
        "leave_by": as_of - window,
        "counting": whole_days_from(since - max(window, terms.allowed_lateness), terms.zone),
    }
    arrived = stage(run, tables, terms, sql.DELIVERED)
    run.view("touched", sql.TOUCHED)
    set_doubles_aside(run)
    run.view("accepted_events", sql.ACCEPTED + sql.OF_THE_TOUCHED)
    on_step("writing quarantined arrivals")
    with adding_parts_to(tables.quarantine, since, as_of, run.session, KEYS) as quarantine:
        parts = write_set_aside(run, sql.QUARANTINED_SINCE, quarantine, as_of)
        counts = counted(run, arrived, rows_of(parts))
    on_step("aggregating")
    with adding_parts_to(tables.history, since, as_of, run.session, _ORDER) as log:
        run.view("made", sql.aggregation())
        made = run.view("new", sql.NEW)
        written = write_parts(made, log, as_of, _ORDER, run.stored)
        read_parts(run.session, written).createOrReplaceTempView("written")
        new_rows, newest = run.row(_EXTENT)
        now = before.continued(as_of, delivered, counts, new_rows, newest, arrived.newest)
        now.write(log)
        begin_at(log, kept_from(tables.history))
        on_step("putting the log in place")
    return now.refreshed_from(before, counts.not_yet_arrived)
