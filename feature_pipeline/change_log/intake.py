"""Take in `customer_events`: refuse what no one can mean, quarantine what no one can count.

A whole file is *refused* when it cannot be the events table: its columns, their types, a part that
cannot be read. A single row is *quarantined* when it is inadmissible by itself: it breaks a rule
every producer must keep (keys present, amounts not negative, no event twice), came too late, is
future-dated or holds no amount. It is kept, with its reason, and counted; the others go on.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import duckdb

from feature_pipeline.change_log.doubled_events import set_doubles_aside
from feature_pipeline.change_log.event_columns import AMOUNTS, KEYS
from feature_pipeline.change_log.event_parts import event_parts
from feature_pipeline.change_log.events_table import (
    events_as_written,
    events_view,
    readable,
    refuse_wrong_schema,
)
from feature_pipeline.change_log.instants import arrives_after, is_no_instant, iso
from feature_pipeline.change_log.local_days import IN_UTC, duckdb_day, refuse_unknown_zone
from feature_pipeline.change_log.money import IS_NO_AMOUNT, IS_NO_NUMBER, MONEY_OF_ORDER_VALUE
from feature_pipeline.erasure.erased_customers import NO_ERASURES, ErasedCustomers, leave_out
from storage.errors import RefusedError
from storage.one_row import one_row

MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class IntakeCounts:
    """Rows of one events file, each counted exactly once (rows in = rows out + quarantined)."""

    ingested: int
    """Rows that had arrived by the as-of time: `kept + superseded + quarantined`."""
    kept: int
    """Latest state of its customer and day (contract §5.1, dedup rules)."""
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
    erased: ErasedCustomers = NO_ERASURES,
    zone: str = IN_UTC,
) -> Staged:
    """Create the views `accepted_events` and `quarantined_events`, as known at `as_of`.

    `lateness` is contract §3, allowed lateness: an event may arrive exactly that long after it
    happened, and no microsecond later. The session zone must be UTC. The `erased` are left out.
    `zone` is that of §3, whose days are counted.

    Raises:
        RefusedError: the table is missing, is not the events table, or a part cannot be read.
    """
    rows = refuse_wrong_schema(events)
    parts = event_parts(events)
    bounds = {"as_of": as_of, "lateness_us": lateness // MICROSECOND}
    with readable(parts):
        events_view(connection, parts)
        rows -= leave_out(connection, "events_file", erased)
        judge(connection, "FROM events_file", "judged", bounds)
        accept(connection, "judged", zone)
        quarantine(connection, "judged", parts, bounds)
    return _reconcile(connection, events, as_of, rows)


def judge(
    connection: duckdb.DuckDBPyConnection, rows: str, judged: str, bounds: dict[str, object]
) -> None:
    """Create the table `judged`: the rows as they are, and the reason not to accept one."""
    # The reason first: ours is the one of that name then, if the rows have one, too.
    connection.execute(
        f"CREATE TEMP TABLE {judged} AS SELECT {REASON} AS reason, * FROM ({rows})", bounds
    )
    set_doubles_aside(connection, judged)


def accept(connection: duckdb.DuckDBPyConnection, judged: str, zone: str) -> None:
    """Create the view `accepted_events`, each with its day in the zone.

    Raises:
        RefusedError: the zone is not known.
    """
    refuse_unknown_zone(connection, zone)
    happened = "make_timestamp(epoch_us(event_timestamp))"
    connection.execute(
        f"""
        CREATE TEMP VIEW accepted_events AS
        SELECT customer_id,
               {happened} AS event_timestamp,
               make_timestamp(epoch_us(created_timestamp)) AS created_timestamp,
               CAST(orders AS BIGINT) AS orders,
               {MONEY_OF_ORDER_VALUE} AS order_value,
               CAST(sessions AS BIGINT) AS sessions,
               {duckdb_day(happened, zone)} AS day
        FROM {judged} WHERE reason IS NULL
        """
    )


def quarantine(
    connection: duckdb.DuckDBPyConnection,
    judged: str,
    parts: list[Path],
    bounds: dict[str, object],
) -> None:
    """Create the table `quarantined_events`: with all that its events hold, the reason last.

    Columns that no event has are read for these rows alone, and left out where that fails: nothing
    depends on them, so they must not keep events from being taken in.
    """
    same = " AND ".join(f"e.{key} IS NOT DISTINCT FROM q.{key}" for key in KEYS)
    connection.execute(
        f"""CREATE TEMP TABLE quarantined_keys AS
        SELECT DISTINCT {", ".join(KEYS)} FROM {judged} WHERE reason <> '{NOT_YET}'"""
    )
    rows = judged
    try:
        events_as_written(connection, parts)
        theirs = f"FROM events_as_written AS e SEMI JOIN quarantined_keys AS q ON {same}"
        judge(connection, theirs, "judged_whole", bounds)
        rows = "judged_whole"
    except duckdb.Error:
        connection.execute("DROP TABLE IF EXISTS judged_whole")
    connection.execute(
        f"""CREATE TEMP TABLE quarantined_events AS
        SELECT * EXCLUDE (reason), reason FROM {rows} WHERE reason <> '{NOT_YET}'
        ORDER BY {", ".join(KEYS)}"""
    )


NOT_YET = "not yet arrived"

# NULL for an admissible event. The order matters: a malformed row is not judged for its times, and
# one that has not arrived for nothing.
REASON = f"""
    CASE
        WHEN {arrives_after("$as_of")} THEN '{NOT_YET}'
        {" ".join(f"WHEN {key} IS NULL THEN 'malformed: {key} is null'" for key in KEYS)}
        WHEN {is_no_instant("created_timestamp")}
            THEN 'malformed: created_timestamp is no instant'
        WHEN orders IS NULL THEN 'malformed: orders is null'
        WHEN sessions IS NULL THEN 'malformed: sessions is null'
        WHEN TRY_CAST(orders AS BIGINT) IS NULL THEN 'malformed: orders is not a count'
        WHEN TRY_CAST(sessions AS BIGINT) IS NULL THEN 'malformed: sessions is not a count'
        WHEN order_value IS NULL THEN 'malformed: order_value is null'
        WHEN {IS_NO_NUMBER} THEN 'malformed: order_value is not an amount'
        {" ".join(f"WHEN {one} < 0 THEN 'malformed: {one} is negative'" for one in AMOUNTS)}
        WHEN {IS_NO_AMOUNT} THEN 'malformed: order_value is not an amount'
        WHEN {is_no_instant("event_timestamp")} THEN 'malformed: event_timestamp is no instant'
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
        f"""SELECT count(*) FILTER (reason IS NULL OR reason <> '{NOT_YET}'),
                   count(*) FILTER (reason = '{NOT_YET}'), {iso("min(created_timestamp)")}
        FROM judged""",
    )
    # `rows` is the footers' own count, the others are counted from what became of the rows.
    if rows != ingested + not_yet_arrived:
        raise RefusedError(
            f"the footers of {events} tell of {rows:,} rows, but {ingested + not_yet_arrived:,} "
            "can be read: write it anew from where its events came; nothing was written"
        )
    if ingested == 0:
        raise nothing_arrived(events, as_of, first)
    (accepted,) = one_row(connection, "SELECT count(*) FROM accepted_events")
    (quarantined,) = one_row(connection, "SELECT count(*) FROM quarantined_events")
    staged = Staged(ingested, accepted, quarantined, not_yet_arrived)
    if ingested != accepted + quarantined:
        raise AssertionError(f"rows were lost or doubled on the way in: {staged} of {rows}")
    return staged


def nothing_arrived(events: object, as_of: datetime, first: str | None) -> RefusedError:
    """The refusal where no event had arrived by then; the `first` of all did later, if at all."""
    later = f"the first arrived at {first}, name a later as-of time"
    return RefusedError(
        f"no event of {events} had arrived by {as_of.isoformat()}: "
        + (later if first else "load events first")
    )


def customer_days(connection: duckdb.DuckDBPyConnection) -> int:
    """How many of the accepted events are kept, one a day (contract §5.1, dedup rules)."""
    days = "SELECT DISTINCT customer_id, day FROM accepted_events"
    return int(one_row(connection, f"SELECT count(*) FROM ({days})")[0])
