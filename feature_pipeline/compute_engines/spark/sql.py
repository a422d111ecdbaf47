"""What a refresh asks of Spark, statement by statement. Its sessions are in UTC.

The views are those of change_log/intake.py: `events_file` and `delivered` before they are judged,
 `accepted_events` and `quarantined_events` after.
"""

from functools import cache
from importlib.resources import files

import sqlglot
from sqlglot import exp

from feature_pipeline.change_log.doubled_events import CONFLICTING, REPEATED
from feature_pipeline.change_log.event_columns import AMOUNTS, KEYS
from feature_pipeline.change_log.money import MONEY
from feature_pipeline.change_log.quotient import spelled_out

# The years 1 to 9999, as in feature_pipeline/change_log/instants.py.
_FIRST, _BEYOND = "timestamp_micros(-62135596800000000)", "timestamp_micros(253402300800000000)"


def _is_no_instant(column: str) -> str:
    return f"({column} < {_FIRST} OR {column} >= {_BEYOND})"


def _arrives_after(bound: str) -> str:
    """False where it tells no instant of it."""
    return f"coalesce(created_timestamp > {bound} AND created_timestamp < {_BEYOND}, false)"


# NULL for an admissible event, else why not: the reasons of change_log/intake.py, in its order.
_REASON = f"""
    CASE
        {" ".join(f"WHEN {key} IS NULL THEN 'malformed: {key} is null'" for key in KEYS)}
        WHEN {_is_no_instant("created_timestamp")}
            THEN 'malformed: created_timestamp is no instant'
        WHEN orders IS NULL THEN 'malformed: orders is null'
        WHEN sessions IS NULL THEN 'malformed: sessions is null'
        WHEN try_cast(orders AS BIGINT) IS NULL THEN 'malformed: orders is not a count'
        WHEN try_cast(sessions AS BIGINT) IS NULL THEN 'malformed: sessions is not a count'
        WHEN order_value IS NULL THEN 'malformed: order_value is null'
        {" ".join(f"WHEN {one} < 0 THEN 'malformed: {one} is negative'" for one in AMOUNTS)}
        WHEN try_cast(order_value AS {MONEY}) IS NULL THEN 'malformed: order_value is not an amount'
        WHEN {_is_no_instant("event_timestamp")} THEN 'malformed: event_timestamp is no instant'
        WHEN event_timestamp > created_timestamp THEN 'future-dated: happened after it arrived'
        WHEN unix_micros(created_timestamp) - unix_micros(event_timestamp) > :lateness_us
            THEN 'late: arrived after the allowed lateness'
    END
"""

JUDGED = f"SELECT *, {_REASON} AS reason FROM events_file WHERE NOT {_arrives_after(':as_of')}"

_EVENT = ", ".join(KEYS)
DOUBLED = f"""
    SELECT {_EVENT}, min(said) <> max(said) AS conflicting FROM (
        SELECT {_EVENT}, struct(orders, CAST(order_value AS {MONEY}) AS value, sessions) AS said
        FROM judged WHERE reason IS NULL
    ) GROUP BY {_EVENT} HAVING count(*) > 1
"""
"""Admissible events that stand there more than once; see change_log/doubled_events.py."""
JUDGED_WITH_DOUBLES = f"""
    SELECT * FROM judged_alone WHERE reason IS NOT NULL
    UNION ALL
    SELECT * FROM judged_alone AS alone WHERE reason IS NULL
        AND NOT EXISTS (SELECT 1 FROM doubled WHERE {{same}})
    UNION ALL
    SELECT alone.* EXCEPT (reason), CASE
        WHEN conflicting THEN '{CONFLICTING}'
        WHEN row_number() OVER (
            PARTITION BY {", ".join(f"alone.{key}" for key in KEYS)} ORDER BY alone.orders
        ) > 1 THEN '{REPEATED}'
    END AS reason
    FROM judged_alone AS alone JOIN doubled ON {{same}} WHERE reason IS NULL
""".format(same=" AND ".join(f"doubled.{key} = alone.{key}" for key in KEYS))

ACCEPTED = f"""
    SELECT customer_id, event_timestamp, created_timestamp,
           CAST(orders AS BIGINT) AS orders,
           CAST(order_value AS {MONEY}) AS order_value,
           CAST(sessions AS BIGINT) AS sessions,
           CAST(from_utc_timestamp(event_timestamp, :zone) AS DATE) AS day
    FROM judged WHERE reason IS NULL
"""
OF_THE_TOUCHED = """
    AND event_timestamp >= :counting AND customer_id IN (SELECT customer_id FROM touched)
"""

TOUCHED = """
    SELECT customer_id FROM judged WHERE reason IS NULL AND (
        created_timestamp > :since
        OR (event_timestamp > :leave_from AND event_timestamp <= :leave_by)
    ) GROUP BY customer_id
"""
"""Customers of whom an event arrived since the last refresh, or left the window."""

QUARANTINED = "SELECT * FROM judged WHERE reason IS NOT NULL"
QUARANTINED_SINCE = f"{QUARANTINED} AND {_arrives_after(':since')}"

ARRIVED = f"""
    SELECT count_if(NOT {_arrives_after(":as_of")}), count_if({_arrives_after(":as_of")}),
           max(CASE WHEN created_timestamp BETWEEN {_FIRST} AND :as_of THEN created_timestamp END),
           replace(CAST(min(created_timestamp) AS STRING), ' ', 'T') || '+00:00'
    FROM delivered
"""
COUNTED = """
    SELECT coalesce(sum(new), 0), count_if(new = states) FROM (
        SELECT count_if(created_timestamp > :since) AS new, count(*) AS states
        FROM accepted_events GROUP BY customer_id, day
    ) WHERE new > 0
"""
"""Accepted events since then, and the days of a customer that began with one."""

DELIVERED = f"SELECT * FROM events_file WHERE {_arrives_after(':since')}"
NEW = "SELECT * FROM made WHERE event_timestamp > :since"

TAKEN_BACK = """
    SELECT count(*), CAST(min(event_timestamp) AS STRING) || '+00'
    FROM (SELECT * FROM served EXCEPT ALL SELECT * FROM written) AS differing
"""
ANOTHER_PAST = """
    SELECT count(*), CAST(min(event_timestamp) AS STRING) || '+00' FROM (
        SELECT * FROM written WHERE event_timestamp <= :known_to EXCEPT ALL SELECT * FROM served
    ) AS differing
"""
CONTINUED = """
    SELECT * FROM served WHERE event_timestamp < :whole_again
    UNION ALL SELECT * FROM made WHERE event_timestamp >= :whole_again
"""
"""After a retention the first window of rows cannot be made again, and stays as it was served."""


@cache
def aggregation() -> str:
    """`aggregate.sql` in Spark's dialect.

    Each part is sorted when it is written, not all at once: an order of the whole would share out
    the customers by range in place of hash. And Spark will have no frame for LEAD, which looks at
    none; it takes both windows in one sort, so that ties stand in one order for both.
    """
    text = (
        files("feature_pipeline.change_log").joinpath("aggregate.sql").read_text(encoding="utf-8")
    )
    query = sqlglot.parse_one(text, read="duckdb")
    query.set("order", None)
    named = {w.this: w for w in query.find_all(exp.Window) if w.arg_key == "windows"}
    for lead in query.find_all(exp.Lead):
        over = lead.parent
        if over and (window := named.get(over.args.get("alias"))):
            frameless = window.copy()
            frameless.set("spec", None)
            frameless.set("this", lead.copy())
            over.replace(frameless)
    return spelled_out(query.sql("spark", comments=False), "spark")
