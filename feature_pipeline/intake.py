"""Take in `customer_events`: refuse what no one can mean, quarantine what came too late.

A whole file is *refused* when it cannot be the events table (columns, types, time zone) or breaks a
rule every producer must keep (keys present, amounts not negative, no event twice). A single row is
*quarantined* when it is well-formed but inadmissible; it is kept, with its reason, and counted.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import duckdb

from feature_pipeline.engine import one_row
from feature_pipeline.erased_customers import NOBODY, ErasedCustomers, leave_out
from feature_pipeline.events_table import (
    events_view,
    iso,
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


@dataclass(frozen=True)
class Staged:
    """What became of the rows of an events file; of those accepted some are superseded."""

    ingested: int
    accepted: int
    quarantined: int
    not_yet_arrived: int

    def counts(self, kept: int) -> IntakeCounts:
        """With so many customer-days among the accepted."""
        return IntakeCounts(
            ingested=self.ingested,
            kept=kept,
            superseded=self.accepted - kept,
            quarantined=self.quarantined,
            not_yet_arrived=self.not_yet_arrived,
        )


def stage_events(
    connection: duckdb.DuckDBPyConnection,
    events: Path,
    as_of: datetime,
    lateness: timedelta,
    erased: ErasedCustomers = NOBODY,
) -> Staged:
    """Create the views `accepted_events` and `quarantined_events`, as known at `as_of`.

    `lateness` is contract §3, allowed lateness: an event may arrive exactly that long after it
    happened, and no microsecond later. The session zone must be UTC. The `erased` are left out.

    Raises:
        RefusedError: the table is missing, is not the events table, or breaks a producer's rule.
    """
    rows = refuse_wrong_schema(events)
    events_view(connection, parts_of(events))
    rows -= leave_out(connection, "events_file", erased)
    bounds = {"as_of": as_of, "lateness_us": lateness // MICROSECOND}
    judge(connection, "FROM events_file", "judged", bounds)
    refuse_broken_rules(connection, "judged", events)
    accept(connection, "judged")
    quarantine(connection, "judged")
    return _reconcile(connection, events, as_of, rows)


def judge(
    connection: duckdb.DuckDBPyConnection, rows: str, judged: str, bounds: dict[str, object]
) -> None:
    """Create the table `judged`: the rows as they are, and the reason not to accept one."""
    # The reason first: ours is the one of that name then, if the rows have one, too.
    connection.execute(
        f"CREATE TEMP TABLE {judged} AS SELECT {REASON} AS reason, * FROM ({rows})", bounds
    )


def accept(connection: duckdb.DuckDBPyConnection, judged: str) -> None:
    """Create the view `accepted_events`."""
    connection.execute(
        f"""
        CREATE TEMP VIEW accepted_events AS
        SELECT customer_id,
               make_timestamp(epoch_us(event_timestamp)) AS event_timestamp,
               make_timestamp(epoch_us(created_timestamp)) AS created_timestamp,
               CAST(orders AS BIGINT) AS orders,
               CAST(order_value AS {MONEY}) AS order_value,
               CAST(sessions AS BIGINT) AS sessions
        FROM {judged} WHERE reason IS NULL
        """
    )


def quarantine(connection: duckdb.DuckDBPyConnection, judged: str) -> None:
    """Create the view `quarantined_events`, with the reason last."""
    connection.execute(
        f"""
        CREATE TEMP VIEW quarantined_events AS
        SELECT * EXCLUDE (reason), reason FROM {judged} WHERE reason <> '{NOT_YET}'
        ORDER BY customer_id, event_timestamp, created_timestamp
        """
    )


NOT_YET = "not yet arrived"

# NULL for an admissible event. The order matters: a malformed row is not judged for its times, and
# one that has not arrived for nothing.
REASON = f"""
    CASE
        WHEN created_timestamp > $as_of THEN '{NOT_YET}'
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
) -> Staged:
    ingested, not_yet_arrived, first = one_row(
        connection,
        f"""SELECT count(*) FILTER (created_timestamp <= $as_of),
                   count(*) FILTER (created_timestamp > $as_of), {iso("min(created_timestamp)")}
        FROM judged""",
        {"as_of": as_of},
    )
    if ingested == 0:
        raise RefusedError(
            f"no event of {events} had arrived by {as_of.isoformat()}; the first arrived at "
            f"{first}: name a later as-of time"
        )
    (accepted,) = one_row(connection, "SELECT count(*) FROM accepted_events")
    (quarantined,) = one_row(connection, "SELECT count(*) FROM quarantined_events")
    staged = Staged(ingested, accepted, quarantined, not_yet_arrived)
    # `rows` is the file's own count, the others are counted from what became of its rows.
    if rows != ingested + not_yet_arrived or ingested != accepted + quarantined:
        raise AssertionError(f"rows were lost or doubled on the way in: {staged} of {rows}")
    return staged


def customer_days(connection: duckdb.DuckDBPyConnection) -> int:
    """Of the accepted events: as many are kept, one a day (contract §5.1, dedup rules)."""
    days = "SELECT DISTINCT customer_id, CAST(event_timestamp AS DATE) FROM accepted_events"
    return int(one_row(connection, f"SELECT count(*) FROM ({days})")[0])
