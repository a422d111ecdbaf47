"""A read that the two stores answer differently, and what is known of its entity."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property

from contract_checks.measures.likeness import equal

Values = Mapping[str, object]


@dataclass(frozen=True)
class LogRow:
    """One row of an entity's change log."""

    stamp: datetime
    values: Values


Log = Sequence[LogRow]
"""An entity's rows, oldest first."""


@dataclass(frozen=True)
class Declared:
    """What the registry says of the features."""

    defaults: Values
    types: Mapping[str, str]
    """In Feast's words, such as Int64."""
    ttl: timedelta | None

    def filled(self, values: Values) -> Values:
        """The row with the defaults where it has null."""
        return {name: self.or_default(name, value) for name, value in values.items()}

    def or_default(self, feature: str, value: object) -> object:
        """The value, or its default where it is null."""
        return self.defaults.get(feature) if value is None else value

    def is_default(self, feature: str, value: object) -> bool:
        """Whether it is null, or what null is answered with."""
        default = self.defaults.get(feature)
        return equal(self.or_default(feature, value), default)

    def answer(self, log: Log, at: datetime) -> Values:
        """What an as-of read answers: the newest row within the ttl, or the defaults."""
        rows = newest(log, at)
        if not rows or (self.ttl and at - rows[-1].stamp > self.ttl):
            return self.defaults
        return self.filled(rows[-1].values)


@dataclass(frozen=True)
class Read:
    """A read whose two answers differ, and what is known of its entity."""

    at: datetime
    online: Values | None
    offline: Values | None
    """None where that side has no row for it."""
    differing: tuple[str, ...]
    log: Log
    """As the offline table has it."""
    declared: Declared
    materialized_to: datetime | None = None
    """How far the online store had been brought when it was read."""
    online_stamp: datetime | None = None
    """The served row's stamp, to the second; None where unknown, or a default was served."""
    repeated: bool = False
    """Whether one side had answered for this key before."""
    recomputed: Log | None = None
    """The log that the events make; None where they are not there."""
    by_happening: Log | None = None
    """The log they would make had each of them arrived when it happened."""
    otherwise: Mapping[str, Log] = field(default_factory=dict)
    """The logs they would make by another logic, by what is other about it."""

    @cached_property
    def in_force(self) -> Log:
        """The newest row of the log at the read, whatever its age; several of one stamp."""
        return newest(self.log, self.at)

    @cached_property
    def right(self) -> list[Values]:
        """What the events make it: at the read, and when last materialized."""
        return [] if self.recomputed is None else self.answers(self.recomputed)

    def answers(self, log: Log) -> list[Values]:
        """What a log answers at the read, and when last materialized."""
        times = [self.at, *([self.materialized_to] if self.materialized_to else [])]
        return [self.declared.answer(log, time) for time in times]

    def served(self, answers: Iterable[Values]) -> bool:
        """Whether one of these is what was served, in every feature."""
        return is_one_of(self.online, answers)

    def serves_defaults(self) -> bool:
        """Whether nothing but defaults was served."""
        return self.served([self.declared.defaults])


def newest(log: Log, at: datetime) -> Log:
    """The newest row by a time; all of them where several have its stamp."""
    stamp = max((row.stamp for row in log if row.stamp <= at), default=None)
    return [row for row in log if row.stamp == stamp]


def is_one_of(row: Values | None, answers: Iterable[Values]) -> bool:
    """Whether the row is there and is one of the answers, in every feature of its own."""
    if row is None:
        return False
    return any(all(equal(v, answer.get(f)) for f, v in row.items()) for answer in answers)
