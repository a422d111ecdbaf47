"""A refresh on Spark that is killed at any step and run again ends where it would have ended."""

import os
import shutil
import signal
import sys
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from conftest import its_own
from engines import quarantined_in, rows_in
from feast_copy import HISTORY, ROOT, copy_of_the_whole_project, run
from feast_engines import asked_for
from killed_refreshes import without_version
from oracle import Row
from redis_server import RedisServer
from refreshes import bring_up_to
from warm_start import warm

from contract_checks.operations.log import OperationsLog
from feature_pipeline.change_log.watermark import Watermark, read_watermark
from feature_pipeline.refreshed import Tables, Terms

pytest_plugins = ["engines"]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

PRESENT = datetime.fromisoformat("2017-12-01T01:00:00+00:00")
BEFORE = PRESENT - timedelta(hours=2)
TERMS = Terms(timedelta(days=30), timedelta(hours=24))
WAREHOUSE = HISTORY.parent
HOUSEHOLDS = 300
SEED = 7
REFUSED = 2


class State(NamedTuple):
    """All that a refresh leaves."""

    history: list[Row]
    watermark: Watermark | None
    quarantined: list[tuple[Any, ...]]
    online: dict[bytes, dict[bytes, bytes]]
    refreshes: list[tuple[datetime, bool]]
    files: set[str]


class Place:
    """Where every copy lies when it is worked on, since a registry holds absolute paths."""

    def __init__(self, folder: Path, pristine: Path) -> None:
        self.repository = folder / "repository"
        shutil.copytree(pristine, self.repository, symlinks=True)
        for name in ("redis", "staging"):
            (folder / name).mkdir()
        self.staging = folder / "staging"
        self.redis = RedisServer(folder / "redis")

    def refreshed(
        self,
        die_at: str | None = None,
        die_after: float | None = None,
        by: int = signal.SIGKILL,
        who: str = "job",
    ) -> int:
        """Refresh in a process of its own; its exit code, minus the signal."""
        held = its_own(self.repository) | asked_for(self.staging, self.redis)
        asked = (self.repository, held, die_at, by, who)
        process = warm().Process(target=refresh_in, args=asked)
        process.start()
        process.join(die_after or 900)
        if die_after:
            process.kill()
            process.join()
        assert process.exitcode is not None
        return process.exitcode

    def state(self) -> State:
        tables = self.repository / WAREHOUSE
        log = OperationsLog(f"sqlite:///{self.repository / 'data' / 'operations.db'}")
        with self.redis.client() as client:
            online = {key: client.hgetall(key) for key in client.scan_iter()}
        return State(
            rows_in(self.repository / HISTORY),
            read_watermark(self.repository / HISTORY),
            quarantined_in(tables / "customer_events_quarantine.parquet"),
            online,
            [(one.at, one.passed) for one in log.records(PRESENT, ["refresh"])],
            {
                without_version(file, self.repository)
                for folder in (self.repository / "data", self.staging)
                for file in folder.rglob("*")
            },
        )

    def gone(self) -> None:
        self.redis.kill()
        shutil.rmtree(self.repository.parent)


