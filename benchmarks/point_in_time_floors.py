"""Made-up feature rows and entity rows, and the least that joins them: two engines by hand."""

from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from served import FEATURES

DAYS, TTL_DAYS = 60, 30

_TIME = f"""TIMESTAMPTZ '2026-01-01 00:00:00+00'
    + to_microseconds(CAST(random() * {DAYS} * 86400e6 AS BIGINT)) AS event_timestamp"""
_FEATURE_ROWS = f"""
COPY (
    SELECT DISTINCT ON (customer_id, event_timestamp) * FROM (
        SELECT 1 + n % $customers AS customer_id, {_TIME},
               round(random() * 200, 2) AS avg_order_value_30d,
               1 + CAST(random() * 40 AS BIGINT) AS orders_30d,
               1 + CAST(random() * 60 AS BIGINT) AS sessions_30d,
               1 + CAST(random() * 25 AS BIGINT) AS distinct_order_days_30d
        FROM range($rows) AS numbers(n)
    ) ORDER BY customer_id, event_timestamp
) TO '{{path}}' (FORMAT parquet, PARQUET_VERSION v2)  -- as the pipeline writes it
"""
_ENTITY_ROWS = f"""
COPY (
    SELECT 1 + CAST(floor(random() * $customers * 1.02) AS BIGINT) AS customer_id, {_TIME},
           n AS label
    FROM range($rows) AS numbers(n) ORDER BY n
) TO '{{path}}' (FORMAT parquet)
"""


def make_rows(history: Path, feature_rows: int, entities: Path, entity_rows: int) -> None:
    """Ten feature rows a customer, and entity rows at any time of the same 60 days."""
    customers = max(feature_rows // 10, 1)
    with duckdb.connect() as db:
        db.execute("SET TimeZone = 'UTC'; SELECT setseed(0.5)")
        for query, rows, path in (
            (_FEATURE_ROWS, feature_rows, history),
            (_ENTITY_ROWS, entity_rows, entities),
        ):
            db.execute(query.format(path=path), {"customers": customers, "rows": rows})


def duckdb_floor(frame: Any, history: str) -> pa.Table:
    """The ASOF join, by hand."""
    values = ", ".join(
        f"""coalesce(CASE WHEN e.event_timestamp - INTERVAL {TTL_DAYS} DAY <= f.event_timestamp
            THEN f.{name} END, 0) AS {name}"""
        for name in FEATURES
    )
    with duckdb.connect() as db:
        # Without it DuckDB loops over the frame, which it takes for one row: 100 times slower.
        db.execute("SET TimeZone = 'UTC'; SET asof_loop_join_threshold = 0")
        db.register("asked", frame)
        return db.execute(
            f"""SELECT e.*, {values} FROM asked AS e
            ASOF LEFT JOIN read_parquet('{history}') AS f
                ON e.customer_id = f.customer_id AND e.event_timestamp >= f.event_timestamp
            ORDER BY e.label"""
        ).fetch_arrow_table()


def polars_floor(frame: Any, history: str) -> pa.Table:
    """`join_asof`, by hand."""
    import polars as pl

    asked = pl.from_pandas(frame).lazy().sort("event_timestamp")
    found = asked.join_asof(
        pl.scan_parquet(history),
        on="event_timestamp",
        by="customer_id",
        tolerance=f"{TTL_DAYS}d",
        check_sortedness=False,
    )
    filled = found.with_columns(pl.col(*FEATURES).fill_null(0)).sort("label")
    return filled.collect().to_arrow()
