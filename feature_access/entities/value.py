"""One entity, one value: what may name an entity, whoever asks, and which entity it names.

The same rule holds for frames on every engine, requests over HTTP and plain Feast, command lines
and erasures. A join key is of the type its entity is declared in:

- Int32, Int64: a whole number that fits, however it is held (1, 1.0, Decimal("1.00")), or its plain
  decimal text (1, not 01). A float counts while it can have been one whole number only.
- String, Feast's own where none is declared: a text as it stands, without a NUL, which PostgreSQL
  cannot hold, or an integer, which is the text of its plain digits: 7 and "7" are one entity, "07"
  is another. No other number is: a float or a decimal has several spellings.

So an entity is joined, hashed (contract §9), looked up and erased under one value. No message
repeats a key: it is somebody's identifier.
"""

import re
from collections.abc import Callable
from decimal import Decimal
from numbers import Integral
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from feast.types import FeastType, Int32, Int64, String

from feature_access.entities.value_by_value import (
    Column,
    UnusableRowError,
    UnusableValueError,
    converted,
    decoded,
)

_ARROW: dict[FeastType, pa.DataType] = {Int32: pa.int32(), Int64: pa.int64(), String: pa.string()}
_BITS: dict[FeastType, int] = {Int32: 32, Int64: 64}
PLAIN_DIGITS = re.compile(
    r"0|-?[1-9][0-9]{0,19}"
)  # ASCII alone: int() reads the digits of every script


class UnusableKeysError(ValueError):
    """No entity can be meant by that; the message says by which and why."""


def is_key_type(kind: FeastType) -> bool:
    """Whether entities of that type can be named."""
    return kind in _ARROW


def entity_value(value: object, kind: FeastType) -> int | str:
    """The entity that the value names, as its type has it (`is_key_type`).

    Raises:
        UnusableValueError: it names none; the message tells what kind of value it is, not which.
    """
    return _text(value) if kind == String else _whole(value, _BITS[kind])


def entity_column(column: Column, name: str, kind: FeastType) -> pa.ChunkedArray:
    """A column of join keys in the declared type; null, which names nobody, stays null.

    Raises:
        UnusableKeysError: a value names no entity; the message tells its row, counted from 1.
    """
    if isinstance(column, pa.ChunkedArray):
        column = decoded(column)
        if _is_plain(column, kind):
            return column.cast(_ARROW[kind])
    try:
        return converted(column, lambda value: entity_value(value, kind), _ARROW[kind])
    except UnusableRowError as error:
        raise unusable(name, kind, error) from None


def is_text(kind: pa.DataType) -> bool:
    """Whether a column of that type, `decoded` or as a table has it, holds text."""
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def unusable(name: str, kind: FeastType, error: UnusableRowError) -> UnusableKeysError:
    """The refusal of a row whose join key names no entity."""
    return UnusableKeysError(f"{name} is declared {kind}, and {error}")


def _is_plain(column: pa.ChunkedArray, kind: FeastType) -> bool:
    """Whether every value is of the type as it stands, which most columns are."""
    if kind == String and is_text(column.type):
        return not pc.any(pc.match_substring(column, "\0")).as_py()
    if not is_key_type(kind) or not pa.types.is_integer(column.type):
        return False
    try:
        column.cast(_ARROW[kind])
    except pa.ArrowInvalid:
        return False
    return True


def _text(value: object) -> str:
    if isinstance(value, Integral) and not isinstance(value, bool):
        return str(int(value))
    if not isinstance(value, str):
        raise UnusableValueError(
            f"holds {_kind(value)}: give text, spelled as the table has it, or an integer"
        )
    if "\0" in value:
        raise UnusableValueError("holds a text with a NUL, which not every store can hold")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise UnusableValueError("holds a text that is no Unicode: half a surrogate pair") from None
    return str(value)


def _whole(value: object, bits: int) -> int:
    number = value if type(value) is int else _read(value)
    if not -(2 ** (bits - 1)) <= number < 2 ** (bits - 1):
        raise UnusableValueError(f"holds a whole number of more than {bits} bits")
    return number


def _read(value: object) -> int:
    read = next((read for kind, read in _WHOLE.items() if isinstance(value, kind)), None)
    if read is None or isinstance(value, bool):
        raise UnusableValueError(f"holds {_kind(value)}: give a whole number")
    return read(value)


def _of_float(value: Any) -> int:
    """Exact below the width of its mantissa: from there on two whole numbers are one float."""
    digits = np.finfo(type(value)).nmant + 1 if isinstance(value, np.floating) else 53
    if not np.isfinite(value) or value != np.floor(value):
        raise UnusableValueError("holds a float that is no whole number: give a whole one")
    if abs(value) >= 2**digits:
        raise UnusableValueError(
            f"holds a float of 2^{digits} or more, which may have been another number: give an "
            "integer"
        )
    return int(value)


def _of_decimal(value: Decimal) -> int:
    if not value.is_finite() or abs(value) >= 2**64:
        raise UnusableValueError("holds a decimal of more than 64 bits")
    if value != value.to_integral_value():
        raise UnusableValueError("holds a decimal that is no whole number: give a whole one")
    return int(value)


def _of_text(value: str) -> int:
    if not PLAIN_DIGITS.fullmatch(value):
        raise UnusableValueError(
            "holds a text that is no whole number in plain digits (1, not 01, 1.0 or with spaces)"
        )
    return int(value)


_WHOLE: dict[type, Callable[..., int]] = {
    Integral: int,
    float: _of_float,
    np.floating: _of_float,
    Decimal: _of_decimal,
    str: _of_text,
}


def _kind(value: object) -> str:
    truth = isinstance(value, bool | np.bool_)
    return "a truth value" if truth else f"a value of type {type(value).__name__}"
