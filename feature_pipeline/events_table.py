"""What `customer_events` must be: its columns, and the rules that every producer keeps."""

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import types

from feature_pipeline.engine import one_row, parquet_at
from feature_pipeline.parquet_table import parts_of
from feature_pipeline.refusal import RefusedError

KEYS = ("customer_id", "event_timestamp", "created_timestamp")
COUNTS = ("orders", "sessions")
AMOUNTS = (*COUNTS, "order_value")


def refuse_wrong_schema(events: Path) -> int:
    """Rows in the table; refuses one that is not the events table.

    Raises:
        RefusedError: it is missing, cannot be read, or lacks a column or the column's type.
    """
    parts = parts_of(events)
    if not parts:
        raise RefusedError(
            f"no events file at {events}: write customer_events there as parquet, or name another"
        )
    rows = sum(map(_rows_of_right_schema, parts))
    kinds = {_footer_of(part).schema.field("customer_id").type for part in parts}
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
        for part in parts_of(events)
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
    """Create `events_file`; parts may hold their amounts in types of different widths."""
    every_part = connection.read_parquet([parquet_at(p) for p in parts], union_by_name=True)
    every_part.create_view("events_file", replace=True)


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
    """Of the file as it was written then: read once in a run, however often it is asked."""
    metadata = pq.read_metadata(part)
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    oldest: dict[str, datetime] = {}
    newest: dict[str, datetime] = {}
    for place in range(metadata.num_columns):
        columns = [group.column(place) for group in groups]
        name = metadata.schema.column(place).name
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

    if doubled := sorted({name for name in schema.names if schema.names.count(name) > 1}):
        raise RefusedError(f"{events} has two columns {', '.join(doubled)}: write each once")
    missing = [name for name in (*KEYS, *AMOUNTS) if name not in schema.names]
    if missing:
        raise RefusedError(
            f"{events} lacks {', '.join(missing)}; customer_events has the columns "
            f"{', '.join((*KEYS, *AMOUNTS))}, this file has {', '.join(schema.names)}"
        )
    wrong = [
        f"{name} is {schema.field(name).type}, expected {expected}"
        for name, expected, fits in _EXPECTED_TYPES
        if not fits(schema.field(name).type)
    ]
    if wrong:
        raise RefusedError(
            f"{events} has columns of a wrong type: {'; '.join(wrong)}. Write them in these types"
        )
    return footer.rows


def _is_identifier(kind: pa.DataType) -> bool:
    return bool(types.is_integer(kind) or types.is_string(kind) or types.is_large_string(kind))


def _is_zoned_timestamp(kind: pa.DataType) -> bool:
    return bool(types.is_timestamp(kind) and kind.tz is not None)


def _is_number(kind: pa.DataType) -> bool:
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind))


_ZONED = "a timestamp with time zone (a naive one names no instant)"
_EXPECTED_TYPES = (
    ("customer_id", "an integer or a string", _is_identifier),
    ("event_timestamp", _ZONED, _is_zoned_timestamp),
    ("created_timestamp", _ZONED, _is_zoned_timestamp),
    ("orders", "an integer", types.is_integer),
    ("sessions", "an integer", types.is_integer),
    ("order_value", "a number", _is_number),
)


def refuse_broken_rules(connection: duckdb.DuckDBPyConnection, rows: str, events: Path) -> None:
    """Make sure that the view `rows` of the events keeps what every producer must.

    Raises:
        RefusedError: a key is missing, an amount is negative, or an event stands there twice.
    """
    rules = {f"{key} is null": f"{key} IS NULL" for key in KEYS}
    rules |= {f"{amount} is negative": f"{amount} < 0" for amount in AMOUNTS}
    counted = ", ".join(f"count(*) FILTER ({broken})" for broken in rules.values())
    counts = one_row(connection, f"SELECT {counted} FROM {rows}")
    faults = [
        f"{rule} in {count:,} rows, first {_first(connection, rows, rules[rule])}"
        for rule, count in zip(rules, counts, strict=True)
        if count
    ]
    if _some_stand_twice(connection, rows):
        faults += _doubled(connection, rows)
    if faults:
        raise RefusedError(
            f"{events} breaks the producer's rules: {'; '.join(faults)}. "
            "Mend the ingestion job or the file and run again; nothing was written."
        )


def _some_stand_twice(connection: duckdb.DuckDBPyConnection, rows: str) -> bool:
    """Whether two have one hash; a fifth of the time that it takes to group them by their keys.

    The hashes lie in memory, 8 bytes each, so many at a time.
    """
    (count,) = one_row(connection, f"SELECT count(*) FROM {rows}")
    for part in range(parts := -(-count // _HASHES_AT_ONCE)):
        keys = f"SELECT hash({', '.join(KEYS)}) AS event FROM {rows}"
        of_part = f"SELECT event FROM ({keys}) WHERE event % {parts} = {part}"
        hashes = connection.execute(of_part).fetchnumpy()["event"]
        hashes.sort()
        if (hashes[1:] == hashes[:-1]).any():
            return True
    return False


_HASHES_AT_ONCE = 20_000_000


def _doubled(connection: duckdb.DuckDBPyConnection, rows: str) -> list[str]:
    shown = f"customer_id, {iso('event_timestamp')}, {iso('created_timestamp')}"
    doubled = connection.execute(
        f"""SELECT count(*) OVER (), {shown}, count(*)
        FROM {rows}
        WHERE {" AND ".join(f"{key} IS NOT NULL" for key in KEYS)}
        GROUP BY {", ".join(KEYS)} HAVING count(*) > 1 ORDER BY {", ".join(KEYS)} LIMIT 1"""
    ).fetchone()
    if not doubled:
        return []
    count, customer, happened, arrived, times = doubled
    return [
        f"{count:,} events stand there more than once, first customer_id {customer} at "
        f"{happened}, arrived {arrived}, {times} times"
    ]


def iso(instant: str) -> str:
    """SQL that spells an instant as ISO 8601 has it."""
    # Spelled by the engine: Python's datetime ends at the year 9999, a column of events need not.
    return f"replace(CAST({instant} AS VARCHAR), ' ', 'T') || ':00'"


def _first(connection: duckdb.DuckDBPyConnection, rows: str, broken: str) -> str:
    keys = ", ".join(f"{key}: CAST({key} AS VARCHAR)" for key in KEYS)
    (first,) = one_row(connection, f"SELECT min({{{keys}}}) FROM {rows} WHERE {broken}")
    return str(first)
