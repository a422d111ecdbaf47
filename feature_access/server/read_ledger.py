"""Who reads online how much: counted in memory, and handed over to be put on record now and then.

An access review (contract §9) asks for consumers and amounts, never for single requests; so a
request costs an addition, and the record is written beside the requests.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from starlette.concurrency import run_in_threadpool

_EVERY_SECONDS = 3_600.0

_log = logging.getLogger(__name__)


@dataclass
class OnlineReads:
    """What one consumer read of one view between two records."""

    view: str
    consumer: str | None
    """None for whoever showed nobody's token."""
    since: datetime
    requests: int = 0
    """Answered ones."""
    entities: int = 0
    """In those."""
    refused: int = 0
    """Requests refused for whose they were."""


Recorder = Callable[[Sequence[OnlineReads], datetime], None]
"""Puts reads on record as of a time, all of them or none; one that raises is asked again."""


class ReadLedger:
    """The reads of one worker; to be used on its event loop alone."""

    def __init__(self, clock: Callable[[], datetime], record: Recorder) -> None:
        self._clock = clock
        self._record = record
        self._counted: dict[tuple[str, str | None], OnlineReads] = {}

    def answered(self, view: str, consumer: str, entities: int) -> None:
        """A request was answered."""
        reads = self._reads(view, consumer)
        reads.requests += 1
        reads.entities += entities

    def refused(self, views: Iterable[str], consumer: str | None) -> None:
        """A request was refused: of one view, or of any where nobody can tell which."""
        for view in views:
            self._reads(view, consumer).refused += 1

    async def keep(self) -> None:
        """Put what was counted on record, every hour, until cancelled."""
        while True:
            await asyncio.sleep(_EVERY_SECONDS)
            await self.put_on_record()

    async def put_on_record(self) -> None:
        """Put what was counted on record; where that fails, the next time tries again."""
        taken, self._counted = self._counted, {}
        if not taken:
            return
        try:
            await run_in_threadpool(self._record, list(taken.values()), self._clock())
        except Exception:  # reads go on; what was counted is kept
            _log.exception("online reads could not be put on record: %s", list(taken.values()))
            self._take_back(taken)

    def _take_back(self, taken: dict[tuple[str, str | None], OnlineReads]) -> None:
        for key, later in self._counted.items():
            if earlier := taken.get(key):
                earlier.requests += later.requests
                earlier.entities += later.entities
                earlier.refused += later.refused
        self._counted = self._counted | taken

    def _reads(self, view: str, consumer: str | None) -> OnlineReads:
        reads = self._counted.get((view, consumer))
        if reads is None:
            reads = OnlineReads(view, consumer, since=self._clock())
            self._counted[view, consumer] = reads
        return reads
