"""Rows of a view's offline table for the embedded engine, wherever the profile keeps it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import psycopg

from feature_pipeline.compute_engines.postgres.warehouse import session
from jobs.repository import warehouse_of
from storage.duckdb_session import parquet_at
from storage.errors import RefusedError
from storage.parquet_table import is_table
from storage.postgres_session import first_line

if TYPE_CHECKING:
    from feast import FeatureStore


@contextmanager
def offline_rows(
    store: "FeatureStore", view: str, columns: str, only: str = "true"
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A session in UTC in which `offline` is what `columns` say of the rows for which `only` holds.

    Both are SQL that DuckDB and PostgreSQL read alike; the warehouse sends nothing else.

    Raises:
        RefusedError: there is no offline table, or it may not be read.
    """
    from storage.postgres_arrow import copied_out

    source = store.get_feature_view(view).batch_source
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        if address := warehouse_of(store):
            query = f"SELECT {columns} FROM {source.get_table_query_string()} AS f WHERE {only}"
            try:
                with session(address) as warehouse:
                    connection.register("offline", copied_out(warehouse, query))
            except psycopg.ProgrammingError as error:
                raise RefusedError(
                    f"{source.name} cannot be read ({first_line(error)}): migrate the warehouse, "
                    "and grant the login feature_store_training"
                ) from error
        else:
            if not is_table(Path(source.path)):
                raise RefusedError(f"no offline table at {source.path}: run scripts/refresh.py")
            connection.read_parquet(parquet_at(Path(source.path))).create_view("stored")
            connection.execute(f"CREATE VIEW offline AS SELECT {columns} FROM stored WHERE {only}")
        yield connection
