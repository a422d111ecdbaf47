"""Take in `customer_events`: refuse what no one can mean, quarantine what came too late.

A whole file is *refused* when it cannot be the events table (columns, types, time zone) or breaks a
rule every producer must keep (keys present, amounts not negative, no event twice). A single row is
*quarantined* when it is well-formed but inadmissible; it is kept, with its reason, and counted.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import duckdb

from feature_pipeline.engine import one_row
from feature_pipeline.erased_customers import NOBODY, ErasedCustomers, leave_out
from feature_pipeline.events_table import (
    events_view,
    iso,
    parts_reaching,
    refuse_broken_rules,
    refuse_wrong_schema,
)
from feature_pipeline.parquet_table import parts_of
from feature_pipeline.refusal import RefusedError

# Wide enough for any amount of money, fine enough to hold every decimal a float can honestly carry.
MONEY = "DECIMAL(38, 12)"
MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class IntakeCounts:
    """Rows of one events file, each counted exactly once (rows in = rows out + quarantined)."""

    ingested: int
    """Rows that had arrived by the as-of time: `kept + superseded + quarantined`."""
    kept: int
    """Latest state of its customer and UTC day (contract §5.1, dedup rules)."""
    superseded: int
    """Earlier state of a day that has a later one."""
    quarantined: int
    """Late, future-dated or malformed; written out with the reason."""
    not_yet_arrived: int
    """Rows created after the as-of time: not ingested by this run."""

    def __str__(self) -> str:
        return (
            f"{self.ingested:,} events ingested: {self.kept:,} kept, "
            f"{self.superseded:,} superseded, {self.quarantined:,} quarantined; "
            f"{self.not_yet_arrived:,} had not yet arrived"
        )


def stage_events(
    connection: duckdb.DuckDBPyConnection,
    events: Path,
    as_of: datetime,
    lateness: timedelta,
    erased: ErasedCustomers = NOBODY,
) -> IntakeCounts:
    """Create `accepted_events` and `quarantined_events` from the table, as known at `as_of`.

    `lateness` is contract §3, allowed lateness: an event may arrive exactly that long after it
    happened, and no microsecond later. The session zone must be UTC. The `erased` are left out.

    Raises:
        RefusedError: the table is missing, is not the events table, or breaks a producer's rule.
    """
    rows = refuse_wrong_schema(events)
    events_view(connection, parts_of(events))
    rows -= leave_out(connection, "events_file", erased)
    refuse_broken_rules(connection, "events_file", events)
    bounds = {"as_of": as_of, "lateness_us": lateness // MICROSECOND}
    _accept(connection, "FROM events_file", bounds)
    _quarantine(connection, "FROM events_file", bounds)
    return _reconcile(connection, events, as_of, rows)


def stage_arrivals(
    connection: duckdb.DuckDBPyConnection,
    events: Path,
    since: datetime,
    as_of: datetime,
    *,
    lookback_window: timedelta,
    lateness: timedelta,
    erased: ErasedCustomers = NOBODY,
) -> IntakeCounts:
    """The same for what arrived in (`since`, `as_of`], with what a change log needs to go on.

    `accepted_events` holds whole days of the customers of whom an event arrived or left the window
    since then: from the day on that still counted at `since`. The counts are of the arrivals; an
    event is superseded, too, where it takes the place of one that had arrived before.

    Raises:
        RefusedError: an arrival breaks a producer's rule.
    """
    # Whole days, since the states of a day supersede each other; a microsecond, since `after` is.
    midnight = (since - max(lookback_window, lateness)).astimezone(UTC)
    counting = datetime.combine(midnight, time(), UTC)
    reaching = {"created_timestamp": since, "event_timestamp": counting - MICROSECOND}
    events_view(connection, parts_reaching(events, reaching) or parts_of(events)[:1])
    connection.execute(
        "CREATE TEMP TABLE deliveries AS FROM events_file WHERE created_timestamp > $since",
        {"since": since},
    )
    connection.execute("CREATE TEMP VIEW delivered AS FROM deliveries")
    leave_out(connection, "delivered", erased)
    refuse_broken_rules(connection, "delivered", events)
    bounds = {"as_of": as_of, "lateness_us": lateness // MICROSECOND}
    leaving = {"leave_from": since - lookback_window, "leave_by": as_of - lookback_window}
    connection.execute(
        f"""
        CREATE TEMP TABLE touched AS
        SELECT customer_id FROM delivered WHERE created_timestamp <= $as_of AND {_REASON} IS NULL
        UNION
        SELECT customer_id FROM events_file
        WHERE event_timestamp > $leave_from AND event_timestamp <= $leave_by
          AND created_timestamp <= $as_of AND {_REASON} IS NULL
        """,
        bounds | leaving,
    )
    connection.execute("CREATE TEMP VIEW affected AS FROM touched")
    leave_out(connection, "affected", erased)
    _accept(
        connection,
        """FROM (
            FROM events_file WHERE event_timestamp >= $counting AND created_timestamp <= $as_of
        ) SEMI JOIN affected USING (customer_id)""",
        bounds | {"counting": counting},
    )
    _quarantine(connection, "FROM delivered", bounds)
    return _count_arrivals(connection, since, as_of)


def _accept(connection: duckdb.DuckDBPyConnection, rows: str, bounds: dict[str, object]) -> None:
    connection.execute(
        f"""
        CREATE TEMP TABLE accepted_events AS
        SELECT customer_id,
               make_timestamp(epoch_us(event_timestamp)) AS event_timestamp,
               make_timestamp(epoch_us(created_timestamp)) AS created_timestamp,
               CAST(orders AS BIGINT) AS orders,
               CAST(order_value AS {MONEY}) AS order_value,
               CAST(sessions AS BIGINT) AS sessions
        FROM ({rows}) WHERE created_timestamp <= $as_of AND {_REASON} IS NULL
        """,
        bounds,
    )


def _quarantine(
    connection: duckdb.DuckDBPyConnection, rows: str, bounds: dict[str, object]
) -> None:
    connection.execute(
        f"""
        CREATE TEMP TABLE quarantined_events AS
        SELECT *, {_REASON} AS reason
        FROM ({rows}) WHERE created_timestamp <= $as_of AND {_REASON} IS NOT NULL
        ORDER BY customer_id, event_timestamp, created_timestamp
        """,
        bounds,
    )


# NULL for an admissible event. The order matters: a malformed row is not judged for its times.
_REASON = f"""
    CASE
        WHEN orders IS NULL THEN 'malformed: orders is null'
        WHEN sessions IS NULL THEN 'malformed: sessions is null'
        WHEN TRY_CAST(orders AS BIGINT) IS NULL THEN 'malformed: orders is not a count'
        WHEN TRY_CAST(sessions AS BIGINT) IS NULL THEN 'malformed: sessions is not a count'
        WHEN order_value IS NULL THEN 'malformed: order_value is null'
        WHEN TRY_CAST(order_value AS {MONEY}) IS NULL THEN 'malformed: order_value is not an amount'
        WHEN NOT isfinite(event_timestamp) THEN 'malformed: event_timestamp is no instant'
        WHEN event_timestamp > created_timestamp THEN 'future-dated: happened after it arrived'
        WHEN epoch_us(created_timestamp) - epoch_us(event_timestamp) > $lateness_us
            THEN 'late: arrived after the allowed lateness'
    END
