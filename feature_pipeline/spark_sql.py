"""What a refresh asks of Spark, statement by statement. Its sessions are in UTC.

The views are those of feature_pipeline/intake.py: `events_file` and `delivered` before they are
judged, `accepted_events` and `quarantined_events` after.
"""

from functools import cache
from importlib.resources import files

import sqlglot
from sqlglot import exp

from feature_pipeline.events_table import AMOUNTS, KEYS
from feature_pipeline.intake import MONEY

# NULL for an admissible event, else why not: the reasons of feature_pipeline/intake.py, in its
# order. Spark has no infinite instants; what DuckDB reads as one is the largest number there is.
_REASON = f"""
    CASE
        WHEN orders IS NULL THEN 'malformed: orders is null'
        WHEN sessions IS NULL THEN 'malformed: sessions is null'
        WHEN try_cast(orders AS BIGINT) IS NULL THEN 'malformed: orders is not a count'
        WHEN try_cast(sessions AS BIGINT) IS NULL THEN 'malformed: sessions is not a count'
        WHEN order_value IS NULL THEN 'malformed: order_value is null'
        WHEN try_cast(order_value AS {MONEY}) IS NULL THEN 'malformed: order_value is not an amount'
        WHEN unix_micros(event_timestamp) IN (9223372036854775807, -9223372036854775807)
            THEN 'malformed: event_timestamp is no instant'
        WHEN event_timestamp > created_timestamp THEN 'future-dated: happened after it arrived'
        WHEN unix_micros(created_timestamp) - unix_micros(event_timestamp) > :lateness_us
            THEN 'late: arrived after the allowed lateness'
    END
"""

JUDGED = f"SELECT *, {_REASON} AS reason FROM events_file WHERE created_timestamp <= :as_of"

ACCEPTED = f"""
    SELECT customer_id, event_timestamp, created_timestamp,
           CAST(orders AS BIGINT) AS orders,
           CAST(order_value AS {MONEY}) AS order_value,
           CAST(sessions AS BIGINT) AS sessions
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
QUARANTINED_SINCE = f"{QUARANTINED} AND created_timestamp > :since"

BROKEN_RULES = "SELECT {}, {} FROM delivered".format(
    ", ".join(f"count_if({key} IS NULL) AS null_{key}" for key in KEYS),
    ", ".join(f"count_if({amount} < 0) AS negative_{amount}" for amount in AMOUNTS),
)
DOUBLED = f"""
    SELECT count(*), min(concat(
        'customer_id ', customer_id, ' at ', event_timestamp, ', arrived ', created_timestamp,
        ', ', times, ' times'
    ))
    FROM (
        SELECT {", ".join(KEYS)}, count(*) AS times FROM delivered
        WHERE {" AND ".join(f"{key} IS NOT NULL" for key in KEYS)}
        GROUP BY {", ".join(KEYS)} HAVING count(*) > 1
    )
"""

ARRIVED = """
    SELECT count_if(created_timestamp <= :as_of), count_if(created_timestamp > :as_of),
           max(CASE WHEN created_timestamp <= :as_of THEN created_timestamp END),
           CAST(min(created_timestamp) AS STRING)
    FROM delivered
"""
COUNTED = """
    SELECT coalesce(sum(new), 0), count_if(new = states) FROM (
        SELECT count_if(created_timestamp > :since) AS new, count(*) AS states
        FROM accepted_events GROUP BY customer_id, CAST(event_timestamp AS DATE)
    ) WHERE new > 0
"""
"""Accepted events since then, and the days of a customer that began with one."""

DELIVERED = "SELECT * FROM events_file WHERE created_timestamp > :since"
NEW = "SELECT * FROM made WHERE event_timestamp > :since"

TAKEN_BACK = """
    SELECT count(*), CAST(min(event_timestamp) AS STRING)
    FROM (SELECT * FROM served EXCEPT ALL SELECT * FROM written)
"""
ANOTHER_PAST = """
    SELECT count(*), CAST(min(event_timestamp) AS STRING) FROM (
        SELECT * FROM written WHERE event_timestamp <= :known_to EXCEPT ALL SELECT * FROM served
    )
"""
CONTINUED = """
    SELECT * FROM served WHERE event_timestamp < :whole_again
    UNION ALL SELECT * FROM made WHERE event_timestamp >= :whole_again
"""
"""After a retention the first window of rows cannot be made again, and stays as it was served."""

OVERFLOWS = ("ARITHMETIC_OVERFLOW", "CAST_OVERFLOW", "NUMERIC_VALUE_OUT_OF_RANGE")
"""What Spark calls it when a sum is too large for its type."""


@cache
def aggregation() -> str:
    """`aggregate.sql` in Spark's dialect.

    Each part is sorted when it is written, not all at once: an order of the whole would share out
    the customers by range in place of hash. And Spark will have no frame for LEAD, which looks at
    none; it takes both windows in one sort, so that ties stand in one order for both.
    """
    text = files("feature_pipeline").joinpath("aggregate.sql").read_text(encoding="utf-8")
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
    return query.sql("spark", comments=False)
