"""The jobs that the fault suite harms, and the repositories that it runs them in.

A job that is not run as of a time of its own is run as of `LATER`, an hour after the last refresh.
"""

import json
import os
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from feast_copy import HISTORY, apply, copy_of_the_whole_project
from next_version import DOCUMENT, NEXT_DOCUMENT, declare, write_document
from oracle import Event, write_events
from warm_start import run_warm

from contract_checks.operations.log import OperationsLog, Record

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
PRESENT = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER, AHEAD = PRESENT + HOUR, PRESENT + 365 * DAY
KEY = "sixteen or more characters"
VIEW = "customer_profile_v1"
EVENTS = HISTORY.with_name("customer_events.parquet")
SET, OLD_SET, ANCIENT_SET = (
    Path("data", name) for name in ("set.parquet", "old_set.parquet", "ancient_set.parquet")
)
CUSTOMERS = range(1, 41)
AT_A_TIME = Path(__file__).with_name("at_a_time.py")


class Job(NamedTuple):
    """A command that somebody or a scheduler runs."""

    words: tuple[str, ...]
    writes: bool = True
    """What a person would miss, beside its record."""
    base: str = "refreshed"
    """The repository it is run in."""
    slow: bool = False
    """It takes seconds even there, and is harmed less often."""

    @property
    def record_alone(self) -> bool:
        return not self.writes


def _script(name: str, *words: str, at: datetime | None = LATER) -> tuple[str, ...]:
    when = () if at is None else ("--as-of", at.isoformat())
    return (f"scripts/{name}.py", *words, *when)


def _checks(*words: str, at: datetime | None = None) -> tuple[str, ...]:
    when = () if at is None else ("--as-of", at.isoformat())
    return (str(Path(sys.executable).with_name("contract-checks")), *words, *when)


_TRAIN = ("labels.parquet", str(SET), "--consumer", "ML Platform")
_SIGN = ("--as", "platform", "--name", "Another Lead", "--date", "2026-03-01")
_SHORT = ("--requests", "60", "--rate", "500")

JOBS: Mapping[str, Job] = {
    "refresh": Job(_script("refresh")),
    "retain": Job(_script("retain", "--ahead-hours", "24")),
    "erase": Job(_script("erase", "3")),
    "build_training_set": Job(_script("build_training_set", *_TRAIN)),
    "step_back": Job(
        (str(AT_A_TIME), LATER.isoformat(), *_script("step_back", "--confirm", at=None)),
        base="ahead of the clock",
    ),
    "rollback": Job(_script("rollback"), base="two versions"),
    "promote": Job(_script("promote"), slow=True),
    "freeze_baseline": Job(_script("freeze_baseline")),
    "drift": Job(_script("drift")),
    "backfill": Job(_script("backfill", at=PRESENT), writes=False),
    "canary": Job(_script("canary", at=PRESENT)),
    "shadow_compare": Job(_script("shadow_compare", "--reads", "60"), writes=False),
    "load_test": Job(_script("load_test", *_SHORT), writes=False),
    "unit_tests": Job(_script("unit_tests"), writes=False, slow=True),
    "access_review": Job(_script("access_review"), writes=False),
    "alerts drop": Job(
        _script("alerts", "drop", "§4 refresh cadence", "refresh", "--reason", "known"),
        writes=False,
    ),
    "aggregate": Job(_script("aggregate", str(EVENTS), "data/log.parquet")),
    "ingest": Job(_script("ingest", "data/delivered.parquet"), slow=True),
    "look_up": Job(_script("look_up", "1", "4", "999", at=None), writes=False),
    "check": Job(_checks("check", at=LATER), writes=False),
    "gate": Job(_checks("gate", str(DOCUMENT), at=LATER), writes=False),
    "sign": Job(_checks("sign", str(DOCUMENT), *_SIGN)),
    "diff": Job(_checks("diff", str(DOCUMENT), str(NEXT_DOCUMENT)), False, "two versions"),
    "scaffold": Job(_checks("scaffold", str(NEXT_DOCUMENT)), base="a document more"),
    "feast apply": Job((str(Path(sys.executable).with_name("feast")), "apply")),
}


def environment(repository: Path, **more: str) -> dict[str, str]:
    held = {k: v for k, v in os.environ.items() if not k.startswith("FEATURE_STORE_")}
    return held | {
        "PYTHONPATH": str(repository),
        "COLUMNS": "200",
        "PYTHONDONTWRITEBYTECODE": "1",  # see docs/schedules.md
        "FEATURE_STORE_HASH_KEY": KEY,
        **more,
    }


