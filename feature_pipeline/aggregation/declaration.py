"""What a view's features are made of, as its `<view>.aggregation.toml` declares it.

The plain values alone: `reading.py` makes them of the file, `kernel.py` computes what they say.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import chain

Literal = int | float | Decimal | str | bool | datetime
"""A value written in a declaration: of a decimal column a Decimal, of a timestamp one in UTC."""

KINDS = ("int64", "decimal", "double", "string", "bool", "timestamp")
"""What a column may hold; a decimal has twelve digits after the point and 26 before it."""
KEY_KINDS = ("int64", "string")
TIMES = ("event_timestamp", "created_timestamp")
"""Columns of every event: when it happened, and when it arrived."""

ADDED = ("sum", "count", "distinct")
"""Functions that are 0 over nothing."""
PICKED = ("min", "max", "last", "first", "mode")
"""Functions whose value is one of the column's, and none over nothing."""
FUNCTIONS = (*ADDED, *PICKED)


@dataclass(frozen=True)
class Column:
    """A column of the events that is read; of a required one a null is malformed."""

    name: str
    kind: str
    required: bool = True


@dataclass(frozen=True)
class Condition:
    """That a column's value stands in a relation to another; a null never does."""

    column: str
    relation: str
    """One of `= != < <= > >= in`."""
    value: Literal | tuple[Literal, ...]
    """What it is compared with; a tuple where the relation is `in`."""


@dataclass(frozen=True)
class Dedup:
    """Which events are states of one thing, of which the latest counts."""

    kind: str = "none"
    """`none`: each counts by itself; `period`: states of a key's day or hour; `id`: of an id."""
    by: str = ""
    """`day` or `hour`, or the id's column."""
    order: str = "happening"
    """By which of its times a state is later: `happening` or `arrival`; the other where equal."""


@dataclass(frozen=True)
class Measure:
    """One function over the states of a window that meet every condition."""

    function: str
    column: str | None
    """None for `count`."""
    where: tuple[Condition, ...]
    window: timedelta


@dataclass(frozen=True)
class Feature:
    """A measure, or the ratio of two; with a bound, whether it is kept."""

    name: str
    kind: str
    """What the log holds."""
    measure: Measure
    divisor: Measure | None = None
    at_least: Literal | None = None
    at_most: Literal | None = None
    empty: Literal | None = None
    """The value over nothing: where no state counts, or the divisor is 0."""

    @property
    def measures(self) -> tuple[Measure, ...]:
        return (self.measure,) if self.divisor is None else (self.measure, self.divisor)

    @property
    def is_bool(self) -> bool:
        """Whether it tells of a bound that it is kept."""
        return self.at_least is not None or self.at_most is not None


@dataclass(frozen=True)
class Declaration:
    """The features of one view and the events that they are made of."""

    view: str
    keys: tuple[Column, ...]
    columns: tuple[Column, ...]
    dedup: Dedup
    where: tuple[Condition, ...]
    """Which events are looked at: asked before any is taken for a state of another."""
    features: tuple[Feature, ...]

    def column(self, name: str) -> Column:
        """The key or column of that name; raises KeyError where none is."""
        return {one.name: one for one in (*self.keys, *self.columns)}[name]

    @property
    def measures(self) -> tuple[Measure, ...]:
        """Each once."""
        return tuple(dict.fromkeys(chain.from_iterable(f.measures for f in self.features)))

    @property
    def windows(self) -> tuple[timedelta, ...]:
        """From the shortest to the longest."""
        return tuple(sorted({measure.window for measure in self.measures}))
