"""A column made what it is to be, value by value: the rule is asked once of each distinct value.

A column comes as pandas or Arrow holds it; mixed objects, categories, dictionaries and views are
what their values are.
"""

from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import TypeAlias

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

Column: TypeAlias = "pa.ChunkedArray | list[object]"
"""A list where values of several types stand together, which Arrow does not hold."""

_OF_ONE_TYPE = ("string", "integer", "empty")


class UnusableValueError(ValueError):
    """A value that cannot be what it is to be; the message says what it is, or what is wrong."""


class UnusableRowError(ValueError):
    """The first row, counted from 1, whose value cannot be what it is to be."""

    def __init__(self, row: int, reason: str) -> None:
        super().__init__(f"row {row:,}: {reason}")


def column_of(series: pd.Series) -> Column:
    """A pandas column as it is, no value of it coerced to be like the others."""
    if isinstance(series.dtype, pd.CategoricalDtype):
        series = series.astype(series.cat.categories.dtype if not series.hasnans else object)
    mixed = series.dtype == object and (
        pd.api.types.infer_dtype(series, skipna=True) not in _OF_ONE_TYPE
    )
    if not mixed:
        try:
            column = decoded(pa.chunked_array([pa.Array.from_pandas(series)]))
            if not isinstance(column.type, pa.BaseExtensionType):  # a period is stored as a number
                return column
        except (pa.ArrowException, UnicodeEncodeError, OverflowError, ValueError, TypeError):
            pass  # some value is none of its column's type: it is found and named one by one
    return list(series)


def decoded(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Values in place of a dictionary's numbers, plain text in place of a view of it."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return column.cast(pa.string()) if pa.types.is_string_view(column.type) else column


def converted(column: Column, rule: Callable[[object], object], to: pa.DataType) -> pa.ChunkedArray:
    """What the rule makes of each value, as `to`; what is missing stays missing.

    Raises:
        UnusableRowError: the rule refuses a value (`UnusableValueError`); of several, the first.
    """
    if isinstance(column, list):
        return pa.chunked_array([pa.array(_each(column, rule, lambda place: place), to)])
    try:
        encoded = column.combine_chunks().dictionary_encode()
    except pa.ArrowNotImplementedError:  # lists, structures and the like have no dictionary
        return converted(column.to_pylist(), rule, to)
    values = _each(
        _scalars(encoded.dictionary), rule, lambda place: pc.index(encoded.indices, place).as_py()
    )
    return pa.chunked_array([pa.array(values, to).take(encoded.indices)])


def is_missing(value: object) -> bool:
    """Whether it is no value: None, or what pandas, floats and decimals have in its place."""
    if value is None or value is pd.NA or value is pd.NaT:
        return True
    if isinstance(value, Decimal):
        return value.is_nan()
    return isinstance(value, float) and value != value


def _each(
    values: Iterable[object], rule: Callable[[object], object], row_of: Callable[[int], int]
) -> Iterator[object]:
    for place, value in enumerate(values):
        try:
            yield None if is_missing(value) else rule(value)
        except UnusableValueError as error:
            raise UnusableRowError(row_of(place) + 1, str(error)) from None


def _scalars(values: pa.Array) -> Iterable[object]:
    """Floats as NumPy has them, which know their width."""
    floats = pa.types.is_floating(values.type)
    each: Iterable[object] = values.to_numpy(zero_copy_only=False) if floats else values.to_pylist()
    return each
