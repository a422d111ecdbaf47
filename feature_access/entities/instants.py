"""Times as a caller gives them, as instants: UTC where no zone is named, to the microsecond.

Text is ISO 8601 and nothing else: whether 05/11/2017 is in May or in November no one can tell. A
date is its midnight. Digits finer than a microsecond are cut off, never rounded up, so that no
time moves past a feature row that was not known yet.
"""

import re
from datetime import UTC, date, datetime, time

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from feature_access.entities.value_by_value import (
    Column,
    UnusableRowError,
    UnusableValueError,
    column_of,
    converted,
    decoded,
)

INSTANT = pa.timestamp("us", tz="UTC")
_NAIVE = pa.timestamp("us")
_FIRST = pa.scalar(datetime(1, 1, 1, tzinfo=UTC), INSTANT).cast(pa.int64())
_LAST = pa.scalar(datetime(9999, 12, 31, 23, 59, 59, 999_999, UTC), INSTANT).cast(pa.int64())
_BEYOND = "holds a time before the year 1 or after 9999: give one within"
# Python takes any character between date and time, and so reads an epoch's digits as a year.
_ISO = re.compile(r"(\d{4}-\d\d-\d\d|\d{8}|\d{4}-?W\d\d(-?\d)?)([T ].+)?", re.ASCII)


def instants(times: pd.Series | pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    """A column of times in UTC microseconds; no time stays none.

    Raises:
        ValueError: a value is no time; the message tells its row, counted from 1, and the value.
    """
    column = column_of(times) if isinstance(times, pd.Series) else decoded(times)
    if isinstance(column, pa.ChunkedArray):
        if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
            raise ValueError(f"{name} holds numbers, which name no unit: give timestamps")
        if pa.types.is_temporal(column.type):
            column = _at_once(column)
    if isinstance(column, pa.ChunkedArray) and column.type == INSTANT:
        return _within_the_years(column, name)
    return _one_by_one(column, name)


def instant_of(value: object) -> datetime:
    """The instant that one value is.

    Raises:
        UnusableValueError: it is none.
    """
    try:
        return _utc(_read(value))
    except (ValueError, OverflowError, TypeError):
        raise UnusableValueError(
            f"{str(value)!r:.60} is no time: write it by ISO 8601, as 2017-11-15T12:00:00Z"
        ) from None


def _read(value: object) -> datetime:
    if isinstance(value, np.datetime64):
        value = pd.Timestamp(value)
    if isinstance(value, pd.Timestamp):
        value = value.to_pydatetime(warn=False)
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime.combine(value, time())
    if isinstance(value, str) and _ISO.fullmatch(value):
        return datetime.fromisoformat(value)
    raise TypeError


def _utc(time: datetime) -> datetime:
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def _at_once(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Instants, or the column as it is where it holds a time of day, or one beyond all instants."""
    try:
        if pa.types.is_date(column.type):
            column = column.cast(_NAIVE)
        if not pa.types.is_timestamp(column.type):
            return column
        if column.type.unit == "ns":
            column = pc.floor_temporal(column, unit="microsecond")
        if column.type.tz is None:
            column = pc.assume_timezone(column, "UTC")
        return column.cast(INSTANT)
    except pa.ArrowInvalid:
        return column


def _within_the_years(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    """The column, no time of which is beyond the calendar."""
    since_1970 = column.cast(pa.int64())
    beyond = pc.or_(pc.less(since_1970, _FIRST), pc.greater(since_1970, _LAST))
    if (row := pc.index(beyond, True).as_py()) >= 0:
        raise ValueError(f"{name}, row {row + 1:,}: {_BEYOND}")
    return column


def _one_by_one(column: Column, name: str) -> pa.ChunkedArray:
    try:
        return converted(column, lambda value: instant_of(value) if value != "" else None, INSTANT)
    except UnusableRowError as error:
        raise ValueError(f"{name}, {error}") from None
    except OverflowError:  # Arrow does not say of which row
        raise ValueError(f"{name}: {_BEYOND}") from None
