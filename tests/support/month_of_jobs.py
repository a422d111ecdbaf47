"""Live through weeks of a schedule: `python tests/support/month_of_jobs.py SCHEDULER ANSWERS`.

Runs from a repository, with its scripts on PYTHONPATH, and is told nothing but its plan: it lets a
clock run, minute by minute, starts what the schedule starts, each as the command that stands there
and in a process of its own, and judges the contract every day. Upstream delivers what happened
since its last delivery. Of what takes long and is no question of time, a stand-in is asked: the
unit tests' own process and the load test's 3,000 look-ups.

Writes a line of JSON for each command: when, what, the exit code, what it said.
"""

import contextlib
import gc
import importlib
import json
import os
import shlex
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import feast_start  # noqa: F401  (before Feast, as every script has it)
from feast import FeatureStore  # noqa: F401  (so that no process has to load it)
from oracle import Event, events_table
from shipped_schedules import MINUTE, SCHEDULES, Schedule

from contract_checks import clock

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
START = datetime(2026, 3, 14, 10, 20, tzinfo=UTC)
"""When the version is promoted."""
END = START + 30 * DAY
CHECKED_AT = (12, 30)
CUSTOMERS = range(1, 601)
OLD_CUSTOMERS = range(10_001, 10_041)
"""Who came a year ago and never again: retention lets go of one a day or two."""
SECONDS = timedelta(seconds=20)
"""What a command takes."""

DOWN = [
    (datetime(2026, 3, 17, 14, 30, tzinfo=UTC), datetime(2026, 3, 17, 19, 30, tzinfo=UTC)),
    # All of the day on which the quarter turns.
    (datetime(2026, 4, 1, 0, 2, tzinfo=UTC), datetime(2026, 4, 1, 23, 0, tzinfo=UTC)),
]
UPSTREAM_FAILS = (datetime(2026, 3, 20, 9, tzinfo=UTC), datetime(2026, 3, 20, 13, tzinfo=UTC))
WRONG_VALUES = datetime(2026, 3, 24, tzinfo=UTC)
"""The day on which every customer has 60 sessions by 6:00, and at 20:00 no such thing."""
STORE_DAMAGED = (datetime(2026, 4, 7, 9, tzinfo=UTC), datetime(2026, 4, 7, 13, tzinfo=UTC))

LOADED = Path("data", "loaded")
ONLINE = Path("data", "online_store.db")
EVENTS = Path("data", "data_warehouse", "customer_events.parquet")


class Present:
    """What the commands are told of the time and of upstream."""

    now = START
    delivered_until = datetime(2000, 1, 1, tzinfo=UTC)
    upstream_fails = False


clock.now = lambda: Present.now  # before any script asks for it by name


def happenings() -> list[Event]:
    """All that customers do, none of it delivered yet; each comes every four days or so."""
    random, found = Random(20), []
    for customer in CUSTOMERS:
        keen, at = random.uniform(0.6, 1.6), START - 50 * DAY
        while (at := at + random.expovariate(keen / 4) * DAY) < END:
            if at.date() != WRONG_VALUES.date():
                orders = random.choice((0, 0, 1, 1, 2, 3))
                value = random.randint(100, 9_000) * orders / 100
                found.append(Event(customer, at, at, orders, value, random.randint(1, 5)))
        for hour, sessions in ((6, 60), (20, 0)):
            at = WRONG_VALUES + hour * HOUR + customer * timedelta(seconds=1)
            found.append(Event(customer, at, at, 0, 0.0, sessions))
    for n, customer in enumerate(OLD_CUSTOMERS):
        at = START - 363 * DAY + n * timedelta(hours=17)
        found.append(Event(customer, at, at, 1, 5.0, 1))
    return sorted(found, key=lambda event: event.event_timestamp)


HAPPENINGS = happenings()


