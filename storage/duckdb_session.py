"""The embedded query engine, set up the one way every job of this room needs it."""

import glob
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from storage.atomic import scratch_folder

MEMORY_LIMIT = "3GB"  # it spills beyond that, and the whole process stays under 4 GB


@contextmanager
def embedded_engine(spill_beside: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB session in UTC that spills beside its target, never into a small /tmp."""
    with (
        scratch_folder(spill_beside, "spill") as spill,
        duckdb.connect(
            config={
                "memory_limit": MEMORY_LIMIT,
                "temp_directory": str(spill),
                "preserve_insertion_order": False,
            }
        ) as connection,
    ):
        connection.execute("SET TimeZone = 'UTC'")
        yield connection


def parquet_at(table: Path | str) -> str:
    """A table for `read_parquet`: a file, or every part of a folder as it stands now.

    Its path is no pattern, whatever `*`, `?` and `[` it holds. An address such as `s3://` is text,
    which no path keeps as it is.
    """
    if Path(table).is_dir():
        return f"{glob.escape(str(Path(table).resolve()))}/*.parquet"
    return glob.escape(str(table))


def copy_to(
    connection: duckdb.DuckDBPyConnection, query: str, target: Path, parameters: dict[str, Any]
) -> None:
    """Write the query's rows to a parquet file, and to no file beside it.

    In the encodings of the format's second version: read in half the time of the first's.
    """
    quoted = str(target).replace("'", "''")
    connection.execute(
        f"COPY ({query}) TO '{quoted}' (FORMAT parquet, PARQUET_VERSION v2, USE_TMP_FILE false)",
        parameters,
    )


def copy_in_order(
    connection: duckdb.DuckDBPyConnection, query: str, target: Path, parameters: dict[str, Any]
) -> None:
    """Write the rows in the order in which the query reads them, which the engine does not keep."""
    connection.execute("SET preserve_insertion_order = true")
    try:
        copy_to(connection, query, target, parameters)
    finally:
        connection.execute("SET preserve_insertion_order = false")
