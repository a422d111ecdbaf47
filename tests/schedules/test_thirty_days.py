"""Thirty days of the shipped schedules, with gaps and planted faults: nothing drifts apart.

What `month_of_jobs.py` lives through is the schedule's own file, its commands and a clock. At its
end the change log, what is served and a training set are what the events say, and every day's
judgement and every alert is that of what was planted, and no other.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import NamedTuple

import pandas as pd
import pyarrow.parquet as pq
import pytest
import slack_channel
from conftest import its_own
from feast_copy import HISTORY, apply, copy_of_the_whole_project, run
from oracle import Oracle, Profile, read_change_log, read_events, row_differences
from shipped_schedules import MINUTE, SCHEDULES

from contract_checks.operations.log import OperationsLog, Record
from feature_pipeline.change_log.aggregate import aggregate

pytestmark = [pytest.mark.slow, pytest.mark.timeout(7_200)]

VIEW = "customer_profile_v1"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
WINDOW, LATENESS = 30 * DAY, DAY
START, END = (datetime(2026, month, day, 10, 20, tzinfo=UTC) for month, day in ((3, 14), (4, 13)))
CUSTOMERS = range(1, 601)
KEY = "sixteen or more characters"

CADENCE, UPSTREAM = "§4 refresh cadence", "§4 upstream dependencies"
RED = {
    date(2026, 3, 18): {CADENCE},  # five hours without the machine, the day before
    date(2026, 3, 20): {UPSTREAM},  # it fails
    date(2026, 3, 24): {"§7 fail"},  # wrong values since this morning
    date(2026, 4, 2): {CADENCE},  # a day without the machine
    date(2026, 4, 7): {CADENCE},  # the online store cannot be read
    date(2026, 4, 8): {CADENCE},  # and what was missed is held against the cadence for a day
}
"""What is broken at half past noon, by day; on any other all is kept."""
UNKNOWN = {date(2026, 4, 7): {"§6 freshness", "§8 acceptable delta", "§9 retention policy"}}
"""What cannot be told of an online store that is damaged."""


class Ran(NamedTuple):
    """One command, and what became of it."""

    at: datetime
    command: str
    code: int
    said: str


class Lived(NamedTuple):
    """A repository after thirty days."""

    repository: Path
    scheduler: str
    ran: list[Ran]
    told: list[str]
    """What came to the alert channel, in order."""

    def records(self, job: str) -> tuple[Record, ...]:
        log = OperationsLog(f"sqlite:///{self.repository / 'data' / 'operations.db'}")
        return log.records(END + DAY, [job])


@pytest.fixture(scope="module", params=["cron", "systemd"])
def lived(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Lived:
    folder = tmp_path_factory.mktemp(request.param)
    repository = copy_of_the_whole_project(folder / "repository")
    labels = {"customer_id": CUSTOMERS[:50], "event_timestamp": [START - 3 * DAY] * 50}
    pd.DataFrame(labels).to_parquet(repository / "data" / "labels.parquet")
    apply(repository)
    answers, month = (
        folder / "answers",
        Path(__file__).parents[1] / "support" / "month_of_jobs.py",
    )
    with slack_channel.channel() as channel:
        environment = its_own(repository) | {
            "FEATURE_STORE_HASH_KEY": KEY,
            "FEATURE_STORE_ALERT_WEBHOOK": channel.address,
        }
        command = [sys.executable, str(month), request.param, str(answers)]
        done = subprocess.run(command, cwd=repository, env=environment, capture_output=True)
        assert done.returncode == 0, done.stderr.decode()
        told = [text.splitlines()[0] for text in channel.told]
    lines = [json.loads(line) for line in answers.read_text("utf-8").splitlines()]
    ran = [Ran(datetime.fromisoformat(at), *rest) for at, *rest in lines]
    return Lived(repository, request.param, ran, told)


def test_every_job_ran_as_often_as_the_schedule_says(lived: Lived) -> None:
    schedule = SCHEDULES[lived.scheduler]()
    minutes = [START + n * MINUTE for n in range((END - START) // MINUTE)]
    assert {command for entry in schedule.entries for command in entry.commands} <= {
        each.command for each in lived.ran
    }
    most = Counter(command for at in minutes for command in schedule.due(at))
    ran = Counter(each.command for each in lived.ran if each.at > START + 5 * MINUTE)
    assert most["scripts/refresh.py"] == 720
    down = 5 + 23  # ticks of an hour
    made_up = 0 if lived.scheduler == "cron" else 2
    for job in ("ingest", "refresh", "drift"):
        assert ran[f"scripts/{job}.py"] == 720 - down + made_up
    assert ran["scripts/rehearse.py"] == 29 + (made_up > 0)


def test_only_what_was_planted_made_a_job_end_otherwise_than_well(lived: Lived) -> None:
    others = [each for each in lived.ran if each.code and "check" not in each.command]
    days = {(each.at.date(), each.command, each.code) for each in others}
    assert days == {
        (date(2026, 3, 20), "scripts/ingest.py", 2),
        (date(2026, 3, 24), "scripts/drift.py", 1),
        (date(2026, 4, 7), "scripts/refresh.py", 2),
    }, others


def test_the_contract_is_kept_on_every_day_but_those_of_a_fault(lived: Lived) -> None:
    judged = {each.at.date(): each for each in lived.ran if "check" in each.command}
    down = {date(2026, 4, 1)}
    assert {*judged} == {START.date() + n * DAY for n in range(30)} - down
    for day, each in sorted(judged.items()):
        (report,) = json.loads(each.said[each.said.index("{") :])["reports"]
        found = {
            outcome: {f["clause"] for f in report["findings"] if f["outcome"] == outcome}
            for outcome in ("broken", "unknown")
        }
        assert found == {"broken": RED.get(day, set()), "unknown": UNKNOWN.get(day, set())}, day
        assert each.code == (1 if day in RED else 0)


def test_each_fault_begins_and_ends_once_on_record_and_in_the_channel(lived: Lived) -> None:
    planted = [
        (UPSTREAM, "ingest", "2026-03-20 09:05", "2026-03-20 13:05"),
        ("§7 fail", "sessions_30d", "2026-03-24 06:05", "2026-03-24 21:05"),
        (CADENCE, "refresh", "2026-04-07 09:05", "2026-04-07 13:05"),
    ]
    wanted = [
        (clause, what, state, datetime.fromisoformat(f"{at}:00+00:00"))
        for clause, what, *both in planted
        for state, at in zip(("begun", "ended"), both, strict=True)
    ]
    for delivered in (False, True):
        alerts = [r for r in lived.records("alert") if r.figures["delivered"] is delivered]
        told = [(*(r.figures[n] for n in ("clause", "feature", "state")), r.at) for r in alerts]
        near = [(*what, at.replace(second=0)) for *what, at in told]
        assert near == wanted
    assert lived.told == [text for text in lived.told if text.startswith(f"{VIEW} ")]
    begun = [text.removeprefix(f"{VIEW} ").partition(":")[0] for text in lived.told]
    assert begun == [f"{clause} {feature} {state}" for clause, feature, state, _ in wanted]


def test_the_quarter_is_reviewed_once(lived: Lived) -> None:
    turn = datetime(2026, 4, 1, tzinfo=UTC)
    assert [(review.at, review.passed) for review in lived.records("access_review")] == [
        (turn, True)
    ]
    reviews = [each for each in lived.ran if each.command == "scripts/access_review.py"]
    (ran,) = (each for each in reviews if not each.said.startswith("nothing to review"))
    assert ran.at.date() == turn.date()  # as soon as the machine was there again


def test_retention_let_go_of_what_grew_too_old(lived: Lived) -> None:
    removed = [record.figures["removed"]["events"] for record in lived.records("retention")]
    assert len(removed) == (31 if lived.scheduler == "cron" else 30)  # at every start, or one late
    assert sum(removed) > 30
    events = read_events(lived.repository / HISTORY.with_name("customer_events.parquet"))
    assert min(event.event_timestamp for event in events) > END - 365 * DAY


@pytest.fixture(scope="module")
def oracle(lived: Lived) -> Iterator[Oracle]:
    events = read_events(lived.repository / HISTORY.with_name("customer_events.parquet"))
    yield Oracle(events, lookback_window=WINDOW, allowed_lateness=LATENESS)


def test_the_change_log_is_that_of_a_rebuild_from_nothing(lived: Lived, tmp_path: Path) -> None:
    events = lived.repository / HISTORY.with_name("customer_events.parquet")
    (last,) = (record.at for record in lived.records("refresh")[-1:])
    aggregate(
        *(events, tmp_path / "log", tmp_path / "quarantine"),
        as_of=last,
        lookback_window=WINDOW,
        allowed_lateness=LATENESS,
    )
    since = START - 45 * DAY  # those of a year ago are another's: retention let go of their events
    made, lived_through = (
        [row for row in read_change_log(log).rows if row.event_timestamp > since]
        for log in (tmp_path / "log", lived.repository / HISTORY)
    )
    assert len(made) > 10_000
    assert row_differences(sorted(lived_through), sorted(made)) == []


def test_what_is_served_is_what_the_events_say(lived: Lived, oracle: Oracle) -> None:
    from feature_access.registry import open_store

    (last,) = (record.at for record in lived.records("refresh")[-1:])
    store = open_store(lived.repository)
    asked = [{"customer_id": customer} for customer in (*CUSTOMERS, 999_999)]
    service = store.get_feature_service("customer_profile")
    answers = store.get_online_features(service, asked).to_dict()
    for nth, row in enumerate(asked):
        served = Profile(*(answers[name][nth] for name in Profile._fields))
        assert served == oracle.profile(row["customer_id"], last), row


def test_a_training_set_over_the_month_is_what_was_known_then(lived: Lived, oracle: Oracle) -> None:
    random, repository = Random(4), lived.repository
    (last,) = (record.at for record in lived.records("refresh")[-1:])
    labels = [
        (random.choice(CUSTOMERS), START + random.random() * (last - START)) for _ in range(2_000)
    ]
    frame = pd.DataFrame(labels, columns=["customer_id", "event_timestamp"])
    frame["event_timestamp"] = frame["event_timestamp"].dt.floor("us")
    frame.to_parquet(repository / "data" / "month.parquet")
    done = run(
        *(repository, "python", "scripts/build_training_set.py"),
        *("data/month.parquet", "data/month_set.parquet", "--consumer", "ML Platform"),
        *("--as-of", last.isoformat()),
        env=its_own(repository) | {"FEATURE_STORE_HASH_KEY": KEY, "PATH": os.environ["PATH"]},
    )
    assert done.returncode == 0, done.stderr
    rows = pq.read_table(repository / "data" / "month_set.parquet").to_pylist()
    assert len(rows) == len(labels)
    for row, (customer, at) in zip(rows, labels, strict=True):
        known = Profile(*(row[name] for name in Profile._fields))
        assert known == oracle.profile(customer, at), (customer, at)
