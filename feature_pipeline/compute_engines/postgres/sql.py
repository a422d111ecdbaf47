"""What the warehouse's refresh asks of PostgreSQL, statement by statement.

Statements on the warehouse's own tables take aware times; the aggregation reckons in UTC without a
zone, and so does what it reads, the temporary table `accepted_events`.
"""

from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any

import sqlglot

from feature_pipeline.change_log.doubled_events import CONFLICTING, OF_ONE_HELD, REPEATED
from feature_pipeline.change_log.event_columns import AMOUNTS, KEYS
from feature_pipeline.change_log.instants import arrived_by, arrives_after, is_no_instant
from feature_pipeline.change_log.quotient import spelled_out
from feature_pipeline.compute_engines.postgres.warehouse import HISTORY, QUARANTINE, REFRESHES

ADMITTED = "admitted_events"
"""The session's view of the events without the customers who were erased."""

# NULL for an admissible event, else why not: the reasons of change_log/intake.py, in its order.
# That a count is one the table's own types see to. NaN is greater than any number here.
_REASON = f"""
    CASE
        {" ".join(f"WHEN {key} IS NULL THEN 'malformed: {key} is null'" for key in KEYS)}
        WHEN {is_no_instant("created_timestamp")}
            THEN 'malformed: created_timestamp is no instant'
        WHEN orders IS NULL THEN 'malformed: orders is null'
        WHEN sessions IS NULL THEN 'malformed: sessions is null'
        WHEN order_value IS NULL THEN 'malformed: order_value is null'
        {" ".join(f"WHEN {one} < 0 THEN 'malformed: {one} is negative'" for one in AMOUNTS)}
        WHEN round(order_value, 12) >= 1e26 THEN 'malformed: order_value is not an amount'
        WHEN {is_no_instant("event_timestamp")} THEN 'malformed: event_timestamp is no instant'
        WHEN event_timestamp > created_timestamp THEN 'future-dated: happened after it arrived'
        WHEN created_timestamp - event_timestamp > %(allowed_lateness)s
            THEN 'late: arrived after the allowed lateness'
    END
"""


def _has_arrived(bound: str) -> str:
    """Also where it tells no instant of it: it is there."""
    return f"({arrives_after(bound)}) IS NOT TRUE"


ARRIVALS = f"""
    SELECT count(*),
           count(*) FILTER (WHERE {_has_arrived("%(as_of)s")}),
           count(*) FILTER (WHERE {_has_arrived("%(last_as_of)s")}),
           CAST(min(created_timestamp) AS TEXT),
           max(created_timestamp) FILTER (WHERE {arrived_by("%(as_of)s")})
    FROM {ADMITTED}
"""
"""Events in all, those that had arrived by either time, and when the first arrived and the newest
of those by then."""

AFFECTED = f"""
    CREATE TEMP TABLE affected ON COMMIT DROP AS
    SELECT customer_id FROM {ADMITTED}
    WHERE created_timestamp > %(since)s AND created_timestamp <= %(as_of)s
    UNION
    SELECT customer_id FROM {ADMITTED}
    WHERE event_timestamp > %(left_since)s AND event_timestamp <= %(left_until)s
      AND created_timestamp <= %(as_of)s
"""
"""Customers of whom an event arrived since the last refresh, or left the window."""

ACCEPTED = f"""
    CREATE TEMP TABLE accepted_events ON COMMIT DROP AS
    SELECT customer_id,
           event_timestamp AT TIME ZONE 'UTC' AS event_timestamp,
           created_timestamp AT TIME ZONE 'UTC' AS created_timestamp,
           orders,
           CAST(order_value AS NUMERIC(38, 12)) AS order_value,
           sessions,
           CAST(event_timestamp AT TIME ZONE %(zone)s AS DATE) AS day
    FROM {ADMITTED}
    WHERE created_timestamp <= %(as_of)s AND ({_REASON}) IS NULL
"""
OF_THE_AFFECTED = """
    AND event_timestamp >= %(whole_days_from)s AND customer_id IN (SELECT customer_id FROM affected)
"""

_EVENT = ", ".join(KEYS)
DOUBLED = f"""
    CREATE TEMP TABLE doubled_events ON COMMIT DROP AS
    SELECT * FROM (
        SELECT place, {_EVENT}, orders, order_value, sessions, CASE
            WHEN min(said) OVER event <> max(said) OVER event THEN '{CONFLICTING}'
            WHEN row_number() OVER (event ORDER BY place) > 1 THEN '{REPEATED}'
        END AS reason
        FROM (
            SELECT ctid AS place, *, concat_ws(' ', orders, order_value, sessions) AS said
            FROM accepted_events WHERE ({_EVENT}) IN (
                SELECT {_EVENT} FROM accepted_events GROUP BY {_EVENT} HAVING count(*) > 1
            )
        ) AS same WINDOW event AS (PARTITION BY {_EVENT})
    ) AS judged WHERE reason IS NOT NULL
"""
"""Accepted events that stand there more than once; see feature_pipeline/doubled_events."""
WITHOUT_DOUBLES = """
    DELETE FROM accepted_events WHERE ctid = ANY (ARRAY (SELECT place FROM doubled_events))
"""

