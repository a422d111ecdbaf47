"""Rows of the warehouse for the embedded engine, and conditions on keys for the warehouse."""

from collections.abc import Iterable
from pathlib import Path

import duckdb
import pyarrow as pa
from psycopg import sql

from feature_pipeline.warehouse import Session

CHANGE_LOG = {
    "customer_id": "BIGINT",
    "event_timestamp": "TIMESTAMPTZ",
    "avg_order_value_30d": "DOUBLE",
    "orders_30d": "BIGINT",
    "sessions_30d": "BIGINT",
    "distinct_order_days_30d": "BIGINT",
}
ACCEPTED_EVENTS = {
    "customer_id": "BIGINT",
    "event_timestamp": "TIMESTAMP",
    "created_timestamp": "TIMESTAMP",
    "day": "DATE",
}


def copy_into_engine(
    connection: Session,
    query: str,
    engine: duckdb.DuckDBPyConnection,
    name: str,
    columns: dict[str, str],
    scratch: Path,
) -> None:
    """Make the engine's table `name` of what the query selects: `columns`, all of them numbers.

    The file that the rows go by lies in `scratch` meanwhile.
    """
    file = scratch / f"{name}.csv"
    with file.open("wb") as target, connection.cursor().copy(_to_stdout(query)) as copy:
        for data in copy:
            target.write(data)
    engine.execute(
        f"""CREATE TEMP TABLE {name} AS
        FROM read_csv($file, columns = $columns, header = false, auto_detect = false)""",
        {"file": str(file), "columns": columns},
    )
    file.unlink()


def among(keys: pa.Table) -> str:
    """A condition that holds for the rows of these entities; false where there are none."""
    if not keys.num_rows:
        return "false"
    named = sql.SQL(", ").join(map(sql.Identifier, keys.column_names))
    tuples = [sql.SQL("({})").format(_listed(row.values())) for row in keys.to_pylist()]
    return sql.SQL("({}) IN ({})").format(named, sql.SQL(", ").join(tuples)).as_string()


def _listed(values: Iterable[object]) -> sql.Composed:
    return sql.Composed([*map(sql.Literal, values)]).join(", ")


def _to_stdout(query: str) -> str:
    return f"COPY ({query}) TO STDOUT (FORMAT csv)"
