"""What each function of a declaration makes of the states that are in force, slot by slot."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from feature_pipeline.aggregation.declaration import ADDED, Dedup, Feature, Measure
from feature_pipeline.aggregation.quotients import UNIT, quotients
from feature_pipeline.aggregation.sums import Limbs, decimal_of, int64_of, limbs_of, numbers_of
from feature_pipeline.aggregation.timeline import Intervals, Timeline
from feature_pipeline.aggregation.values import MICROSECOND, Values, scalar

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class States:
    """The events of a batch as states: when each is in force, and what it says."""

    timeline: Timeline
    columns: dict[str, Values]
    happened: Array
    arrived: Array
    dedup: Dedup

    def counting(self, measure: Measure) -> Intervals:
        """When a state counts: in the window, meeting every condition, its value no null."""
        there = np.ones(len(self.happened), bool)
        for condition in measure.where:
            there &= self.columns[condition.column].meets(condition)
        if measure.column is not None:
            there &= self.columns[measure.column].present
        return self.timeline.by_window[measure.window // MICROSECOND].of(there)

    def added(self, measure: Measure) -> Limbs:
        """What `sum`, `count` or `distinct` comes to at each slot."""
        intervals = self.counting(measure)
        amounts: Limbs = (np.ones(len(intervals.event), np.int64),)
        if measure.function == "sum" and measure.column:
            amounts = limbs_of(self.columns[measure.column].numbers[intervals.event])
        if measure.function == "distinct":
            intervals = self.timeline.islands(intervals, self._numbered(measure, intervals)[1])
            amounts = (np.ones(len(intervals.event), np.int64),)
        return tuple(self.timeline.running(intervals, limb) for limb in amounts)

    def picked(self, measure: Measure) -> pa.Array:
        """The value of the event that `min`, `max`, `last`, `first` or `mode` picks, or null."""
        intervals = self.counting(measure)
        pick = self._most_frequent if measure.function == "mode" else self._foremost
        event = pick(measure, intervals)
        arrow = self.columns[str(measure.column)].arrow
        return arrow.take(pa.array(event, mask=event < 0))

    def nothing(self, measure: Measure) -> Array:
        """True at each slot at which no state counts."""
        intervals = self.counting(measure)
        ones = np.ones(len(intervals.event), np.int64)
        empty: Array = self.timeline.running(intervals, ones) == 0
        return empty

    def _foremost(self, measure: Measure, intervals: Intervals) -> Array:
        """At each slot the event in force that the function's order puts last, or -1."""
        order = self._order(measure)
        if measure.function in ("min", "first"):
            order = order[::-1]
        place = np.empty(len(order), np.int64)
        place[order] = np.arange(len(order))
        foremost = self.timeline.covering(intervals, place[intervals.event])
        return np.where(foremost < 0, -1, order[foremost])

    def _order(self, measure: Measure) -> Array:
        """The events by value; for `last` and `first` by happening, arrival, id and value."""
        value = _sortable(self.columns[str(measure.column)].numbers)
        if measure.function in ("min", "max"):
            return np.argsort(value)
        tie = [self.columns[self.dedup.by].numbers] if self.dedup.kind == "id" else []
        return np.lexsort([value, *tie, self.arrived, self.happened])

    def _most_frequent(self, measure: Measure, intervals: Intervals) -> Array:
        """At each slot an event with the value most often in force, of several the least, or -1."""
        firsts, values = self._numbered(measure, intervals)
        pieces, times = self.timeline.pieces(intervals, values)
        count = max(len(firsts), 1)
        value_of_event = np.zeros(len(self.happened), np.int64)
        value_of_event[intervals.event] = values
        codes = times * count + (count - 1 - value_of_event[pieces.event])
        most = self.timeline.covering(pieces, codes)
        event = np.full(len(most), -1)
        there = most >= 0
        event[there] = firsts[count - 1 - most[there] % count]
        return event

    def _numbered(self, measure: Measure, intervals: Intervals) -> tuple[Array, Array]:
        """An event of each value that counts, in order of the values, and each one's number."""
        numbers = self.columns[str(measure.column)].numbers[intervals.event]
        _, firsts, values = np.unique(numbers, return_index=True, return_inverse=True)
        return intervals.event[firsts], values


def values_of(features: Iterable[Feature], states: States) -> list[pa.Array]:
    """Each feature at each slot.

    Raises:
        OverflowError: a sum is beyond what a feature can hold.
    """
    return [_values_of(feature, states) for feature in features]


def _values_of(feature: Feature, states: States) -> pa.Array:
    try:
        return _Made(feature, states).values
    except OverflowError as error:
        raise OverflowError(f"{feature.name}: {error}") from error


@dataclass(frozen=True)
class _Made:
    """One feature of a batch."""

    feature: Feature
    states: States

    @property
    def values(self) -> pa.Array:
        values, feature = self._measured, self.feature
        if feature.is_bool:
            values = self._kept_to_bounds(values)
        if feature.empty is None:
            return values
        return pc.if_else(pa.array(self._empty), scalar(feature.kind, feature.empty), values)

    @property
    def _measured(self) -> pa.Array:
        measure, divisor = self.feature.measure, self.feature.divisor
        if divisor is not None:
            dividends, of = self._numbers(measure), self._scale(measure)
            return pa.array(quotients(dividends, self._numbers(divisor), of, self._scale(divisor)))
        if measure.function not in ADDED:
            return self.states.picked(measure)
        in_type = decimal_of if self._scale(measure) == UNIT else int64_of
        return in_type(self.states.added(measure))

    def _kept_to_bounds(self, values: pa.Array) -> pa.Array:
        least, most = self.feature.at_least, self.feature.at_most
        kept = []
        if least is not None:
            kept.append(pc.greater_equal(values, pa.scalar(least, values.type)))
        if most is not None:
            kept.append(pc.less_equal(values, pa.scalar(most, values.type)))
        return kept[0] if len(kept) == 1 else pc.and_(*kept)

    @property
    def _empty(self) -> Array:
        if self.feature.divisor is None:
            return self.states.nothing(self.feature.measure)
        empty: Array = (self._numbers(self.feature.divisor) == 0).astype(bool)
        return empty

    def _numbers(self, measure: Measure) -> Array:
        return numbers_of(self.states.added(measure))

    def _scale(self, measure: Measure) -> int:
        """How many of a sum's numbers are one."""
        column = measure.column if measure.function == "sum" else None
        if column is None:
            return 1
        return UNIT if pa.types.is_decimal(self.states.columns[column].arrow.type) else 1


def _sortable(numbers: Array) -> Array:
    """The numbers, Python's by their places, which numpy sorts beside others."""
    return np.unique(numbers, return_inverse=True)[1] if numbers.dtype == object else numbers
