"""A column of a batch as numbers that stand to each other as its values do."""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from feature_pipeline.aggregation.declaration import Condition, Literal
from feature_pipeline.aggregation.literals import units_of
from feature_pipeline.aggregation.sums import DECIMAL, units_in

Array = npt.NDArray[Any]
MICROSECOND, EPOCH = timedelta(microseconds=1), datetime(1970, 1, 1, tzinfo=UTC)
ARROW = {
    "int64": pa.int64(),
    "decimal": DECIMAL,
    "double": pa.float64(),
    "string": pa.string(),
    "bool": pa.bool_(),
    "timestamp": pa.timestamp("us", tz="UTC"),
}
"""The type of each kind of value, in events and in the log."""


@dataclass(frozen=True)
class Values:
    """One column of a batch of events."""

    arrow: pa.Array
    present: Array
    """Where it is not null."""
    numbers: Array
    """In the order of the values, equal where they are; where it is null, any.

    int64 or float64; of decimals beyond 64 bits Python's integers.
    """
    texts: tuple[str, ...] | None
    """For strings: a number is the place of its text here, in the order of their bytes."""

    @classmethod
    def of(cls, column: pa.Array) -> "Values":
        """The values of an Arrow column of one of the types of `ARROW`."""
        present = column.is_valid().to_numpy(zero_copy_only=False)
        kind = column.type
        if pa.types.is_string(kind):
            return cls(column, present, *_placed(column))
        if pa.types.is_decimal(kind):
            numbers = units_in(column.fill_null(Decimal(0)))
        elif pa.types.is_floating(kind):
            numbers = column.fill_null(0.0).to_numpy() + 0.0  # there is one zero
        elif pa.types.is_boolean(kind):
            numbers = column.fill_null(False).to_numpy(zero_copy_only=False).astype(np.int64)
        else:
            numbers = column.cast(pa.int64()).fill_null(0).to_numpy()
        return cls(column, present, numbers, None)

    def meets(self, condition: Condition) -> Array:
        """Where the value stands in the relation; nowhere where it is null."""
        relation, value = condition.relation, condition.value
        if isinstance(value, tuple):
            there = np.zeros(len(self.numbers), bool)
            for one in value:
                there |= self._relates("=", one)
        else:
            there = self._relates(relation, value)
        return there & self.present

    def _relates(self, relation: str, value: Literal) -> Array:
        """By the numbers below which, and up to which, what is less lies, or what is equal."""
        if self.texts is not None:
            texts, text = self.texts, str(value)
            below, up_to = bisect_left(texts, text), bisect_right(texts, text) - 1
        else:
            below = up_to = _number_of(value)
        numbers = self.numbers
        if relation == "<":
            there = numbers < below
        elif relation == "<=":
            there = numbers <= up_to
        elif relation == ">":
            there = numbers > up_to
        elif relation == ">=":
            there = numbers >= below
        elif relation == "=":
            there = (numbers >= below) & (numbers <= up_to)
        else:
            there = (numbers < below) | (numbers > up_to)
        return there.astype(bool)


def _placed(column: pa.Array) -> tuple[Array, tuple[str, ...]]:
    """Each text's place among those of the column, and them in order."""
    encoded = column.dictionary_encode()
    order = pc.array_sort_indices(encoded.dictionary).to_numpy()
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    codes = encoded.indices.fill_null(0).to_numpy()
    texts = tuple(encoded.dictionary.take(pa.array(order)).to_pylist())
    return (place[codes] if len(place) else np.zeros(len(column), np.int64)), texts


def _number_of(value: Literal) -> Any:
    if isinstance(value, datetime):
        return (value - EPOCH) // MICROSECOND
    if isinstance(value, Decimal):
        return int(units_of(value))
    return int(value) if isinstance(value, bool) else value


def scalar(kind: str, value: Literal) -> pa.Scalar:
    """A literal as Arrow has it."""
    return pa.scalar(value, ARROW[kind])
