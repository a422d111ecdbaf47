"""What a refresh asks of the engine that keeps a feature's events and its change log."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from feature_pipeline.change_log.watermark import Watermark
from feature_pipeline.refreshed import RefreshResult, Terms


@dataclass(frozen=True)
class Run:
    """One refresh: up to when, by which terms, and whom it tells of its steps."""

    as_of: datetime
    """In UTC."""
    terms: Terms
    on_step: Callable[[str], None]


class EventCounts(NamedTuple):
    """Events that had arrived by an instant."""

    by_now: int
    by_last: int
    """By the last refresh; 0 where there was none."""


@dataclass(frozen=True)
class Plan:
    """What is there, and whether it can be continued."""

    last: Watermark | None
    """What the last refresh left."""
    events: EventCounts
    rebuild: str | None
    """Why the whole log is computed again; None where it is continued."""

    @property
    def since(self) -> datetime | None:
        """The rows to come are stamped after it; None where they may be anywhere."""
        return self.last.as_of if self.last and self.rebuild is None else None


class Arrivals(NamedTuple):
    """Events delivered to a run: all, or those since the last one."""

    ingested: int
    not_yet_arrived: int
    first: str | None
    """When the first of all did; an engine may leave it out where some were ingested."""
    newest: datetime | None
    """When the newest ingested event had arrived."""


class Accepted(NamedTuple):
    """Events that are not quarantined, of those delivered to a run."""

    rows: int
    kept: int
    """Latest state of its customer and day; the others are superseded."""


class Revisions(NamedTuple):
    """How a rebuilt log is compared with what was served: two queries, each for a count and the
    first stamp, and the relations that they name."""

    ask: Callable[[str], Sequence[Any]]
    gone: str
    """Rows that were served and are missing now."""
    rebuilt: str
    added: str
    """Rows of a time by which the log was known, that were not served."""
    served: str


class Extent(NamedTuple):
    """A change log after a run."""

    rows: int
    new_rows: int
    newest: datetime | None
    """Stamp of the newest row."""


class Engine(Protocol):
    """One feature's events and one change log. It works on one refresh at a time."""

    @property
    def events(self) -> object:
        """What messages call the events."""

    @property
    def log(self) -> object:
        """What messages call the change log."""

    def alone(self, run: Run) -> AbstractContextManager[None]:
        """See one state of events and log, as the only refresh; refuse what cannot be worked on."""

    def digest(self, run: Run) -> str:
        """A digest of all that decides what the same events come to."""

    def last_refresh(self) -> Watermark | None:
        """What the last refresh left; None where none did."""

    def event_counts(self, run: Run, last: Watermark | None) -> EventCounts:
        """Counted without reading every event where that can be."""

    def unlike(self, last: Watermark) -> str | None:
        """The table, if any, that is not as the last refresh left it: 'log' or 'quarantine'."""

    def unchanged(self, run: Run, last: Watermark) -> RefreshResult:
        """What a second run up to the same instant has to say."""

    def stage(self, run: Run, plan: Plan) -> Arrivals:
        """Judge the events that the plan's rows are made of."""

    def writing(self, run: Run, plan: Plan) -> AbstractContextManager[None]:
        """Put in place what is committed in the block, once it is done, or nothing."""

    def write_quarantine(self, run: Run, plan: Plan) -> int:
        """Write the quarantined events of those delivered, and count them."""

    def aggregate(self, run: Run, plan: Plan) -> Accepted:
        """Make the rows of the log: all, or those after the plan's `since`."""

    def revisions(self, run: Run, plan: Plan) -> Revisions | None:
        """For a rebuilt log; None where no row has ever been served."""

    def left_out(self, run: Run, plan: Plan, ingested: int) -> int:
        """Events of erased customers among those delivered."""

    def commit(self, run: Run, plan: Plan, now: Watermark, mended: int) -> Extent:
        """Append the rows, and leave `now` with them, which does not count them yet."""
