"""The change log of any declaration: whole keys of events in order in, rows of the log out.

It knows no engine: whoever has events judges them, puts them in order and hands them on in batches.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from feature_pipeline.aggregation.declaration import Column, Declaration
from feature_pipeline.aggregation.measures import States, values_of
from feature_pipeline.aggregation.timeline import Timeline
from feature_pipeline.aggregation.values import ARROW, EPOCH, MICROSECOND, Values

Array = npt.NDArray[Any]
NEVER = np.iinfo(np.int64).max
THING, HAPPENED, ARRIVED = "thing", "happened", "arrived"


@dataclass
class Kept:
    """What became of the events that the kernel was handed; each counts once."""

    kept: int = 0
    """The latest state of a thing, or an event by itself."""
    superseded: int = 0
    filtered: int = 0
    """Not looked at: they do not meet the declaration's own `where`."""


@dataclass(frozen=True)
class Kernel:
    """Makes the log of a declaration's events as known at a time."""

    declaration: Declaration
    as_of: datetime
    counts: Kept = field(default_factory=Kept)
    """What became of the events of the batches so far."""

    @property
    def columns(self) -> dict[str, Column]:
        """The keys and columns by their names in a batch: `key_0` ..., `value_0` ..."""
        keys = {f"key_{place}": key for place, key in enumerate(self.declaration.keys)}
        return keys | {f"value_{n}": one for n, one in enumerate(self.declaration.columns)}

    @property
    def events_schema(self) -> pa.Schema:
        """The schema of a batch: its `columns`, `happened` and `arrived` (microseconds since 1970).

        Where events are states of a thing, `thing` tells which, of whatever type. Rows are in order
        of the keys, the thing, and the times by which a state is later; a key's rows all lie in one
        batch, and each had arrived by `as_of`.
        """
        named = {name: ARROW[column.kind] for name, column in self.columns.items()}
        return pa.schema({**named, HAPPENED: pa.int64(), ARRIVED: pa.int64()})

    @property
    def log_schema(self) -> pa.Schema:
        """The schema of the log: the keys, `event_timestamp`, the features."""
        keys = {key.name: ARROW[key.kind] for key in self.declaration.keys}
        features = {feature.name: ARROW[feature.kind] for feature in self.declaration.features}
        return pa.schema({**keys, "event_timestamp": ARROW["timestamp"], **features})

    def rows_of(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The rows of the batch's keys, by key and stamp.

        Raises:
            OverflowError: a sum is beyond what a feature can hold.
        """
        looked_at = self.looked_at(batch)
        self.counts.filtered += len(batch) - len(looked_at)
        if not len(looked_at):
            none = [pa.array([], kind) for kind in self.log_schema.types]
            return pa.record_batch(none, schema=self.log_schema)
        states, key_begins = self._states(looked_at)
        first = pa.array(np.flatnonzero(key_begins)[states.timeline.key])
        keys = [looked_at[name].take(first) for name in self.keys]
        stamps = pa.array(states.timeline.instant).cast(ARROW["timestamp"])
        features = values_of(self.declaration.features, states)
        return pa.record_batch([*keys, stamps, *features], schema=self.log_schema)

    @property
    def keys(self) -> list[str]:
        """The keys by their names in a batch."""
        return [f"key_{place}" for place in range(len(self.declaration.keys))]

    def looked_at(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The events that meet the declaration's own `where`."""
        named = {column.name: name for name, column in self.columns.items()}
        there = np.ones(len(batch), bool)
        for condition in self.declaration.where:
            there &= Values.of(batch[named[condition.column]]).meets(condition)
        return batch if there.all() else batch.filter(pa.array(there))

    def _states(self, batch: pa.RecordBatch) -> tuple[States, Array]:
        """The events as states, and where a key begins."""
        key_begins = row_begins([batch[name] for name in self.keys])
        happened, arrived = batch[HAPPENED].to_numpy(), batch[ARRIVED].to_numpy()
        timeline = Timeline.of(
            np.cumsum(key_begins) - 1,
            happened,
            arrived,
            self._superseded(batch, key_begins, arrived),
            windows=tuple(window // MICROSECOND for window in self.declaration.windows),
            as_of=(self.as_of - EPOCH) // MICROSECOND,
        )
        columns = {column.name: Values.of(batch[name]) for name, column in self.columns.items()}
        return States(timeline, columns, happened, arrived, self.declaration.dedup), key_begins

    def _superseded(self, batch: pa.RecordBatch, key_begins: Array, arrived: Array) -> Array:
        """When each event's place is taken by a later state, or `NEVER`."""
        if THING not in batch.schema.names:
            self.counts.kept += len(batch)
            return np.full(len(batch), NEVER)
        begins = key_begins | row_begins([batch[THING]])
        kept = int(np.count_nonzero(begins))
        self.counts.kept += kept
        self.counts.superseded += len(batch) - kept
        return superseded(begins, arrived)


def superseded(thing_begins: Array, arrived: Array) -> Array:
    """When a state's place is taken, or `NEVER`: by the first to arrive of the thing's later ones.

    Where that had come first, this one never counts.
    """
    thing, count = np.cumsum(thing_begins), len(arrived)
    order = np.argsort(arrived, kind="stable")
    rank = np.empty(count, np.int64)
    rank[order] = np.arange(count)
    # What stands earlier has smaller numbers, so that a minimum from the end begins anew there.
    apart = thing * (count + 1)
    first = np.minimum.accumulate((rank + apart)[::-1])[::-1] - apart
    taken = np.full(count, NEVER)
    followed = np.flatnonzero(~thing_begins[1:])
    taken[followed] = arrived[order[first[followed + 1]]]
    return taken


def row_begins(columns: list[pa.Array]) -> Array:
    """True where a row differs from the one before in any of the columns, and for the first."""
    begins = np.zeros(len(columns[0]), bool)
    for column in columns:
        begins[1:] |= pc.not_equal(column[1:], column[:-1]).to_numpy(zero_copy_only=False)
    begins[:1] = True
    return begins
