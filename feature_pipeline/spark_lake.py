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
from pyspark.sql import DataFrame, SparkSession

from feature_pipeline.atomic import scratch_folder
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
    return own


def read_parts(session: SparkSession, parts: Iterable[Path]) -> DataFrame:
    """The rows of all parts, whose columns may be of different widths.

    Raises:
        RefusedError: a part holds nanoseconds, which Spark does not read.
    """
    by_schema: dict[pa.Schema, list[str]] = {}
    for part in parts:
        by_schema.setdefault(_readable_schema(part), []).append(_literally(part))
    alike = [session.read.parquet(*paths) for paths in by_schema.values()]
    return reduce(lambda one, other: one.unionByName(other, allowMissingColumns=True), alike)


def _literally(part: Path) -> str:
    """Its path, which Spark would take for a pattern, whatever `*`, `?`, `[` and `{` it holds."""
    return re.sub(r"([*?\[\]{}\\])", r"\\\1", str(part))


def _readable_schema(part: Path) -> pa.Schema:
    schema = pq.read_schema(part).remove_metadata()
    if fine := [f.name for f in schema if pa.types.is_timestamp(f.type) and f.type.unit == "ns"]:
        raise RefusedError(
            f"{part} holds {', '.join(fine)} in nanoseconds, which Spark does not read: write "
            "microseconds"
        )
    return schema


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