"""


def _reconcile(
    connection: duckdb.DuckDBPyConnection, events: Path, as_of: datetime, rows: int
) -> IntakeCounts:
    def count(query: str, **parameters: datetime) -> int:
        return int(one_row(connection, query, dict(parameters))[0])

    ingested = count("SELECT count(*) FROM events_file WHERE created_timestamp <= $t", t=as_of)
    if ingested == 0:
        first = one_row(connection, f"SELECT {iso('min(created_timestamp)')} FROM events_file")
        raise RefusedError(
            f"no event of {events} had arrived by {as_of.isoformat()}; the first arrived at "
            f"{first[0]}: name a later as-of time"
        )
    accepted = count("SELECT count(*) FROM accepted_events")
    kept = count(
        "SELECT count(*) FROM (SELECT DISTINCT customer_id, CAST(event_timestamp AS DATE) "
        "FROM accepted_events)"
    )
    quarantined = count("SELECT count(*) FROM quarantined_events")
    counts = IntakeCounts(
        ingested=ingested,
        kept=kept,
        superseded=accepted - kept,
        quarantined=quarantined,
        not_yet_arrived=rows - ingested,
    )
    # `rows` is the file's own count, the others are counted from what became of its rows.
    if counts.ingested != counts.kept + counts.superseded + counts.quarantined or (
        counts.not_yet_arrived
        != count("SELECT count(*) FROM events_file WHERE created_timestamp > $t", t=as_of)
    ):
        raise AssertionError(f"rows were lost or doubled on the way in: {counts}")
    return counts


def _count_arrivals(
    connection: duckdb.DuckDBPyConnection, since: datetime, as_of: datetime
) -> IntakeCounts:
    ingested, not_yet_arrived = one_row(
        connection,
        """SELECT count(*) FILTER (WHERE created_timestamp <= $as_of),
                  count(*) FILTER (WHERE created_timestamp > $as_of) FROM delivered""",
        {"as_of": as_of},
    )
    (quarantined,) = one_row(connection, "SELECT count(*) FROM quarantined_events")
    accepted, new_days = one_row(
        connection,
        """
        SELECT sum(arrivals), count(*) FILTER (WHERE arrivals = states) FROM (
            SELECT count(*) FILTER (WHERE created_timestamp > $since) AS arrivals,
                   count(*) AS states
            FROM accepted_events GROUP BY customer_id, CAST(event_timestamp AS DATE)
        ) WHERE arrivals > 0
        """,
        {"since": since.astimezone(UTC).replace(tzinfo=None)},
    )
    accepted = int(accepted or 0)
    counts = IntakeCounts(
        ingested=ingested,
        kept=new_days,
        superseded=accepted - new_days,
        quarantined=quarantined,
        not_yet_arrived=not_yet_arrived,
    )
    if counts.ingested != accepted + quarantined:
        raise AssertionError(f"rows were lost or doubled on the way in: {counts}")
    return counts
