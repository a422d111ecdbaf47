"""What `customer_events` must be, part by part, and how its parts are read."""

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import types

from feature_pipeline.change_log.event_columns import COLUMNS, KEYS
from feature_pipeline.change_log.event_parts import event_parts
from storage.duckdb_session import parquet_at
from storage.errors import RefusedError


def refuse_wrong_schema(events: Path) -> int:
    """Rows in the table; refuses one that is not the events table.

    Raises:
        RefusedError: it is missing, cannot be read, or lacks a column or the column's type.
    """
    parts = event_parts(events)
    if not parts:
        raise RefusedError(
            f"no events file at {events}: write customer_events there as parquet, or name another"
        )
    rows = sum(map(_rows_of_right_schema, parts))
    kinds = {_kind_of(_footer_of(part).schema.field("customer_id")) for part in parts}
    if len(kinds) > 1:
        raise RefusedError(
            f"the parts of {events} spell customer_id as {' and '.join(sorted(map(str, kinds)))}: "
            "write them in one type"
        )
    if rows == 0:
        raise RefusedError(f"{events} has no rows: nothing to aggregate; check the ingestion job")
    return rows


def parts_reaching(events: Path, beyond: dict[str, datetime]) -> list[Path]:
    """The parts that may hold a row with a time after the one given for its column.

    The others need not be opened: a table of a part an hour has thousands.
    """
    return [
        part
        for part in event_parts(events)
        if any(
            (newest := _footer_of(part).newest.get(column)) is None or newest > instant
            for column, instant in beyond.items()
        )
    ]


def rows_if_all_beyond(part: Path, column: str, instant: datetime) -> int | None:
    """Rows of the part, where its footer tells that each has a time after the instant."""
    footer = _footer_of(part)
    oldest = footer.oldest.get(column)
    return footer.rows if oldest is not None and oldest > instant else None


def events_view(connection: duckdb.DuckDBPyConnection, parts: list[Path]) -> None:
    """Create the view `events_file`: the columns of events alone, whatever else the parts hold.

    Parts may hold their amounts in types of different widths.
    """
    _create_view(connection, "events_file", ", ".join(COLUMNS), _by_schema(parts))


def events_as_written(connection: duckdb.DuckDBPyConnection, parts: list[Path]) -> None:
    """Create the view `events_as_written`, with every column of the parts.

    Raises:
        duckdb.Error: the types of two parts' columns do not go together.
    """
    _create_view(connection, "events_as_written", "*", _by_schema(parts))


def _create_view(
    connection: duckdb.DuckDBPyConnection, name: str, columns: str, groups: list[list[Path]]
) -> None:
    selects = []
    for number, parts in enumerate(groups):
        paths = [parquet_at(part) for part in parts]
        # Of a Hive folder the value is no column of an event, and may be no value for DuckDB.
        alike = connection.read_parquet(paths, hive_partitioning=False)
        alike.create_view(f"{name}_{number}", replace=True)
        selects.append(f"SELECT {columns} FROM {name}_{number}")
    connection.execute(
        f"CREATE OR REPLACE TEMP VIEW {name} AS {' UNION ALL BY NAME '.join(selects)}"
    )


def _by_schema(parts: Iterable[Path]) -> list[list[Path]]:
    """Parts with the same columns together: one that no event has must not come between others."""
    alike: dict[pa.Schema, list[Path]] = {}
    for part in parts:
        alike.setdefault(_footer_of(part).schema.remove_metadata(), []).append(part)
    return list(alike.values())


@contextmanager
def readable(parts: Iterable[Path], columns: Collection[str] = COLUMNS) -> Iterator[None]:
    """Tell of a part that the engine cannot read to its end as a refusal that names it.

    Raises:
        RefusedError: there is such a part.
    """
    try:
        yield
    except duckdb.Error as error:
        for part in parts:
            if why := _why_unreadable(part, columns):
                raise RefusedError(
                    f"{part} cannot be read to its end ({why}): write it anew from where its "
                    "events came; nothing was written"
                ) from error
        raise


def _why_unreadable(part: Path, columns: Collection[str]) -> str | None:
    with duckdb.connect() as connection:
        try:
            rows = connection.read_parquet(parquet_at(part), hive_partitioning=False)
            quoted = (column.replace('"', '""') for column in columns)
            rows.aggregate(", ".join(f'max("{column}")' for column in quoted)).execute()
        except duckdb.Error as error:
            return str(error).splitlines()[0]
    return None


