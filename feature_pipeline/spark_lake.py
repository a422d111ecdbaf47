"""The parquet lake as Spark reads and writes it: the parts of feature_pipeline/parquet_table.py.

Every step is shared out by a hash of the customer, so that what one machine holds at a time is a
share, and a share larger than its memory goes to its disk. Every machine must see the lake's folder
under the same path.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import reduce
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from feature_pipeline.atomic import scratch_folder
from feature_pipeline.event_columns import COLUMNS, KEYS
from feature_pipeline.parquet_table import (
    days_to_join,
    end_of,
    known_by,
    new_version,
    part_up_to,
    parts_of,
)
from feature_pipeline.refusal import RefusedError


def own_session(session: SparkSession) -> SparkSession:
    """One with settings and views of its own, in UTC, whatever the one it stems from is set to."""
    own = session.newSession()
    own.conf.set("spark.sql.session.timeZone", "UTC")
    own.conf.set("spark.sql.ansi.enabled", "true")  # a sum too large is an error, and no NULL
    own.conf.set("spark.sql.parquet.outputTimestampType", "TIMESTAMP_MICROS")
    for way in ("InRead", "InWrite"):  # an instant of long ago stays the one that it is
        own.conf.set(f"spark.sql.parquet.datetimeRebaseMode{way}", "CORRECTED")
    return own


def read_parts(session: SparkSession, parts: Iterable[Path]) -> DataFrame:
    """The rows of all parts, whose columns may be of different widths."""
    return _together(session.read.parquet(*paths) for paths in _by_schema(parts).values())


def read_events(session: SparkSession, parts: list[Path]) -> DataFrame:
    """The events in all parts, and beside their columns those that Spark reads of every part alike.

    Raises:
        RefusedError: a part holds a time of an event in nanoseconds, which Spark does not read.
    """
    groups = _by_schema(parts)
    for schema, paths in groups.items():
        _refuse_nanoseconds(schema, paths[0])
    beside = _read_alike([_spark_columns(schema) for schema in groups])
    return _together(
        session.read.schema(
            ", ".join(
                f"`{name}` {kind}"
                for name, kind in _spark_columns(schema).items()
                if name in COLUMNS or name in beside
            )
        ).parquet(*paths)
        for schema, paths in groups.items()
    )


SPARK_ERRORS = (PySparkException, Py4JJavaError)


def why_unreadable(error: Exception) -> str | None:
    """What Spark says of a file that it cannot read; None where it speaks of something else."""
    said = re.search(r"\[(?:FAILED_READ_FILE|CANNOT_READ_FILE)[^]]*\].*", str(error))
    return said[0][:500] if said else None


@contextmanager
def readable() -> Iterator[None]:
    """Tell of a file that Spark cannot read to its end as a refusal that names it.

    Raises:
        RefusedError: there is such a file.
    """
    try:
        yield
    except SPARK_ERRORS as error:
        why = why_unreadable(error)
        if why is None:
            raise
        raise RefusedError(
            f"a part cannot be read to its end ({why}): write it anew from where its "
            "events came; nothing was written"
        ) from error


def _together(frames: Iterable[DataFrame]) -> DataFrame:
    return reduce(lambda one, other: one.unionByName(other, allowMissingColumns=True), frames)


def _by_schema(parts: Iterable[Path]) -> dict[pa.Schema, list[str]]:
    by_schema: dict[pa.Schema, list[str]] = {}
    for part in parts:
        by_schema.setdefault(pq.read_schema(part).remove_metadata(), []).append(_literally(part))
    return by_schema


def _literally(part: Path) -> str:
    """Its path, which Spark would take for a pattern, whatever `*`, `?`, `[` and `{` it holds."""
    return re.sub(r"([*?\[\]{}\\])", r"\\\1", str(part))


def _refuse_nanoseconds(schema: pa.Schema, part: str) -> None:
    times = [schema.field(name) for name in KEYS[1:]]
    if fine := [field.name for field in times if field.type.unit == "ns"]:
        raise RefusedError(
            f"{part} holds {', '.join(fine)} in nanoseconds, which Spark does not read: write "
            "microseconds"
        )


def _spark_columns(schema: pa.Schema) -> dict[str, str]:
    """What Spark calls the type of each column that it reads as every engine does.

    It takes two names for one that differ in case alone; `reason` is what the quarantine adds.
    """
    lower = [name.lower() for name in schema.names]
    kinds = {
        field.name: kind
        for field in schema
        if lower.count(field.name.lower()) == 1 and (kind := _spark_type(field.type))
    }
    return {name: kind for name, kind in kinds.items() if "`" not in name and name != "reason"}


def _spark_type(kind: pa.DataType) -> str | None:
    if pa.types.is_dictionary(kind):
        return _spark_type(kind.value_type)
    if pa.types.is_decimal(kind):
        return f"DECIMAL({kind.precision}, {kind.scale})" if kind.precision <= 38 else None
    if pa.types.is_timestamp(kind):
        return None if kind.unit == "ns" else "TIMESTAMP" if kind.tz else "TIMESTAMP_NTZ"
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
    pa.date32(): "DATE",
}


def _read_alike(groups: list[dict[str, str]]) -> set[str]:
    """Columns that no part has in another type, nor in another case."""
    kinds: dict[str, set[tuple[str, str]]] = {}
    for columns in groups:
        for name, kind in columns.items():
            kinds.setdefault(name.lower(), set()).add((name, kind))
    return {name for (name, _), *others in map(list, kinds.values()) if not others}


def write_parts(
    rows: DataFrame, version: Path, end: datetime, order: tuple[str, ...], *, whole: bool = False
) -> list[Path]:
    """Write the rows as parts known up to `end`, each with customers of its own, in `order`."""
    with scratch_folder(version.parent, "spark") as scratch:
        shared = rows.repartition("customer_id").sortWithinPartitions(*order)
        shared.write.parquet(str(scratch / "parts"))
        written = sorted((scratch / "parts").glob("part-*.parquet"))
        return [
            part.rename(version / part_up_to(end, whole=whole, share=share))
            for share, part in enumerate(written)
        ]


@contextmanager
def adding_parts_to(
    table: Path, known: datetime, end: datetime, session: SparkSession, order: tuple[str, ...]
) -> Iterator[Path]:
    """Give a version to write parts into, as `parquet_table.adding_to` gives a part to write."""
    parts = known_by(parts_of(table), known)
    days = days_to_join(parts, end)
    joined = {part for day in days for part in day}
    with new_version(table, [part for part in parts if part not in joined]) as version:
        for day in days:
            write_parts(read_parts(session, day), version, end_of(day[-1]), order)
        yield version
