"""Parquet as Spark reads and writes it: the columns that are asked for, and every row of a write.

A column that nobody asks for is never read, whatever it holds: Spark would refuse the whole file
for one of a type that it does not know.
"""

import re
from collections.abc import Callable, Iterable
from functools import reduce
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, Observation, SparkSession
from pyspark.sql import functions as sql

Columns = dict[str, str]
"""By name, the type that Spark reads it as."""


def read_parts(
    session: SparkSession, parts: Iterable[Path], wanted: Callable[[Columns], Iterable[str]] = list
) -> DataFrame:
    """The rows of all parts, whose columns may be of different widths.

    `wanted` names those that are read of the ones that Spark can read in a part.
    """
    return reduce(
        lambda one, other: one.unionByName(other, allowMissingColumns=True),
        (
            session.read.schema(_declared(columns, wanted(columns))).parquet(*map(literally, paths))
            for columns, paths in _by_columns(parts)
        ),
    )


def _declared(columns: Columns, wanted: Iterable[str]) -> str:
    return ", ".join(f"{quoted(name)} {columns[name]}" for name in wanted)


def _by_columns(parts: Iterable[Path]) -> list[tuple[Columns, list[Path]]]:
    of_schema = parts_by_schema(parts)
    return [(spark_columns(schema), paths) for schema, paths in of_schema.items()]


def parts_by_schema(parts: Iterable[Path]) -> dict[pa.Schema, list[Path]]:
    """Parts with the same columns together.

    Raises:
        ValueError: a part is damaged.
    """
    by_schema: dict[pa.Schema, list[Path]] = {}
    for part in parts:
        try:
            schema = pq.read_schema(part).remove_metadata()
        except (pa.ArrowException, OSError) as error:
            raise ValueError(
                f"{part} is not a readable parquet file ({error}): write it anew"
            ) from error
        by_schema.setdefault(schema, []).append(part)
    return by_schema


def literally(part: Path) -> str:
    """Its path, which Spark would take for a pattern, whatever `*`, `?`, `[` and `{` it holds."""
    return re.sub(r"([*?\[\]{}\\])", r"\\\1", str(part))


def quoted(name: str) -> str:
    """A column's name in SQL."""
    return f"`{name.replace('`', '``')}`"


def spark_columns(schema: pa.Schema) -> Columns:
    """The columns that Spark can read, each with what it calls its type."""
    names = schema.names
    kinds = {f.name: kind for f in schema if (kind := spark_type(f.type))}
    return {name: kind for name, kind in kinds.items() if names.count(name) == 1}


def refused_columns(schema: pa.Schema, wanted: Iterable[str]) -> str:
    """Wanted columns that are there and that Spark does not read, in words; "" where none is.

    Spark has no nanoseconds, half floats, decimals beyond 38 digits, times of day nor durations.
    """
    there = [schema.field(name) for name in wanted if schema.names.count(name) == 1]
    unread = [field for field in there if not spark_type(field.type)]
    fine = [f.name for f in unread if pa.types.is_timestamp(f.type) and f.type.unit == "ns"]
    if fine:
        return f"{', '.join(fine)} in nanoseconds, which Spark does not read: write microseconds"
    if unread:
        told = ", ".join(f"{field.name} as {field.type}" for field in unread)
        return f"{told}, which Spark does not read: write it in another type"
    return ""


def spark_type(kind: pa.DataType) -> str | None:
    """What Spark calls it; None for one that it does not read."""
    if pa.types.is_dictionary(kind):
        return spark_type(kind.value_type)
    if pa.types.is_decimal(kind):
        return f"DECIMAL({kind.precision}, {kind.scale})" if kind.precision <= 38 else None
    if pa.types.is_timestamp(kind):
        return None if kind.unit == "ns" else "TIMESTAMP" if kind.tz else "TIMESTAMP_NTZ"
    lists = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    if any(is_one(kind) for is_one in lists):
        inner = spark_type(kind.value_type)
        return f"ARRAY<{inner}>" if inner else None
    if pa.types.is_struct(kind):
        fields = [(quoted(field.name), spark_type(field.type)) for field in kind]
        told = ", ".join(f"{name}: {of}" for name, of in fields)
        return f"STRUCT<{told}>" if all(of for _, of in fields) else None
    if pa.types.is_map(kind):
        key, item = spark_type(kind.key_type), spark_type(kind.item_type)
        return f"MAP<{key}, {item}>" if key and item else None
    return _PLAIN.get(kind)


_PLAIN = {
    pa.bool_(): "BOOLEAN",
    pa.int8(): "TINYINT",
    pa.int16(): "SMALLINT",
    pa.int32(): "INT",
    pa.int64(): "BIGINT",
    pa.uint8(): "SMALLINT",
    pa.uint16(): "INT",
    pa.uint32(): "BIGINT",
    pa.uint64(): "DECIMAL(20, 0)",
    pa.float32(): "FLOAT",
    pa.float64(): "DOUBLE",
    pa.string(): "STRING",
    pa.large_string(): "STRING",
    pa.string_view(): "STRING",
    pa.binary(): "BINARY",
    pa.large_binary(): "BINARY",
    pa.date32(): "DATE",
}


def as_stored(rows: pa.Table, stored: pa.Schema) -> pa.Table:
    """The rows, each unsigned column of `stored` of its own type again: Spark has none."""
    for place, name in enumerate(rows.column_names):
        kind = stored.field(name).type if stored.names.count(name) == 1 else None
        if kind is not None and _is_unsigned(kind):
            rows = rows.set_column(place, name, rows[name].cast(kind))
    return rows


def unsigned_columns(parts: Iterable[Path]) -> pa.Schema:
    """The columns of unsigned numbers that every part has in one type."""
    schemas = list(parts_by_schema(parts))
    common = set.intersection(*({*schema} for schema in schemas)) if schemas else set()
    return pa.schema(
        [f for schema in schemas[:1] for f in schema if f in common and _is_unsigned(f.type)]
    )


def _is_unsigned(kind: pa.DataType) -> bool:
    return bool(pa.types.is_unsigned_integer(kind))


def store_as(part: Path, stored: pa.Schema) -> None:
    """Write a part of Spark's again where `stored` has unsigned columns, which it has not."""
    with pq.ParquetFile(part) as written:
        schema = as_stored(written.schema_arrow.empty_table(), stored).schema
        if schema == written.schema_arrow:
            return
        with pq.ParquetWriter(again := part.with_suffix(".again"), schema) as writer:
            for batch in written.iter_batches():
                writer.write_table(as_stored(pa.Table.from_batches([batch]), stored))
    again.replace(part)


class LostRowsError(RuntimeError):
    """Fewer rows are there than the workers wrote: not each of them shares the folder."""


def write_all(rows: DataFrame, folder: Path) -> list[Path]:
    """Write the rows below `folder`, and return the parts when every row is in one of them.

    A worker that does not share the folder writes to one of its own, and Spark calls that done.

    Raises:
        LostRowsError: rows that the workers wrote are not there.
    """
    seen = Observation()
    rows.observe(seen, sql.count(sql.lit(1)).alias("rows")).write.parquet(str(folder))
    written = seen.get["rows"]
    parts = sorted(folder.glob("part-*.parquet"))
    if (there := sum(pq.read_metadata(part).num_rows for part in parts)) != written:
        raise LostRowsError(
            f"Spark's workers wrote {written:,} rows below {folder.parent}, of which {there:,} are "
            "there: not every worker shares that folder"
        )
    return parts