def deliver(events: Path) -> int:
    """In place of dbt: what happened since the last delivery arrives now."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from storage.errors import RefusedError

    if Present.upstream_fails:
        raise RefusedError("dbt failed: a test of its project did not pass")
    new = [
        e._replace(created_timestamp=_arrival(e))
        for e in HAPPENINGS
        if Present.delivered_until < e.event_timestamp <= Present.now
    ]
    before = [pq.read_table(events)] if events.exists() else []
    if new:
        draft = events.with_name(".draft")
        pq.write_table(pa.concat_tables([*before, events_table(new)]), draft)
        draft.replace(events)
    return len(new)


def _arrival(event: Event) -> datetime:
    """The first delivery is of what had arrived over the weeks, each within the hour."""
    first = Present.now == START
    return min(event.event_timestamp + HOUR / 2, Present.now) if first else Present.now


class Month:
    """The clock, the commands, and what became of them."""

    def __init__(self, schedule: Schedule, answers: Path) -> None:
        self.schedule, self.answers = schedule, answers

    def begins(self) -> None:
        """Everything up to the promotion, by the commands of a person."""
        labels = "data/labels.parquet data/training_set.parquet --consumer 'ML Platform'"
        for command in (
            *("scripts/ingest.py", "scripts/refresh.py"),
            f"scripts/build_training_set.py {labels}",
            *("scripts/promote.py", "scripts/drift.py"),
        ):
            self.run(command)

    def goes_on(self) -> None:
        """Minute by minute, to the end."""
        at = START.replace(second=0) + MINUTE
        while at <= END:
            Present.now = at
            down = next(((since, to) for since, to in DOWN if since <= at < to), None)
            if down:
                at = down[1]
                Present.now = at
                for command in self.schedule.after_a_boot(*down):
                    self.run(command)
            self._plan(at)
            for command in self.schedule.due(at):
                self.run(command)
            if (at.hour, at.minute) == CHECKED_AT:
                self.run("contract_checks check --format json")
            at += MINUTE

    def run(self, command: str) -> None:
        script, *arguments = shlex.split(command)
        said, at = self.answers.with_name("said"), Present.now
        code = in_a_process(script, arguments, said)
        load_what_was_loaded()
        if script == "scripts/ingest.py" and code == 0:
            Present.delivered_until = at
        line = [at.isoformat(), command, code, said.read_text("utf-8")]
        with self.answers.open("a", encoding="utf-8") as answers:
            answers.write(json.dumps(line) + "\n")
        Present.now = at + SECONDS

    def _plan(self, at: datetime) -> None:
        Present.upstream_fails = UPSTREAM_FAILS[0] <= at < UPSTREAM_FAILS[1]
        aside = ONLINE.with_name("aside")
        if at == STORE_DAMAGED[0]:
            ONLINE.rename(aside)
            ONLINE.write_bytes(b"\x81" * 8_192)
        if at == STORE_DAMAGED[1]:
            aside.replace(ONLINE)


def load_what_was_loaded() -> None:
    """What one process had to load, the next ones have loaded: half of the time of a command."""
    for name in set(LOADED.read_text("utf-8").split()) - sys.modules.keys():
        with contextlib.suppress(Exception):
            importlib.import_module(name)


def in_a_process(script: str, arguments: list[str], said: Path) -> int:
    """The command's exit code; it has a process of its own, and what it said is in the file."""
    sys.stdout.flush()
    if child := os.fork():
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code: Any = 70
    try:
        to = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(to, 1)
        os.dup2(to, 2)
        _main(script, arguments)
        code = 0
    except SystemExit as ended:
        code = ended.code or 0
    finally:
        LOADED.write_text("\n".join(sys.modules), "utf-8")
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)
    raise AssertionError


def _main(script: str, arguments: list[str]) -> None:
    sys.argv = [script, *arguments]
    if script == "contract_checks":
        from contract_checks.cli import main

        main()
    else:
        from scripts.command_line import run_job

        name = script.removesuffix(".py").replace("/", ".")
        run_job(importlib.import_module(name).main)


@contextlib.contextmanager
def stand_ins() -> Iterator[None]:
    """Before the first command: what all of them share is loaded once."""
    import subprocess

    from contract_checks.cli import app  # noqa: F401
    from contract_checks.evidence import probe_run
    from contract_checks.language.loader import load
    from feature_access import load_test as measuring
    from jobs.refreshing import ingest
    from jobs.rehearsal import unit_tests
    from jobs.repository import CONTRACT

    load(CONTRACT)  # so that what reads it is compiled
    gc.disable()  # a command ends soon; to look for garbage copies what all the processes share
    for name in (
        *("ingest", "promote", "rehearse", "drift", "refresh", "retain", "access_review"),
        *("build_training_set", "aggregate"),
    ):
        importlib.import_module(f"scripts.{name}")

    def aggregate(command: list[str], **_: Any) -> "subprocess.CompletedProcess[str]":
        script = Path(command[1]).relative_to(Path.cwd()).as_posix()
        said = Path("data", f"probes_{os.getpid()}")
        code = in_a_process(script, command[2:], said)
        text = said.read_text("utf-8")
        said.unlink()
        return subprocess.CompletedProcess(command, code, text, text)

    class Replayed:
        run = staticmethod(aggregate)

    probe_run.subprocess = Replayed  # type: ignore[attr-defined]
    ingest.write_events = deliver
    unit_tests._run = lambda: unit_tests.Tested(9, {})
    measuring.load_test = lambda *_, requests, **__: measuring.LoadTest(
        requests, {}, [1_000_000] * requests
    )
    yield


def main() -> None:
    scheduler, answers = sys.argv[1:]
    with stand_ins():
        month = Month(SCHEDULES[scheduler](), Path(answers))
        month.begins()
        month.goes_on()


if __name__ == "__main__":
    main()
