"""How far a change log is known, and of what it was made: what a refresh goes on from."""

import json
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

from feature_pipeline.change_log.intake import IntakeCounts
from feature_pipeline.refreshed import RefreshResult
from storage.table_bounds import WATERMARK


@dataclass(frozen=True)
class Watermark:
    """Lies with the parts of a change log, in every version of it."""

    as_of: datetime
    """What had arrived by then is in the log."""
    terms: str
    """Digest of the aggregation, its window and its lateness."""
    delivered: int
    """Events that had arrived by then, those of erased customers included."""
    kept: int
    superseded: int
    quarantined: int
    history_rows: int
    newest: datetime | None
    """Stamp of the newest row; None where there is none."""
    newest_arrival: datetime

    def write(self, version: Path) -> None:
        """Into the folder of a version of the log."""
        told = {name: _spelled(value) for name, value in asdict(self).items()}
        # It may stand there as a link to that of the version before, which must not change.
        (version / WATERMARK).unlink(missing_ok=True)
        (version / WATERMARK).write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")

    def continued(
        self,
        as_of: datetime,
        delivered: int,
        arrived: IntakeCounts,
        newest_arrival: datetime | None,
    ) -> "Watermark":
        """How far it is known with these arrivals; None where none is newer."""
        return replace(
            self,
            as_of=as_of,
            delivered=delivered,
            kept=self.kept + arrived.kept,
            superseded=self.superseded + arrived.superseded,
            quarantined=self.quarantined + arrived.quarantined,
            newest_arrival=newest_arrival or self.newest_arrival,
        )

    def with_rows(self, rows: int, newest: datetime | None) -> "Watermark":
        """With so many rows in the log; None where none is newer than it says."""
        return replace(self, history_rows=rows, newest=newest or self.newest)

    def refreshed_from(
        self, before: "Watermark", not_yet_arrived: int, left_out: int
    ) -> RefreshResult:
        """What a run did that went on from `before` and left this; nothing, where they are one."""
        return RefreshResult(
            self.counts(not_yet_arrived),
            self.history_rows,
            self.history_rows - before.history_rows,
            before.as_of,
            self.newest,
            self.newest_arrival,
            left_out=left_out,
            made_anew=None,
            known_before=before.counts(not_yet_arrived),
        )

    def counts(self, not_yet_arrived: int) -> IntakeCounts:
        """Counts of all events by now."""
        return IntakeCounts(
            ingested=self.kept + self.superseded + self.quarantined,
            kept=self.kept,
            superseded=self.superseded,
            quarantined=self.quarantined,
            not_yet_arrived=not_yet_arrived,
        )


def read_watermark(history: Path) -> Watermark | None:
    """The log's; None where it was not left by a refresh."""
    file = history / WATERMARK
    if not file.is_file():
        return None
    told = json.loads(file.read_text(encoding="utf-8"))
    instants = {name: told[name] and datetime.fromisoformat(told[name]) for name in _INSTANTS}
    return Watermark(**told | instants)


def digest_of_terms(lookback_window: timedelta, allowed_lateness: timedelta, zone: str) -> str:
    """The digest of all that decides what the same events come to."""
    texts = (
        files("feature_pipeline.change_log").joinpath(name).read_text("utf-8")
        for name in _AGGREGATION
    )
    terms = f"{lookback_window!r} {allowed_lateness!r} {zone}\n{''.join(texts)}"
    return sha256(terms.encode()).hexdigest()


_AGGREGATION = ("aggregate.sql", "quotient.py", "running_sums.py")
_INSTANTS = ("as_of", "newest", "newest_arrival")


def _spelled(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else value
