"""Take in what arrived since a change log was last known, with what it needs to go on."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

from feature_pipeline.change_log.event_parts import event_parts
from feature_pipeline.change_log.events_table import events_view, parts_reaching, readable
from feature_pipeline.change_log.instants import arrived_by, arrives_after
from feature_pipeline.change_log.intake import (
    MICROSECOND,
    NOT_YET,
    REASON,
    IntakeCounts,
    accept,
    judge,
    quarantine,
)
from feature_pipeline.change_log.local_days import IN_UTC, whole_days_from
from feature_pipeline.erasure.erased_customers import NO_ERASURES, ErasedCustomers, leave_out
from storage.one_row import one_row


def stage_arrivals(
    connection: duckdb.DuckDBPyConnection,
    events: Path,
    since: datetime,
    as_of: datetime,
    *,
    lookback_window: timedelta,
    lateness: timedelta,
    erased: ErasedCustomers = NO_ERASURES,
    zone: str = IN_UTC,
) -> IntakeCounts:
    """Do as `stage_events` for what arrived in (`since`, `as_of`], with what a log needs to go on.

    `accepted_events` holds whole days of the customers of whom an event arrived or left the window
    since then: from the day on that still counted at `since`. The counts are of the arrivals; an
    event is superseded, too, where it takes the place of one that had arrived before.

    Raises:
        RefusedError: a part cannot be read.
    """
    # Whole days, since the states of a day supersede each other; a microsecond, since `after` is.
    counting = whole_days_from(since - max(lookback_window, lateness), zone)
    reaching = {"created_timestamp": since, "event_timestamp": counting - MICROSECOND}
    parts = parts_reaching(events, reaching) or event_parts(events)[:1]
    bounds = {"as_of": as_of, "lateness_us": lateness // MICROSECOND}
    leaving = {"leave_from": since - lookback_window, "leave_by": as_of - lookback_window}
    with readable(parts):
        events_view(connection, parts)
        judge(
            connection,
            f"FROM events_file WHERE {arrives_after('$since')}",
            "deliveries",
            bounds | {"since": since},
        )
        connection.execute("CREATE TEMP VIEW delivered AS FROM deliveries")
        leave_out(connection, "delivered", erased)
        connection.execute(
            f"""
            CREATE TEMP TABLE touched AS
            SELECT customer_id FROM delivered WHERE reason IS NULL
            UNION
            SELECT customer_id FROM events_file
            WHERE event_timestamp > $leave_from AND event_timestamp <= $leave_by
              AND {REASON} IS NULL
            """,
            bounds | leaving,
        )
        connection.execute("CREATE TEMP VIEW affected AS FROM touched")
        leave_out(connection, "affected", erased)
        judge(
            connection,
            f"""FROM (
                FROM events_file
                WHERE event_timestamp >= $counting AND {arrived_by("$as_of")}
            ) SEMI JOIN affected USING (customer_id)""",
            "going_on",
            bounds | {"counting": counting},
        )
        accept(connection, "going_on", zone)
        quarantine(connection, "delivered", parts, bounds)
    return _count_arrivals(connection, since)


def _count_arrivals(connection: duckdb.DuckDBPyConnection, since: datetime) -> IntakeCounts:
    ingested, not_yet_arrived = one_row(
        connection,
        f"""SELECT count(*) FILTER (reason IS NULL OR reason <> '{NOT_YET}'),
                   count(*) FILTER (reason = '{NOT_YET}') FROM delivered""",
    )
    (quarantined,) = one_row(connection, "SELECT count(*) FROM quarantined_events")
    accepted, new_days = one_row(
        connection,
        """
        SELECT sum(arrivals), count(*) FILTER (WHERE arrivals = states) FROM (
            SELECT count(*) FILTER (WHERE created_timestamp > $since) AS arrivals,
                   count(*) AS states
            FROM accepted_events GROUP BY customer_id, day
        ) WHERE arrivals > 0
        """,
        {"since": since.astimezone(UTC).replace(tzinfo=None)},
    )
    accepted = int(accepted or 0)
    return IntakeCounts(
        ingested=ingested,
        kept=new_days,
        superseded=accepted - new_days,
        quarantined=quarantined,
        not_yet_arrived=not_yet_arrived,
    )
