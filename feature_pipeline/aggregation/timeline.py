"""When something changes: the instants of each key, and what holds over stretches of them.

The *slots* of a key are the sorted instants at which one of its states comes into force or ends; an
interval is two of them, the second excluded. The slots of all keys stand in one array, key after
key, and no interval reaches beyond its key's. What is still in force at the end of a key's slots
ends where the next key begins, so sums begin anew there by themselves.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Intervals:
    """Stretches of slots, each of an event that is in force over it."""

    event: Array
    """Its place in the batch."""
    start: Array
    stop: Array

    def of(self, chosen: Array) -> "Intervals":
        """Intervals of the events that are chosen, by a truth for each event of the batch."""
        here = chosen[self.event]
        return Intervals(self.event[here], self.start[here], self.stop[here])


@dataclass(frozen=True)
class Timeline:
    """The slots of a batch of whole keys."""

    key: Array
    """The key of each slot, as its place in the batch; in order."""
    instant: Array
    """The instant of each slot, in microseconds; in order within a key."""
    by_window: dict[int, Intervals]
    """The intervals of each window, in microseconds."""

    @classmethod
    def of(
        cls,
        key: Array,
        happened: Array,
        arrived: Array,
        superseded: Array,
        *,
        windows: tuple[int, ...],
        as_of: int,
    ) -> "Timeline":
        """The slots up to `as_of`, of events by key that had arrived by then.

        A state of window w is in force over [arrived, min(superseded, happened + w)). A slot is
        made for each arrival of one that comes into force, and for each end.
        """
        ends = {window: np.minimum(superseded, happened + window) for window in windows}
        begun = np.flatnonzero(arrived < ends[max(windows)])
        over = {w: np.flatnonzero((arrived < end) & (end <= as_of)) for w, end in ends.items()}
        events = np.concatenate([begun, *over.values()])
        instants = np.concatenate([arrived[begun], *(ends[w][over[w]] for w in windows)])
        slot_of, first = _numbered(key[events], instants)

        slot_key = key[events[first]]
        key_ends = np.searchsorted(slot_key, key, side="right")
        starts = np.zeros(len(key), np.int64)
        starts[begun] = slot_of[: len(begun)]
        by_window, place = {}, len(begun)
        for window in windows:
            stops = key_ends.copy()
            stops[over[window]] = slot_of[place : place + len(over[window])]
            place += len(over[window])
            there = np.flatnonzero(arrived < ends[window])
            by_window[window] = Intervals(there, starts[there], stops[there])
        return cls(slot_key, instants[first], by_window)

    def __len__(self) -> int:
        return len(self.key)

    def running(self, intervals: Intervals, amounts: Array) -> Array:
        """At each slot the sum of the amounts (int64, one an interval) that are in force."""
        deltas = np.zeros(len(self) + 1, np.int64)
        np.add.at(deltas, intervals.start, amounts)
        np.subtract.at(deltas, intervals.stop, amounts)
        return np.cumsum(deltas)[:-1]

    def covering(self, intervals: Intervals, codes: Array) -> Array:
        """At each slot the greatest of the codes (not negative) that are in force, or -1.

        An interval is two blocks of 2**k slots, which may overlap: of each length of blocks the
        greatest code is noted where a block begins, and handed down to the two halves.
        """
        lengths = intervals.stop - intervals.start
        sizes = np.frexp(lengths.astype(float))[1] - 1  # exact up to 2**53 slots
        greatest = np.full(len(self), -1, np.int64)
        for size in range(int(sizes.max(initial=0)), -1, -1):
            block, here = 1 << size, sizes == size
            np.maximum.at(greatest, intervals.start[here], codes[here])
            np.maximum.at(greatest, intervals.stop[here] - block, codes[here])
            if half := block // 2:
                whole = greatest
                greatest = whole.copy()
                np.maximum(greatest[half:], whole[:-half], out=greatest[half:])
        return greatest

    def islands(self, intervals: Intervals, values: Array) -> Intervals:
        """The stretches over which at least one interval of a value holds; values from 0 on."""
        order = np.lexsort([intervals.start, values])
        value, start, stop = values[order], intervals.start[order], intervals.stop[order]
        apart = value * (len(self) + 1)  # so that a value's slots lie beyond those before it
        reach = np.maximum.accumulate(apart + stop) - apart
        begins = np.ones(len(order), bool)
        begins[1:] = (value[1:] != value[:-1]) | (start[1:] > reach[:-1])
        ends = np.append(begins[1:], True)[: len(order)]
        return Intervals(intervals.event[order][begins], start[begins], reach[ends])

    def pieces(self, intervals: Intervals, values: Array) -> tuple[Intervals, Array]:
        """The stretches over which a value holds the same number of times, and those numbers."""
        count = len(values)
        value, slot = np.tile(values, 2), np.concatenate([intervals.start, intervals.stop])
        event = np.tile(intervals.event, 2)
        order = np.lexsort([slot, value])
        value, slot, event = value[order], slot[order], event[order]
        running = np.cumsum(np.repeat([1, -1], count)[order])
        last = np.append((value[1:] != value[:-1]) | (slot[1:] != slot[:-1]), True)[: len(order)]
        slot, times, event = slot[last], running[last], event[last]
        there = np.flatnonzero(times)
        return Intervals(event[there], slot[there], slot[there + 1]), times[there]


def _numbered(key: Array, instant: Array) -> tuple[Array, Array]:
    """The slot of each pair, numbered in order of key and instant, and a pair of each slot."""
    order = _in_order(key, instant)
    begins = np.ones(len(order), bool)
    key, instant = key[order], instant[order]
    begins[1:] = (key[1:] != key[:-1]) | (instant[1:] != instant[:-1])
    slot_of = np.empty(len(order), np.int64)
    slot_of[order] = np.cumsum(begins) - 1
    return slot_of, order[begins]


def _in_order(key: Array, instant: Array) -> Array:
    """Their order; in one sort where both fit into one number of less than 64 bits."""
    if not len(key):
        return np.zeros(0, np.int64)
    first, last = int(instant.min()), int(instant.max())
    bits = (last - first).bit_length()
    if bits + int(key.max()).bit_length() < 64:
        return np.argsort(key << bits | instant - first)
    return np.lexsort([instant, key])
