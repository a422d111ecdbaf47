"""How old an online answer may be: asked for around a read, judged inside it.

Feast's read calls have no room for a time or an age, so they travel in the context, into threads
and tasks, to the store, which knows from its heartbeat how far it is materialized.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta

from feature_access.errors import OnlineStoreStaleError

CLOCK_ALLOWANCE = timedelta(minutes=1)
"""How far another machine's clock may be ahead, be it of who refreshed or of who names a time."""


@dataclass
class Reading:
    """What reads may be answered with, and what they were answered with."""

    at: datetime
    """The present."""
    max_age: timedelta | None
    """None takes any age."""
    materialized_to: datetime | None = None
    """The instant up to which every view read so far holds everything; None before a read."""
    unknown: int = 0
    """Rows of nothing but defaults, per view read."""

    @property
    def age(self) -> timedelta | None:
        """The present less what the store holds; negative where the store is ahead of it."""
        return None if self.materialized_to is None else self.at - self.materialized_to

    def found(self, view: str, materialized_to: datetime, unknown: int) -> None:
        """Take note of a read.

        Raises:
            OnlineStoreStaleError: the view is older than it may be, or in the future.
        """
        self.materialized_to = min(materialized_to, self.materialized_to or materialized_to)
        if self.max_age is not None and in_the_future(materialized_to, self.at):
            raise OnlineStoreStaleError(
                f"the online store holds {view} up to {materialized_to.isoformat()}, which is in "
                f"the future of {self.at.isoformat()}: its age is unknown; see whether this clock "
                "is behind, or a refresh ran ahead of its own"
            )
        if self.max_age is not None and self.at - materialized_to > self.max_age:
            raise OnlineStoreStaleError(
                f"the online store holds {view} up to {materialized_to.isoformat()} only, more "
                f"than {self.max_age} before {self.at.isoformat()}: see why scripts/refresh.py "
                "did not run"
            )
        self.unknown += unknown


def in_the_future(materialized_to: datetime, at: datetime) -> bool:
    """Whether a heartbeat is later than the clocks of two machines may differ by."""
    return materialized_to - at > CLOCK_ALLOWANCE


_reading: ContextVar[Reading | None] = ContextVar("reading", default=None)


@contextmanager
def fresh_within(max_age: timedelta | None, at: datetime) -> Iterator[Reading]:
    """Let every online read inside, plain Feast's too, fail where the store is staler than that."""
    reading = Reading(at, max_age)
    token = _reading.set(reading)
    try:
        yield reading
    finally:
        _reading.reset(token)


def note(view: str, materialized_to: datetime, unknown: int) -> None:
    """Tell whoever waits for it what a store found; see `Reading.found`."""
    if reading := _reading.get():
        reading.found(view, materialized_to, unknown)


def refuse_unknown_age(view: str) -> None:
    """Make sure that nobody asked for an age where a view has none, having no heartbeat.

    Raises:
        OnlineStoreStaleError: somebody did.
    """
    if (reading := _reading.get()) and reading.max_age is not None:
        raise OnlineStoreStaleError(
            f"{view} was never materialized, so nothing tells how old what it holds is, and it "
            f"may be {reading.max_age} old at most: read it through plain Feast, or materialize it"
        )
