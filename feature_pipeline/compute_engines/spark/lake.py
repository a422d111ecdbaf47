"""The parquet lake as Spark reads and writes it: the parts of storage/parquet_table.py.

Every step is shared out by a hash of the customer, so that what one machine holds at a time is a
share, and a share larger than its memory goes to its disk. Every machine must see the lake's folder
under the same path.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from feature_pipeline.change_log.event_columns import COLUMNS, KEYS
from storage.atomic import scratch_folder
from storage.errors import RefusedError
from storage.parquet_table import (
    days_to_join,
    end_of,
    known_by,
    new_version,
    part_up_to,
    parts_of,
)
from storage.spark_parquet import (
    LostRowsError,
    parts_by_schema,
    read_parts,
    refused_columns,
    spark_columns,
    store_as,
    unsigned_columns,
    write_all,
)


def read_events(session: SparkSession, parts: list[Path]) -> DataFrame:
    """The events in all parts, and beside their columns those that Spark reads of every part alike.

    Raises:
        RefusedError: a part holds a time of an event in nanoseconds, which Spark does not read.
    """
    groups = parts_by_schema(parts)
    for schema, paths in groups.items():
        if unread := refused_columns(schema, KEYS):
            raise RefusedError(f"{paths[0]} holds {unread}")
    beside = _read_alike([_beside(schema) for schema in groups])
    return read_parts(
        session, parts, lambda columns: [name for name in columns if name in {*COLUMNS, *beside}]
    )


def _beside(schema: pa.Schema) -> dict[str, str]:
    """Columns that no event needs, of one value a row, as Spark reads them.

    DuckDB takes two names for one that differ in case alone; `reason` is what the quarantine adds.
    """
    lower = [name.lower() for name in schema.names]
    return {
        name: kind
        for name, kind in spark_columns(schema).items()
        if lower.count(name.lower()) == 1
        and name.lower() != "reason"
        and not pa.types.is_nested(schema.field(name).type)
    }


def _read_alike(groups: list[dict[str, str]]) -> set[str]:
    """Columns that no part has in another type, nor in another case."""
    kinds: dict[str, set[tuple[str, str]]] = {}
    for columns in groups:
        for name, kind in columns.items():
            kinds.setdefault(name.lower(), set()).add((name, kind))
    return {name for (name, _), *others in map(list, kinds.values()) if not others}


def write_parts(
    rows: DataFrame,
    version: Path,
    end: datetime,
    order: tuple[str, ...],
    stored: pa.Schema,
    *,
    whole: bool = False,
) -> list[Path]:
    """Write the rows as parts known up to `end`, each with customers of its own, in `order`.

    Unsigned columns of `stored` are stored as such, as DuckDB does: by this process, part by part.

    Raises:
        RefusedError: rows that the workers wrote are not there.
    """
    with scratch_folder(version.parent, "spark") as scratch:
        shared = rows.repartition("customer_id").sortWithinPartitions(*order)
        try:
            written = write_all(shared, scratch / "parts")
        except LostRowsError as lost:
            raise RefusedError(
                f"{lost}; let each see data/data_warehouse under the same path, and run again: "
                "nothing was put in place"
            ) from lost
        for part in written:
            store_as(part, stored)
        return [
            part.rename(version / part_up_to(end, whole=whole, share=share))
            for share, part in enumerate(written)
        ]


@contextmanager
def adding_parts_to(
    table: Path, known: datetime, end: datetime, session: SparkSession, order: tuple[str, ...]
) -> Iterator[Path]:
    """Give a version to write parts into, as `parquet_table.adding_to` does."""
    parts = known_by(parts_of(table), known)
    days = [day for day in days_to_join(parts, end) if _is_rewritten_alike(day)]
    joined = {part for day in days for part in day}
    with new_version(table, [part for part in parts if part not in joined]) as version:
        for day in days:
            rows, stored = read_parts(session, day), unsigned_columns(day)
            write_parts(rows, version, end_of(day[-1]), order, stored)
        yield version


def _is_rewritten_alike(parts: list[Path]) -> bool:
    """Whether Spark would write every column of them as it stands there: else they stay apart."""
    schemas = list(parts_by_schema(parts))
    return all({*schema} == {*schemas[0]} for schema in schemas) and len(
        spark_columns(schemas[0])
    ) == len(schemas[0])
