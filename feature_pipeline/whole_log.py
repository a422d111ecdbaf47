"""A change log made anew from all events, which takes back nothing that may have been served."""

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from feature_pipeline.change_log import write_log
from feature_pipeline.engine import copy_to, one_row, parquet_at
from feature_pipeline.intake import stage_events
from feature_pipeline.last_bits import beyond_last_bits, with_mended
from feature_pipeline.parquet_table import is_table, new_version, part_up_to, parts_of, rows_of
from feature_pipeline.refreshed import (
    Refreshed,
    Tables,
    Terms,
    extent,
    later_than,
    newest_arrival,
)
from feature_pipeline.refusal import THE_WAY_OUT, RefusedError
from feature_pipeline.retention import begin_at, kept_from
from feature_pipeline.watermark import Watermark, digest_of_terms


def make_anew(
    connection: duckdb.DuckDBPyConnection,
    tables: Tables,
    terms: Terms,
    before: Watermark | None,
    as_of: datetime,
    rows: int,
    why: str,
    on_step: Callable[[str], None],
) -> Refreshed:
    """Compute the whole log, and put it in place unless it tells the past in another way.

    Raises:
        RefusedError: a row that may have been served is missing in it, or there is one more of a
            time by which the log was known; see `stage_events` for the rest.
    """
    part, begins = part_up_to(as_of, whole=True), kept_from(tables.history)
    served_rows = rows_of(parts_of(tables.history))
    delivered = rows - later_than(as_of, tables.events)
    on_step("checking and staging events")
    staged = stage_events(
        connection, tables.events, as_of, terms.allowed_lateness, terms.erased, terms.zone
    )
    arrived = newest_arrival(connection, "events_file", as_of) or as_of
    with new_version(tables.history) as log:
        with new_version(tables.quarantine) as quarantine:
            on_step("writing quarantined events")
            copy_to(connection, "FROM quarantined_events", quarantine / part, {})
            on_step("aggregating")
            query, bounds = "FROM change_log", {}
            if begins:
                query = _CONTINUED
                bounds = {
                    "served": parquet_at(tables.history),
                    "whole_again": begins + terms.lookback_window,
                }
            kept = write_log(
                connection,
                query,
                log / part,
                bounds,
                events=tables.events,
                as_of=as_of,
                lookback_window=terms.lookback_window,
                zone=terms.zone,
            )
            if is_table(tables.history):
                on_step("comparing with what was served")
                served = {
                    "served": parquet_at(tables.history),
                    "new_log": parquet_at(log / part),
                }
                mended = refuse_to_take_back(
                    lambda query: one_row(connection, query, served),
                    tables.history,
                    _TAKEN_BACK,
                    "read_parquet($new_log)",
                    alike=made_otherwise(before, terms),
                )
                why = with_mended(why, mended)
                if before and served_rows == before.history_rows:
                    known = served | {"known_to": before.as_of}
                    refuse_another_past(
                        lambda query: one_row(connection, query, known),
                        tables.history,
                        before.as_of,
                        _ANOTHER_PAST,
                        "read_parquet($served)",
                        alike=mended > 0,
                    )
            on_step("putting the quarantine in place")
        counts = staged.counts(kept)
        history_rows, newest = extent(connection, log / part)
        Watermark(
            as_of,
            digest_of_terms(terms.lookback_window, terms.allowed_lateness, terms.zone),
            delivered=delivered,
            kept=counts.kept,
            superseded=counts.superseded,
            quarantined=counts.quarantined,
            history_rows=history_rows,
            newest=newest,
            newest_arrival=arrived,
        ).write(log)
        begin_at(log, begins)
        on_step("putting the log in place")
    return Refreshed(
        counts,
        history_rows,
        history_rows - served_rows,
        None,
        newest,
        arrived,
        left_out=delivered - counts.ingested,
        made_anew=why,
    )


# After a retention the first window of rows cannot be made again, and stays as it was served.
_CONTINUED = """
    FROM (
        FROM read_parquet($served) WHERE event_timestamp < $whole_again
        UNION ALL BY NAME
        FROM change_log WHERE event_timestamp >= $whole_again
    ) ORDER BY customer_id, event_timestamp
"""

_TAKEN_BACK = """
    SELECT count(*), CAST(min(event_timestamp) AS VARCHAR) FROM (
        FROM read_parquet($served) EXCEPT ALL FROM read_parquet($new_log)
    ) AS differing
"""
_ANOTHER_PAST = """
    SELECT count(*), CAST(min(event_timestamp) AS VARCHAR) FROM (
        FROM read_parquet($new_log) WHERE event_timestamp <= $known_to
        EXCEPT ALL FROM read_parquet($served)
    ) AS differing
"""


def made_otherwise(before: Watermark | None, terms: Terms) -> bool:
    """Whether another aggregation, or nobody knows which, made the log that is there."""
    now = digest_of_terms(terms.lookback_window, terms.allowed_lateness, terms.zone)
    return before is None or before.terms != now


def refuse_to_take_back(
    ask: Callable[[str], Sequence[Any]], served: Path, rows_gone: str, made: str, *, alike: bool
) -> int:
    """Make sure that no row that was served is missing in the log made anew.

    Returns the rows whose average differs in its last bits, which is `alike` enough.

    Raises:
        RefusedError: some are gone.
    """
    gone, first, mended = beyond_last_bits(ask, rows_gone, made) if alike else (*ask(rows_gone), 0)
    if gone:
        raise RefusedError(
            f"{gone:,} rows of {served}, the first of {first}, would be taken back: the events "
            "are not a continuation of those it was made of, or the window, the lateness or the "
            f"aggregation is another; nothing was written. {THE_WAY_OUT}"
        )
    return int(mended)


def refuse_another_past(
    ask: Callable[[str], Sequence[Any]],
    served: Path,
    known_to: datetime,
    rows_more: str,
    on_record: str,
    *,
    alike: bool,
) -> None:
    """Make sure that none was added to what was known: whoever asked was given the row before.

    Raises:
        RefusedError: some are more.
    """
    more, first, *_ = beyond_last_bits(ask, rows_more, on_record) if alike else ask(rows_more)
    if more:
        raise RefusedError(
            f"{more:,} rows, the first of {first}, would be added to what {served} was by "
            f"{known_to.isoformat()}: events came since that say they had arrived before. Let "
            "created_timestamp say when an event reached the warehouse; nothing was written. "
            f"{THE_WAY_OUT}"
        )