def did(repository: Path, *words: str, codes: tuple[int, ...] = (0,)) -> None:
    done = run_warm(words, repository, environment(repository))
    assert done.returncode in codes, done.stdout + done.stderr


def shopping() -> list[Event]:
    """Forty customers and a month; states of one day, late ones, one that leaves in the hour."""

    def daily(customer: int, days: int) -> Event:
        at = PRESENT - days * DAY
        return Event(customer, at, at + HOUR, customer % 7, Decimal(10 * customer + days), days)

    ordinary = [daily(c, days) for c in CUSTOMERS for days in range(1, 29) if (c + days) % 3]
    second_state = daily(1, 2)._replace(event_timestamp=PRESENT - 2 * DAY + HOUR, orders=9)
    late = daily(5, 27)._replace(created_timestamp=PRESENT - 2 * DAY)
    leaving = PRESENT - 30 * DAY + HOUR / 3
    soon_gone = daily(8, 30)._replace(event_timestamp=leaving, created_timestamp=leaving + HOUR)
    ancient = [daily(c, 3 * 365 + c) for c in (9, 10)]  # beyond retention
    soon = [daily(c, 0) for c in range(1, 30)]  # they arrive by the next refresh
    return [*ordinary, second_state, late, soon_gone, *ancient, *soon]


def refreshed(repository: Path) -> None:
    """Twice refreshed, one customer erased, a baseline frozen, a training set old and on record."""
    copy_of_the_whole_project(repository)
    write_events(shopping(), repository / EVENTS)
    asked = {"customer_id": [1, 3, 4], "event_timestamp": [PRESENT - DAY] * 3}
    pq.write_table(pa.table(asked), repository / "labels.parquet")
    apply(repository)
    for at in (PRESENT - HOUR, PRESENT):
        did(repository, *_script("refresh", at=at), codes=(0, 1))
    train = ("labels.parquet", str(OLD_SET), "--consumer", "ML Platform")
    did(repository, *_script("build_training_set", *train, at=PRESENT))
    ages = {"customer_id": [9, 10], "event_timestamp": [PRESENT - 401 * DAY] * 2}
    pq.write_table(pa.table(ages), repository / "ages.parquet")
    train = ("ages.parquet", str(ANCIENT_SET), "--consumer", "ML Platform")
    did(repository, *_script("build_training_set", *train, at=PRESENT - 400 * DAY))
    did(repository, *_script("erase", "2", at=PRESENT), codes=(0, 1))
    did(repository, *_script("freeze_baseline", at=PRESENT))
    begun = {"clause": "§4 refresh cadence", "feature": "refresh", "state": "begun"}
    log_of(repository).append(
        Record(
            *("alert", VIEW, PRESENT, True),
            figures={**begun, "message": "failed", "channel": "#ml-alerts", "delivered": True},
        )
    )


def ahead_of_the_clock(repository: Path) -> None:
    refreshed(repository)
    words = (str(AT_A_TIME), AHEAD.isoformat(), *_script("refresh", at=AHEAD))
    did(repository, *words, codes=(0, 1))


def a_document_more(repository: Path) -> None:
    """Of a feature that nothing else of the repository knows."""
    refreshed(repository)
    write_document(repository)
    document = repository / NEXT_DOCUMENT
    text = document.read_text("utf-8").replace("customer_profile", "shopper_profile")
    document.write_text(text, encoding="utf-8")
    document.with_suffix(".probes.toml").unlink()


def two_versions(repository: Path) -> None:
    """v2 is declared and refreshed beside v1, and was promoted after it."""
    refreshed(repository)
    write_document(repository)
    declare(repository)
    apply(repository)
    did(repository, *_script("refresh", at=PRESENT + HOUR / 2), codes=(0, 1))
    did(repository, str(Path(__file__).with_name("both_promoted.py")), PRESENT.isoformat())


BASES: Mapping[str, Callable[[Path], None]] = {
    "refreshed": refreshed,
    "ahead of the clock": ahead_of_the_clock,
    "a document more": a_document_more,
    "two versions": two_versions,
}


def log_of(repository: Path) -> OperationsLog:
    return OperationsLog(f"sqlite:///{repository / 'data' / 'operations.db'}")


def tokens() -> str:
    return json.dumps({"ML Platform": "the token of ML Platform"})