_NEW = "created_timestamp > %(since)s AND created_timestamp <= %(as_of)s"
_SET_ASIDE = f"""
    INSERT INTO {QUARANTINE}
    SELECT {_EVENT}, orders, order_value, sessions, reason
    FROM (SELECT *, {_REASON} AS reason FROM {ADMITTED} WHERE {{which}}) AS judged
    WHERE reason IS NOT NULL
    UNION ALL
    SELECT customer_id, event_timestamp AT TIME ZONE 'UTC', created_timestamp AT TIME ZONE 'UTC',
           orders, order_value, sessions, reason
    FROM doubled_events WHERE created_timestamp > %(since)s AT TIME ZONE 'UTC'
"""
SET_ALL_ASIDE = _SET_ASIDE.format(which=_has_arrived("%(as_of)s"))
SET_NEW_ASIDE = _SET_ASIDE.format(which=_NEW)
FORGET_QUARANTINE = f"DELETE FROM {QUARANTINE} WHERE reason <> '{OF_ONE_HELD}'"
"""What a refresh put there; it will not meet again what was set aside before it came in."""

COUNTED = """
    SELECT coalesce(sum(new), 0), count(*) FILTER (WHERE first > %(since)s)
    FROM (
        SELECT count(*) FILTER (WHERE created_timestamp > %(since)s) AS new,
               min(created_timestamp) AS first
        FROM accepted_events GROUP BY customer_id, day
    ) AS days
"""
"""Accepted events since the last refresh, and the days of a customer that began with one."""

TAKEN_BACK = f"""
    SELECT count(*), CAST(min(event_timestamp) AS TEXT)
    FROM (
        SELECT * FROM {HISTORY} WHERE event_timestamp > %(made_since)s EXCEPT ALL TABLE made
    ) AS differing
"""
"""Rows served and not made again, of those that still can be."""
ANOTHER_PAST = f"""
    SELECT count(*), CAST(min(event_timestamp) AS TEXT)
    FROM (
        SELECT * FROM made WHERE event_timestamp <= %(known_to)s EXCEPT ALL TABLE {HISTORY}
    ) AS differing
"""
MEND = f"""
    SELECT count(data_warehouse.mend_average(
        customer_id, event_timestamp, mended.avg_order_value_30d
    ))
    FROM (TABLE made EXCEPT ALL TABLE {HISTORY}) AS mended
    JOIN {HISTORY} AS on_record USING (customer_id, event_timestamp)
"""
"""The averages on record whose last bits are others now; the owner's function changes no more."""
LAST_REFRESH = f"""
    SELECT as_of, aggregation, lookback_window, allowed_lateness,
           ingested, kept, superseded, quarantined, history_rows,
           (SELECT max(event_timestamp) FROM {HISTORY})
    FROM {REFRESHES} ORDER BY refresh DESC LIMIT 1
"""
"""The last refresh on record, and the newest stamp of the log."""
APPEND_NEWER = f"INSERT INTO {HISTORY} TABLE made"
APPEND_MISSING = f"INSERT INTO {HISTORY} TABLE made EXCEPT ALL TABLE {HISTORY}"

ON_RECORD_IN_STRETCH = f"""
    CREATE TEMP TABLE on_record ON COMMIT DROP AS
    SELECT * FROM {HISTORY} WHERE event_timestamp > %(since)s AND event_timestamp <= %(as_of)s
"""
ON_RECORD = f"""
    INSERT INTO {REFRESHES} (
        as_of, lookback_window, allowed_lateness, aggregation,
        ingested, kept, superseded, quarantined, history_rows
    ) VALUES (
        %(as_of)s, %(lookback_window)s, %(allowed_lateness)s, %(aggregation)s,
        %(ingested)s, %(kept)s, %(superseded)s, %(quarantined)s, %(history_rows)s
    )
"""


@cache
def made() -> str:
    """`aggregate.sql` in PostgreSQL's dialect, its times with their zone, stamped since then."""
    return f"""
        CREATE TEMP TABLE made ON COMMIT DROP AS
        SELECT customer_id, event_timestamp AT TIME ZONE 'UTC' AS event_timestamp,
               avg_order_value_30d, orders_30d, sessions_30d, distinct_order_days_30d
        FROM ({_aggregation()}) AS change_log
        WHERE event_timestamp > %(made_since)s
    """


@cache
def digest_of_aggregation(zone: str) -> str:
    """Tells whether what makes a row has changed: another text or zone, another digest."""
    return sha256(f"{_aggregation()}{ACCEPTED}{DOUBLED}{zone}".encode()).hexdigest()


def _aggregation() -> str:
    text = (
        files("feature_pipeline.change_log").joinpath("aggregate.sql").read_text(encoding="utf-8")
    )
    (query,) = sqlglot.transpile(text, read="duckdb", write="postgres", comments=False)
    return spelled_out(query, "postgres")


def without_zone(bound: Any) -> Any:
    """What the aggregation takes for a bound: a time in UTC, without its zone."""
    return bound.astimezone(UTC).replace(tzinfo=None) if isinstance(bound, datetime) else bound
