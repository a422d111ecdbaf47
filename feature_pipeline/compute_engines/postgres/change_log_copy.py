"""Rows of the warehouse for the embedded engine."""

from pathlib import Path

import duckdb

from storage.postgres_session import Session

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


def _to_stdout(query: str) -> str:
    return f"COPY ({query}) TO STDOUT (FORMAT csv)"