def refresh_in(
    repository: Path, environment: Mapping[str, str], die_at: str | None, by: int, who: str
) -> None:
    """With the repository's own code, and it or Spark's driver dead at the start of that step."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(repository)
    sys.path.insert(0, str(repository))
    for name in [name for name in sys.modules if name.partition(".")[0] in ("jobs", "scripts")]:
        del sys.modules[name]  # a helper of the tests has loaded the checkout's, which work there
    from contract_checks.language.loader import load
    from feature_access.registry import open_store
    from jobs.refreshing.refresh import refresh
    from jobs.repository import CONTRACT, EVENTS
    from storage.errors import RefusedError

    def on_step(step: str) -> None:
        if step == die_at and who == "job":
            os.kill(os.getpid(), by)
        elif step == die_at:
            from pyspark import SparkContext

            os.kill(SparkContext._gateway.proc.pid, by)
            SparkContext._gateway.proc.wait()

    try:
        refresh(open_store(repository), load(CONTRACT), PRESENT, EVENTS, on_step)
    except RefusedError as refused:
        if "driver, a Java process, ended" not in str(refused):
            raise
        sys.exit(REFUSED if len(str(refused).splitlines()) == 1 else 1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("killed") / "place"


@pytest.fixture(scope="module")
def pristine(folder: Path, real_events: Path) -> Path:
    """Applied, its log two hours old, and nothing online; not to be changed."""
    folder.mkdir()
    repository = copy_of_the_whole_project(folder / "repository")
    shutil.copytree(ROOT / "profiles", repository / "profiles")
    events = pq.read_table(real_events)
    some = events.filter(pc.less_equal(events["customer_id"], HOUSEHOLDS))
    tables = Tables(
        repository / WAREHOUSE / "customer_events.parquet",
        repository / HISTORY,
        repository / WAREHOUSE / "customer_events_quarantine.parquet",
    )
    too_late = some.slice(0, 1).to_pylist()[0] | {
        "event_timestamp": PRESENT - timedelta(days=3),
        "created_timestamp": PRESENT - timedelta(minutes=30),
    }
    late = pa.Table.from_pylist([too_late], schema=some.schema)
    pq.write_table(pa.concat_tables([some, late]), tables.events)
    bring_up_to(BEFORE, tables, TERMS)
    (folder / "redis").mkdir()
    redis = RedisServer(folder / "redis")
    held = its_own(repository) | asked_for(folder / "staging", redis)
    done = run(repository, "feast", "apply", env=held)
    redis.kill()
    assert done.returncode == 0, done.stdout + done.stderr
    kept = repository.rename(folder.with_name("pristine"))
    shutil.rmtree(folder)
    return kept


@pytest.fixture
def place(folder: Path, pristine: Path) -> Iterator[Place]:
    folder.mkdir()
    made = Place(folder, pristine)
    yield made
    made.gone()


@pytest.fixture(scope="module")
def unkilled(folder: Path, pristine: Path) -> State:
    folder.mkdir()
    made = Place(folder, pristine)
    assert made.refreshed() == 0
    state = made.state()
    made.gone()
    assert state.online and state.quarantined
    return state


STEPS = (
    "checking what is there",
    "checking and staging events",
    "writing quarantined events",
    "aggregating",
    "putting the log in place",
    "materializing",
)


def test_killed_at_every_step_it_ends_where_it_would_have(place: Place, unkilled: State) -> None:
    for step in STEPS:
        assert place.refreshed(die_at=step) == -signal.SIGKILL, step
    assert place.refreshed() == 0
    assert place.state() == unkilled


def test_ended_by_another_or_without_a_driver_it_ends_where_it_would_have(
    place: Place, unkilled: State
) -> None:
    """SIGTERM for the job; and for Spark's driver, of which the job tells in a line."""
    for number, step in enumerate(STEPS):
        assert place.refreshed(die_at=step, by=signal.SIGTERM) == -signal.SIGTERM, step
        by = (signal.SIGKILL, signal.SIGTERM)[number % 2]
        assert place.refreshed(die_at=step, by=by, who="driver") == REFUSED, step
    assert place.refreshed() == 0
    failed = [(PRESENT, False)] * len(STEPS)
    left = place.state()
    assert sorted(left.refreshes) == sorted([*failed, *unkilled.refreshes])
    assert left._replace(refreshes=unkilled.refreshes) == unkilled


def test_killed_at_random_it_ends_where_it_would_have(place: Place, unkilled: State) -> None:
    """Spark's own process outlives the job's by a moment, and may be writing then."""
    dice = Random(SEED)
    died = [place.refreshed(die_after=dice.uniform(5, 25)) for _ in range(5)]
    assert -signal.SIGKILL in died
    done = [(PRESENT, True)] * died.count(0)
    assert place.refreshed() == 0
    assert place.state() == unkilled._replace(refreshes=[*done, *unkilled.refreshes])
