"""The whole step back on Spark and on PostgreSQL, with Redis online, killed on the way."""

import json
import signal
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from shutil import copytree, which
from typing import Any, NamedTuple

import feast_engines
import production
import pytest
from conftest import its_own
from feast_copy import HISTORY, ROOT, copy_of_the_whole_project, run
from feast_households import VIEW
from oracle import Event, Profile, differences, read_change_log, write_events
from redis_server import RedisServer
from step_back_stories import CAME, FUTURE, HOUR, KNOWN, NOW, ORACLE, POINTS, SEEN
from warehouse import SECRET, change_log, fill
from warm_start import run_warm

pytest_plugins = ["postgres_server", "warehouse"]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

CUSTOMERS = [1, 2, 3, 4, 5]
EVENTS = HISTORY.with_name("customer_events.parquet")


class Job(NamedTuple):
    """A repository that is applied on a profile, and how its events are delivered and read."""

    repository: Path
    environment: dict[str, str]
    deliver: Callable[[list[Event]], object]
    log: Callable[[], Any]

    def run(self, what: str, moment: datetime, *more: object) -> Any:
        """Do it in a process of its own."""
        child = self.repository / "child.py"
        child.write_text(CHILD)
        words = [str(child), what, moment.isoformat(), *map(str, more)]
        return run_warm(words, self.repository, self.environment, timeout=600)


@pytest.fixture(params=["spark", "postgresql"])
def job(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Job]:
    repository = copy_of_the_whole_project(tmp_path / "repository")
    copytree(ROOT / "profiles", repository / "profiles")
    (tmp_path / "redis").mkdir(), (tmp_path / "staging").mkdir()
    redis = RedisServer(tmp_path / "redis")
    if request.param == "spark":
        if which("java") is None:
            pytest.skip("NO JAVA HERE: Spark was not tested; install Java 17 or later")
        asked = feast_engines.asked_for(tmp_path / "staging", redis)
        delivered: list[Event] = []

        def deliver(events: list[Event]) -> None:
            delivered.extend(events)
            write_events(delivered, repository / EVENTS)

        log = lambda: read_change_log(repository / HISTORY)  # noqa: E731
    else:
        warehouse = request.getfixturevalue("warehouse")
        with warehouse.connect() as owner:
            owner.execute(
                f"DO $$ BEGIN CREATE ROLE stepping_back LOGIN PASSWORD '{SECRET}'; "
                "EXCEPTION WHEN duplicate_object THEN NULL; END $$"
            )
            for role in ("pipeline", "retention", "registry"):
                owner.execute(f"GRANT feature_store_{role} TO stepping_back")
        asked = production.asked_for(warehouse, redis, "stepping_back")
        deliver = lambda events: fill(warehouse, events)  # noqa: E731
        log = lambda: change_log(warehouse)  # noqa: E731
    environment = its_own(repository) | asked
    applied = run(repository, "feast", "apply", env=environment)
    assert applied.returncode == 0, applied.stdout + applied.stderr
    yield Job(repository, environment, deliver, log)
    redis.kill()


CHILD = """
import json, os, sys
from contextlib import contextmanager

import pandas as pd
import typer

from contract_checks.clock import instant
from contract_checks.language.loader import load
from feature_access.registry import open_store
from jobs.refreshing.refresh import refresh
from jobs.repository import CONTRACT, ROOT
from scripts import step_back

what, moment, *more = sys.argv[1:]
moment = instant(moment)
if what == "refresh":
    refresh(open_store(ROOT), load(CONTRACT), moment)
elif what == "step back":
    die_at, by = more

    @contextmanager
    def steps():
        yield lambda step: os.kill(os.getpid(), int(by)) if step == die_at else None

    step_back.steps, step_back.now = steps, lambda: moment
    app = typer.Typer()
    app.command()(step_back.main)
    app(["--confirm"])
else:
    view, names, customers = json.loads(more[0])
    store = open_store(ROOT)
    features = [f"{view}:{name}" for name in names]
    served = store.get_online_features(features, [{"customer_id": c} for c in customers]).to_dict()
    frame = pd.DataFrame({"customer_id": customers, "event_timestamp": moment})
    known = store.get_historical_features(frame, features).to_df()
    ends = [str(end) for _, end in store.get_feature_view(view).materialization_intervals]
    answers = [[list(map(float, answer[name])) for name in names] for answer in (served, known)]
    print(json.dumps([*answers, max(ends)]))
"""
"""With the repository's own code: refresh, step back as the command does, or read."""


def answers(job: Job, moment: datetime) -> Any:
    asked = json.dumps([VIEW, Profile._fields, CUSTOMERS])
    done = job.run("read", moment, asked)
    assert done.returncode == 0, done.stdout + done.stderr
    *answers, end = json.loads(done.stdout.splitlines()[-1])
    assert datetime.fromisoformat(end) == moment
    return answers


def right(moment: datetime) -> Any:
    rows = [ORACLE.profile(customer, moment) for customer in CUSTOMERS]
    return [[[float(row[place]) for row in rows] for place in range(len(Profile._fields))]] * 2


STEPS = ("taking rows back", "checking what is there", "aggregating", "putting the log in place")


def test_the_whole_job_killed_at_its_steps_ends_where_it_would_have(job: Job) -> None:
    job.deliver(SEEN)
    for moment in (KNOWN, FUTURE):
        done = job.run("refresh", moment)
        assert done.returncode == 0, done.stdout + done.stderr
    job.deliver(CAME)
    for number, step in enumerate((*STEPS, f"materializing {VIEW} again")):
        by = (signal.SIGKILL, signal.SIGTERM)[number % 2]
        assert job.run("step back", NOW, step, int(by)).returncode in (-by, 0), step
    done = job.run("step back", NOW, "", 0)
    assert done.returncode == 0, done.stdout + done.stderr
    assert answers(job, NOW) == right(NOW) != right(FUTURE)
    log, known = job.log(), [point for point in POINTS if point[1] <= NOW]
    assert differences(ORACLE, log, known) == []
    assert max(row.event_timestamp for row in log.rows) <= NOW
    assert job.run("refresh", NOW + HOUR).returncode == 0
    assert answers(job, NOW + HOUR) == right(NOW + HOUR)
