"""What a column of each declared kind may be in a file, and what its values are in DuckDB's SQL."""

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa
from pyarrow import types

from feature_pipeline.change_log.events_table import is_zoned_timestamp
from feature_pipeline.change_log.instants import is_no_instant
from feature_pipeline.change_log.money import money_of


@dataclass(frozen=True)
class EventType:
    """One kind of a declaration's columns, as files of events may hold it."""

    expected: str
    fits: Callable[[pa.DataType], bool]
    value: Callable[[str], str]
    """SQL for the value of a column (a quoted name); null where it holds no value of the kind."""
    malformed: str
    """What is said of an event whose value is none of the kind."""


def quoted(name: str) -> str:
    """A name, whatever it holds, as SQL has it."""
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


def layout_free(kind: pa.DataType) -> pa.DataType:
    """The type of the values, however they are laid out: dictionaries, large and viewed text."""
    values = kind.value_type if types.is_dictionary(kind) else kind
    is_text = types.is_string(values) or types.is_large_string(values)
    return pa.string() if is_text or types.is_string_view(values) else values


def microseconds(column: str) -> str:
    """SQL for an instant in microseconds since 1970; null for no instant."""
    return f"CASE WHEN NOT {is_no_instant(column)} THEN epoch_us({column}) END"


def _is_amount(kind: pa.DataType) -> bool:
    if types.is_decimal(kind):
        return bool(kind.precision <= 38)
    return bool(types.is_integer(kind) or _is_float(kind))


def _is_float(kind: pa.DataType) -> bool:
    return bool(types.is_float32(kind) or types.is_float64(kind))


INSTANT = "a timestamp with time zone (a naive one names no instant)"

EVENT_TYPES = {
    "int64": EventType(
        "an integer",
        types.is_integer,
        lambda column: f"TRY_CAST({column} AS BIGINT)",
        "is no whole number of 64 bits",
    ),
    "decimal": EventType(
        "a number of at most 38 digits, and no half float",
        _is_amount,
        money_of,
        "is no number of at most 26 digits before the point",
    ),
    "double": EventType(
        "a float of 32 or 64 bits (declare an integer int64, an exact number decimal)",
        _is_float,
        # There is one zero: of two that are equal the log must not hold now this, now that.
        lambda column: (
            f"CASE WHEN isfinite({column}) THEN CAST({column} AS DOUBLE) + 0.0::DOUBLE END"
        ),
        "is no finite number",
    ),
    "string": EventType(
        "a text", types.is_string, lambda column: f"CAST({column} AS VARCHAR)", "is no text"
    ),
    "bool": EventType("a bool", types.is_boolean, lambda column: column, "is no bool"),
    "timestamp": EventType(
        INSTANT,
        is_zoned_timestamp,
        lambda column: f"CASE WHEN NOT {is_no_instant(column)} THEN {column} END",
        "is no instant",
    ),
}
"""By the kind that is declared."""