@dataclass(frozen=True)
class _Footer:
    """What a parquet file says of itself."""

    rows: int
    schema: pa.Schema
    oldest: dict[str, datetime]
    """By column of times, as far as its statistics tell; where a row has none, nothing."""
    newest: dict[str, datetime]


def _footer_of(part: Path) -> _Footer:
    there = part.stat()
    return _read_footer(part, there.st_mtime_ns, there.st_size)


@lru_cache(maxsize=50_000)
def _read_footer(part: Path, written: int, size: int) -> _Footer:
    """The footer of the file as it was written then, read once in a run."""
    metadata = pq.read_metadata(part)
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    oldest: dict[str, datetime] = {}
    newest: dict[str, datetime] = {}
    for place in range(metadata.num_columns):
        columns = [group.column(place) for group in groups]
        name = metadata.schema.column(place).path
        told_by_all = bool(columns) and all(c.is_stats_set for c in columns)
        if name not in KEYS[1:] or not told_by_all:
            continue
        told = [c.statistics for c in columns]
        try:
            ends = [(one.min, one.max) for one in told]
        except (ValueError, OverflowError):  # an instant beyond Python's years
            continue
        if not all(isinstance(end, datetime) and end.tzinfo for both in ends for end in both):
            continue
        newest[name] = max(last for _, last in ends)
        if all(one.has_null_count and one.null_count == 0 for one in told):
            oldest[name] = min(first for first, _ in ends)
    schema = metadata.schema.to_arrow_schema()
    return _Footer(metadata.num_rows, schema, oldest, newest)


def _rows_of_right_schema(events: Path) -> int:
    try:
        footer = _footer_of(events)
        schema = footer.schema
    except (pa.ArrowException, OSError) as error:
        raise RefusedError(
            f"{events} is not a readable parquet file ({error}): write customer_events anew"
        ) from error

    lower = [name.lower() for name in schema.names]  # to Spark and DuckDB they are one
    if doubled := sorted(name for name in COLUMNS if lower.count(name) > 1):
        raise RefusedError(f"{events} has two columns {', '.join(doubled)}: write each once")
    missing = [name for name in COLUMNS if name not in schema.names]
    if missing:
        raise RefusedError(
            f"{events} lacks {', '.join(missing)}; customer_events has the columns "
            f"{', '.join(COLUMNS)}, this file has {', '.join(schema.names)}"
        )
    wrong = [
        f"{name} is {schema.field(name).type}, expected {expected}"
        for name, expected, fits in _EXPECTED_TYPES
        if not fits(_kind_of(schema.field(name)))
    ]
    if wrong:
        raise RefusedError(
            f"{events} has columns of a wrong type: {'; '.join(wrong)}. Write them in these types"
        )
    return footer.rows


def _kind_of(field: pa.Field) -> pa.DataType:
    """What the values are, however they are laid out."""
    kind = field.type.value_type if types.is_dictionary(field.type) else field.type
    text = types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
    return pa.string() if text else kind


def _is_identifier(kind: pa.DataType) -> bool:
    return bool(types.is_string(kind) or (types.is_integer(kind) and kind != pa.uint64()))


def is_zoned_timestamp(kind: pa.DataType) -> bool:
    return bool(types.is_timestamp(kind) and kind.tz is not None)


def _is_number(kind: pa.DataType) -> bool:
    """One that every engine reads as it is: no decimal of more than 38 digits, no half float."""
    if types.is_decimal(kind):
        return bool(kind.precision <= 38)
    return bool(types.is_integer(kind) or types.is_float32(kind) or types.is_float64(kind))


_ZONED = "a timestamp with time zone (a naive one names no instant)"
_EXPECTED_TYPES = (
    ("customer_id", "an integer or a string, of no more than 64 bits with a sign", _is_identifier),
    ("event_timestamp", _ZONED, is_zoned_timestamp),
    ("created_timestamp", _ZONED, is_zoned_timestamp),
    ("orders", "an integer", types.is_integer),
    ("sessions", "an integer", types.is_integer),
    ("order_value", "a number of at most 38 digits, and no half float", _is_number),
)
