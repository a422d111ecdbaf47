"""A refresh that is killed anywhere and run again ends where one that was not killed ends."""

import os
import random
import shutil
import signal
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from feast_copy import apply, run
from filelock import FileLock
from killed_refreshes import without_version
from waiting import GIVE_UP_SECONDS
from warm_start import warm

from contract_checks.operations.log import OperationsLog

PRESENT = datetime.fromisoformat("2017-12-01T01:00:00+00:00")
WAREHOUSE = Path("data", "data_warehouse")
SEED = 7


class State(NamedTuple):
    """All that a refresh leaves."""

    history: pa.Table
    quarantine: pa.Table
    online: list[tuple[Any, ...]]
    refreshes: list[tuple[datetime, bool]]
    files: set[str]


def state_of(repository: Path) -> State:
    with closing(sqlite3.connect(repository / "data" / "online_store.db")) as online:
        rows = online.execute(
            "SELECT entity_key, feature_name, value, event_ts "
            "FROM feature_store_customer_profile_v1 ORDER BY entity_key, feature_name"
        ).fetchall()
    log = OperationsLog(f"sqlite:///{repository / 'data' / 'operations.db'}")
    return State(
        history=pq.read_table(repository / WAREHOUSE / "customer_features_offline.parquet"),
        quarantine=pq.read_table(repository / WAREHOUSE / "customer_events_quarantine.parquet"),
        online=rows,
        refreshes=[(r.at, r.passed) for r in log.records(PRESENT, ["refresh"])],
        files={without_version(p, repository) for p in (repository / "data").rglob("*")},
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where every copy lies when it is worked on: a registry holds absolute paths."""
    return tmp_path_factory.mktemp("killed") / "repository"


@pytest.fixture(scope="module")
def pristine(kept_repository: Path, place: Path) -> Path:
    """The demonstration's repository, an hour before the refresh; not to be changed."""
    shutil.copytree(kept_repository, place, symlinks=True)
    apply(place)
    return place.rename(place.with_name("pristine"))


@pytest.fixture
def repository(pristine: Path, place: Path) -> Iterator[Path]:
    shutil.copytree(pristine, place, symlinks=True)
    yield place
    shutil.rmtree(place)


@pytest.fixture(scope="module")
def unkilled(pristine: Path, place: Path) -> State:
    shutil.copytree(pristine, place, symlinks=True)
    assert refreshed(place) == 0
    state = state_of(place)
    shutil.rmtree(place)
    return state


def refreshed(repository: Path, die_at: int = sys.maxsize, die_after: float | None = None) -> int:
    """Refresh in a process that has Feast loaded already; its exit code, minus the signal."""
    process = warm().Process(target=refresh_in, args=(repository, die_at))
    process.start()
    if die_after is not None:
        time.sleep(die_after)
        process.kill()
    process.join(GIVE_UP_SECONDS)
    assert process.exitcode is not None
    return process.exitcode


def refresh_in(repository: Path, die_at: int) -> None:
    """With the repository's own code, and dead at the start of a step."""
    sys.path.insert(0, str(repository))
    os.environ.pop("FEATURE_STORE_OPERATIONS_LOG", None)
    from contract_checks.language.loader import load
    from feature_access.registry import open_store
    from jobs.refreshing.refresh import refresh
    from jobs.repository import CONTRACT, EVENTS

    steps = iter(range(die_at))

    def on_step(step: str) -> None:
        if next(steps, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)

    refresh(open_store(repository), load(CONTRACT), PRESENT, EVENTS, on_step)


def ends_where(unkilled: State, repository: Path) -> None:
    assert refreshed(repository) == 0
    state = state_of(repository)
    assert state.history.equals(unkilled.history)
    assert state.quarantine.equals(unkilled.quarantine)
    assert state.online == unkilled.online
    assert state.refreshes == unkilled.refreshes
    assert state.files == unkilled.files, "nothing of what was killed lies about"


def test_killed_at_every_step_it_ends_where_it_would_have(
    repository: Path, unkilled: State
) -> None:
    died = 0
    while refreshed(repository, die_at=died) == -signal.SIGKILL:
        died += 1
    assert died >= 5
    ends_where(unkilled._replace(refreshes=[*unkilled.refreshes, (PRESENT, True)]), repository)


def killed_at_random(repository: Path, times: int, draw: Callable[[], float]) -> int:
    killed = 0
    for _ in range(times):
        killed += refreshed(repository, die_after=draw()) == -signal.SIGKILL
    return killed


@pytest.mark.slow
def test_killed_at_random_it_ends_where_it_would_have(repository: Path, unkilled: State) -> None:
    dice, times = random.Random(SEED), 200
    killed = killed_at_random(repository, times, lambda: dice.uniform(0, 1.5))
    assert killed >= times // 4
    passed = [done for done in state_of(repository).refreshes if done == (PRESENT, True)]
    again = [*unkilled.refreshes, *passed]
    ends_where(unkilled._replace(refreshes=sorted(again)), repository)


def test_of_two_at_once_one_works_and_the_other_says_so(repository: Path, pristine: Path) -> None:
    from conftest import its_own

    before = state_of(repository)
    arguments = ("scripts/refresh.py", "--as-of", PRESENT.isoformat())
    with FileLock(repository / WAREHOUSE / "writing.lock"):
        refused = run(repository, "python", *arguments, env=its_own(repository))
    assert refused.returncode == 2
    assert refused.stderr.startswith("refused: another job is writing to the stores")
    after = state_of(repository)
    assert after.history.equals(before.history)
    assert (after.online, after.refreshes) == (before.online, before.refreshes)
    worked = run(repository, "python", *arguments, env=its_own(repository))
    assert worked.returncode == 0, worked.stderr
