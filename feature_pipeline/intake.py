"""Take in `customer_events`: refuse what no one can mean, quarantine what came too late.

A whole file is *refused* when it cannot be the events table (columns, types, time zone) or breaks a
rule every producer must keep (keys present, amounts not negative, no event twice). A single row is
*quarantined* when it is well-formed but inadmissible; it is kept, with its reason, and counted.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import types

from feature_pipeline.engine import one_row, this_file
from feature_pipeline.erased_customers import NOBODY, ErasedCustomers, leave_out
from feature_pipeline.refusal import RefusedError

KEYS = ("customer_id", "event_timestamp", "created_timestamp")
COUNTS = ("orders", "sessions")
AMOUNTS = (*COUNTS, "order_value")

# Wide enough for any amount of money, fine enough to hold every decimal a float can honestly carry.
MONEY = "DECIMAL(38, 12)"


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
    """Create `accepted_events` and `quarantined_events` from the file, as known at `as_of`.

    `lateness` is contract §3, allowed lateness: an event may arrive exactly that long after it
    happened, and no microsecond later. The session zone must be UTC. The `erased` are left out.

    Raises:
        RefusedError: the file is missing, is not the events table, or breaks a producer's rule.
    """
    rows = _refuse_wrong_schema(events)
    connection.read_parquet(this_file(events)).create_view("events_file", replace=True)
    rows -= leave_out(connection, "events_file", erased)
    _refuse_broken_rules(connection, events)
    bounds = {"as_of": as_of, "lateness_us": lateness // timedelta(microseconds=1)}
    connection.execute(
        f"""
        CREATE TEMP TABLE accepted_events AS
        SELECT customer_id,
               make_timestamp(epoch_us(event_timestamp)) AS event_timestamp,
               make_timestamp(epoch_us(created_timestamp)) AS created_timestamp,
               CAST(orders AS BIGINT) AS orders,
               CAST(order_value AS {MONEY}) AS order_value,
               CAST(sessions AS BIGINT) AS sessions
        FROM events_file WHERE created_timestamp <= $as_of AND {_REASON} IS NULL
        """,
        bounds,
    )
    connection.execute(
        f"""
        CREATE TEMP TABLE quarantined_events AS
        SELECT *, {_REASON} AS reason
        FROM events_file WHERE created_timestamp <= $as_of AND {_REASON} IS NOT NULL
        ORDER BY customer_id, event_timestamp, created_timestamp
        """,
        bounds,
    )
    return _reconcile(connection, events, as_of, rows)


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


def _refuse_wrong_schema(events: Path) -> int:
    """Rows in the file; refuses one that is not the events table."""
    if not events.is_file():
        raise RefusedError(
            f"no events file at {events}: write customer_events there as parquet, or name another"
        )
    try:
        metadata = pq.read_metadata(events)
        schema = metadata.schema.to_arrow_schema()
    except (pa.ArrowException, OSError) as error:
        raise RefusedError(
            f"{events} is not a readable parquet file ({error}): write customer_events anew"
        ) from error

    if doubled := sorted({name for name in schema.names if schema.names.count(name) > 1}):
        raise RefusedError(f"{events} has two columns {', '.join(doubled)}: write each once")
    missing = [name for name in (*KEYS, *AMOUNTS) if name not in schema.names]
    if missing:
        raise RefusedError(
            f"{events} lacks {', '.join(missing)}; customer_events has the columns "
            f"{', '.join((*KEYS, *AMOUNTS))}, this file has {', '.join(schema.names)}"
        )
    wrong = [
        f"{name} is {schema.field(name).type}, expected {expected}"
        for name, expected, fits in _EXPECTED_TYPES
        if not fits(schema.field(name).type)
    ]
    if wrong:
        raise RefusedError(
            f"{events} has columns of a wrong type: {'; '.join(wrong)}. Write them in these types"
        )
    if metadata.num_rows == 0:
        raise RefusedError(f"{events} has no rows: nothing to aggregate; check the ingestion job")
    return int(metadata.num_rows)


def _is_identifier(kind: pa.DataType) -> bool:
    return bool(types.is_integer(kind) or types.is_string(kind) or types.is_large_string(kind))


def _is_zoned_timestamp(kind: pa.DataType) -> bool:
    return bool(types.is_timestamp(kind) and kind.tz is not None)


def _is_number(kind: pa.DataType) -> bool:
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind))


_ZONED = "a timestamp with time zone (a naive one names no instant)"
_EXPECTED_TYPES = (
    ("customer_id", "an integer or a string", _is_identifier),
    ("event_timestamp", _ZONED, _is_zoned_timestamp),
    ("created_timestamp", _ZONED, _is_zoned_timestamp),
    ("orders", "an integer", types.is_integer),
    ("sessions", "an integer", types.is_integer),
    ("order_value", "a number", _is_number),
)


def _refuse_broken_rules(connection: duckdb.DuckDBPyConnection, events: Path) -> None:
    faults = []
    for rule, columns, condition in (
        ("null", KEYS, "{} IS NULL"),
        ("negative", AMOUNTS, "{} < 0"),
    ):
        for column in columns:
            condition_here = condition.format(column)
            count, sample = _count_and_sample(connection, condition_here)
            if count:
                faults.append(f"{column} is {rule} in {count:,} rows, first {sample}")
    shown = f"customer_id, {_iso('event_timestamp')}, {_iso('created_timestamp')}"
    duplicated = connection.execute(
        f"""SELECT count(*) OVER (), {shown}, count(*)
        FROM events_file
        WHERE {" AND ".join(f"{key} IS NOT NULL" for key in KEYS)}
        GROUP BY {", ".join(KEYS)} HAVING count(*) > 1 ORDER BY {", ".join(KEYS)} LIMIT 1"""
    ).fetchone()
    if duplicated:
        count, customer, happened, arrived, times = duplicated
        faults.append(
            f"{count:,} events stand there more than once, first customer_id {customer} at "
            f"{happened}, arrived {arrived}, {times} times"
        )
    if faults:
        raise RefusedError(
            f"{events} breaks the producer's rules: {'; '.join(faults)}. "
            "Mend the ingestion job or the file and run again; nothing was written."
        )


def _iso(instant: str) -> str:
    # Spelled by the engine: Python's datetime ends at the year 9999, a column of events need not.
    return f"replace(CAST({instant} AS VARCHAR), ' ', 'T') || ':00'"


def _count_and_sample(connection: duckdb.DuckDBPyConnection, condition: str) -> tuple[int, str]:
    keys = ", ".join(f"{key}: CAST({key} AS VARCHAR)" for key in KEYS)
    count, sample = one_row(
        connection, f"SELECT count(*), min({{{keys}}}) FROM events_file WHERE {condition}"
    )
    return count, str(sample)


def _reconcile(
    connection: duckdb.DuckDBPyConnection, events: Path, as_of: datetime, rows: int
) -> IntakeCounts:
    def count(query: str, **parameters: datetime) -> int:
        return int(one_row(connection, query, dict(parameters))[0])

    ingested = count("SELECT count(*) FROM events_file WHERE created_timestamp <= $t", t=as_of)
    if ingested == 0:
        first = one_row(connection, f"SELECT {_iso('min(created_timestamp)')} FROM events_file")
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
