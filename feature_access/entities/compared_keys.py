"""Keys of entity rows as a table's own column holds them, so that every engine compares the same.

A column of whole numbers is compared by number, whatever its width; one that is declared text by
plain digits. What the column cannot hold names nobody in it.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from decimal import Decimal

import pyarrow as pa
from feast.types import FeastType, String

from feature_access.entities.value import PLAIN_DIGITS, is_text
from feature_access.entities.value_by_value import UnusableRowError, UnusableValueError, converted

_EXACT = {pa.float16(): 11, pa.float32(): 24, pa.float64(): 53}
"""Bits of a whole number up to which a float is that number alone."""


def key_as_there(
    given: pa.ChunkedArray, declared: FeastType, there: pa.DataType | None
) -> pa.ChunkedArray:
    """The keys in the type of the table's column; null where it can hold no such key.

    `given` is a column of `EntityRows`, and `there` None for a type that is not read.

    Raises:
        UnusableValueError: the column is of a type that is no key's of the declared type, for a
            table's text `01` is not the number 1; or it cannot tell a key from others.
    """
    if there is not None and pa.types.is_dictionary(there):
        there = there.value_type
    if not _is_comparable(declared, there):
        raise UnusableValueError(
            f"it is declared {declared}, and held as {there or 'what is not read here'}; declare "
            "the entity in the table's type"
        )
    if is_text(there):
        return given if is_text(given.type) else given.cast(pa.string())
    if given.type == there:
        return given
    if not pa.types.is_floating(there):
        with suppress(pa.ArrowInvalid):  # a text is no number, or a number does not fit
            if not is_text(given.type):
                return given.cast(there)
    try:
        return converted(given, _rule(there), there)
    except UnusableRowError as error:
        raise UnusableValueError(str(error)) from None


def of_somebody(query: str, join_keys: Sequence[str], quote: str) -> str:
    """The rows that the query finds and that have every key: others are nobody's, as in a join."""
    if not join_keys:
        return query
    held = " AND ".join(f"{quote}{key}{quote} IS NOT NULL" for key in join_keys)
    return f"SELECT * FROM (\n{query}\n) AS pulled WHERE {held}"


def _is_comparable(declared: FeastType, there: pa.DataType | None) -> bool:
    if there is None:
        return False
    whole = bool(pa.types.is_integer(there))
    if declared == String:
        return whole or is_text(there)
    return whole or bool(pa.types.is_floating(there) or pa.types.is_decimal(there))


def _rule(there: pa.DataType) -> Callable[[object], object]:
    if pa.types.is_floating(there):
        return lambda number: _float(number, there)
    if pa.types.is_decimal(there):
        digits = there.precision - there.scale
        return lambda number: Decimal(number) if abs(number) < 10**digits else None  # type: ignore
    least = -(2 ** (there.bit_width - 1)) if pa.types.is_signed_integer(there) else 0
    return lambda value: _whole(value, range(least, least + 2**there.bit_width))


def _whole(value: object, within: range) -> int | None:
    if isinstance(value, str) and not PLAIN_DIGITS.fullmatch(value):
        return None
    number = int(value)  # type: ignore[call-overload]
    return number if number in within else None


def _float(number: object, there: pa.DataType) -> float:
    if abs(number) >= 2 ** _EXACT[there]:  # type: ignore[arg-type]
        raise UnusableValueError(
            f"names a whole number of which the table's {there} cannot tell others: store the keys "
            "as integers"
        )
    return float(number)  # type: ignore[arg-type]
