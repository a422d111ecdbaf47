"""The embedded query engine, set up the one way every job of this room needs it."""

import glob
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import duckdb

from feature_pipeline.atomic import scratch_folder

MEMORY_LIMIT = "4GB"  # it spills beyond that, and the whole process stays under 6 GB


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


def this_file(path: Path) -> str:
    """The path for `read_parquet`, which would take `*`, `?` and `[` in it for a pattern."""
    return glob.escape(str(path))


def copy_to(
    connection: duckdb.DuckDBPyConnection,
    query: str,
    target: Path,
    parameters: dict[str, Any],
    metadata: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Write the query's rows to a parquet file with our own metadata, and to no file beside it."""
    quoted = str(target).replace("'", "''")
    pairs = ", ".join(f"{name}: '{value}'" for name, value in metadata.items())
    told = f", KV_METADATA {{{pairs}}}" if pairs else ""
    connection.execute(
        f"COPY ({query}) TO '{quoted}' (FORMAT parquet, USE_TMP_FILE false{told})",
        parameters,
    )


def one_row(
    connection: duckdb.DuckDBPyConnection, query: str, parameters: dict[str, Any] | None = None
) -> tuple[Any, ...]:
    """The single row of a query that always has one, such as a count."""
    row = connection.execute(query, parameters).fetchone()
    if row is None:
        raise LookupError(f"a query that always has a row gave none: {query}")
    return row
