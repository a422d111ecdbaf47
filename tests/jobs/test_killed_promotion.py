"""A promotion or rollback that is killed anywhere: readers see one whole version, always.

A reader in a process of its own asks for `customer_profile` all the while, online and offline.
"""

import os
import signal
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from killed_promotions import _SPAWN, CUSTOMERS, WHOLE, at_home, moves, ran, serving, version_of
from next_version import DOCUMENT, NEXT_DOCUMENT, V1, V2
from two_versions import POINTER, RELEASE, Copy, ready_to_promote
from waiting import GIVE_UP_SECONDS

CANARY = f"feature_store_canary_{V2}"
REGISTRY, LOG = "registry.db", "operations.db"
NEVER = sys.maxsize
UNRECORDED = "moved, and not on record"
STEPS = [
    "freezing the baseline",
    "unit tests",
    "backfill validation",
    "canary materialization",
    "shadow reads",
    "load test",
    "gate: every clause",
    "moving the pointer",
]


@pytest.fixture(scope="module")
def copy(kept_repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """v2 is ready to be promoted; each test leaves the pointer at v1."""
    return ready_to_promote(kept_repository, tmp_path_factory.mktemp("killed") / "repository")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_before_write(database: str, number: int) -> None:
    """When a process is about to commit so many writes to one of the databases, and one more."""
    from sqlalchemy import Engine, event

    writes = iter(range(number))

    @event.listens_for(Engine, "before_cursor_execute")
    def note(connection: Any, _: object, statement: str, *__: object) -> None:
        if statement.split()[0] in ("INSERT", "UPDATE", "DELETE"):
            connection.info["wrote"] = True

    @event.listens_for(Engine, "commit")
    def commit(connection: Any) -> None:
        wrote, file = connection.info.pop("wrote", False), connection.engine.url.database
        if wrote and file.endswith(database) and next(writes, None) is None:
            die()


# What is killed


def move_to_v2(repository: Path, database: str = LOG, writes: int = NEVER) -> None:
    """The last step of a promotion, as a run of it does it that was killed before, or was not."""
    store = at_home(repository)
    from contract_checks.language.loader import load
    from jobs.release.pointer_moves import finish, move

    contract = load(repository / NEXT_DOCUMENT)
    die_before_write(database, writes)
    finish(store, contract, RELEASE)
    move(store, contract, "promotion", V2, RELEASE, {"receipt": "none: this is its last step"})


def roll_back(repository: Path, database: str = LOG, writes: int = NEVER) -> None:
    store = at_home(repository)
    from contract_checks.language.loader import load
    from jobs.release import rollback

    contract = load(repository / DOCUMENT)
    die_before_write(database, writes)
    assert rollback.roll_back(store, contract, RELEASE) == V1


def promote(repository: Path, death: str = "", told: Path = Path(os.devnull)) -> None:
    """All of it, dead at the start of a step, or in the midst of one."""
    store = at_home(repository)
    from contract_checks.language.loader import load
    from feature_access.provider import HeartbeatProvider
    from jobs.release import promote

    def on_step(step: str) -> None:
        with told.open("a") as file:
            file.write(f"{step}\n")
        if step == death:
            die()
        if (step, death) == (STEPS[-1], UNRECORDED):
            die_before_write(LOG, 1)

    whole = HeartbeatProvider.materialize_single_feature_view

    def materialize(self: Any, config: Any, *arguments: Any, **options: Any) -> None:
        whole(self, config, *arguments, **options)
        if death == CANARY and config.project.endswith("_canary"):
            die()

    HeartbeatProvider.materialize_single_feature_view = materialize
    result = promote.promote(store, load(repository / NEXT_DOCUMENT), RELEASE, on_step)
    assert result.receipt is not None, result.refusal


# Who reads


@contextmanager
def reading(repository: Path, folder: Path) -> Iterator[Path]:
    """A file to which a reader adds what each service served, until it is told to stop."""
    seen, stop = folder / "seen", _SPAWN.Event()
    _SPAWN.set_forkserver_preload(["feast", "duckdb", "pyarrow.parquet"])
    process = _SPAWN.Process(target=read_until, args=(stop, repository, seen))
    process.start()
    try:
        while not seen.exists() and process.is_alive():
            process.join(0.1)
        yield seen
    finally:
        stop.set()
        process.join(GIVE_UP_SECONDS)
    assert process.exitcode == 0, "the reader failed"


def read_until(stop: Any, repository: Path, seen: Path) -> None:
    store = at_home(repository)
    while not stop.is_set():
        store.refresh_registry()
        told = " ".join([online(store, POINTER), offline(store, POINTER)])
        with seen.open("a") as file:
            file.write(f"{told}\n")


def online(store: Any, service: str) -> str:
    """The service comes from the copy of the registry that Feast looks its features up in."""
    rows = [{"customer_id": customer} for customer in CUSTOMERS]
    fetched = store.get_feature_service(service, allow_cache=True)
    answer = store.get_online_features(fetched, rows).to_dict()
    assert answer.pop("customer_id") == CUSTOMERS
    return version_of(answer)


def offline(store: Any, service: str) -> str:
    import pandas as pd

    frame = pd.DataFrame({"customer_id": CUSTOMERS, "event_timestamp": [RELEASE] * 5})
    fetched = store.get_feature_service(service, allow_cache=True)
    answer = store.get_historical_features(frame, fetched).to_df()
    assert answer.pop("customer_id").tolist() == CUSTOMERS
    return version_of(answer.drop(columns="event_timestamp").to_dict("list"))


# All of a promotion: first, for the moves below are on record without what v2 promised


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_promotion_killed_at_every_step_is_ended_by_the_next(copy: Copy, tmp_path: Path) -> None:
    before, told = moves(copy), tmp_path / "told"
    with reading(copy.folder, tmp_path) as seen:
        assert ran(promote, copy.folder, STEPS[0]) == -signal.SIGKILL
        assert ran(promote, copy.folder, CANARY, told) == -signal.SIGKILL
        assert CANARY in tables(copy)  # which the next canary is to clear away
        for step in STEPS[1:]:
            assert ran(promote, copy.folder, step) == -signal.SIGKILL
            assert serving(copy) == V1
            assert moves(copy) == before
        assert CANARY not in tables(copy)
        assert {word for line in seen.read_text().splitlines() for word in line.split()} == {V1}

        assert ran(promote, copy.folder, UNRECORDED) == -signal.SIGKILL
        assert (serving(copy), moves(copy)) == (V2, before)
        told.write_text(f"{STEPS[0]}\n")  # a baseline is frozen once
        assert ran(promote, copy.folder, "", told) == 0
    assert told.read_text().splitlines() == STEPS  # so none was forgotten
    assert serving(copy) == V2
    assert moves(copy) == [*before, ("promotion", V2), ("promotion", V2)]
    assert {word for line in seen.read_text().splitlines() for word in line.split()} <= {V1, V2}
    kept = copy.check(RELEASE + timedelta(minutes=5), NEXT_DOCUMENT, select=("§10", "§11"))
    assert kept.returncode == 0, kept.stdout
    assert ran(roll_back, copy.folder) == 0


def tables(copy: Copy) -> set[str]:
    with closing(sqlite3.connect(copy.folder / "data" / "online_store.db")) as connection:
        found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        return {name for (name,) in found}


# The move


@pytest.mark.parametrize(
    "writes",
    [
        pytest.param([(REGISTRY, 0), (LOG, 1)], marks=pytest.mark.slow),
        pytest.param(
            [(database, n) for database in (REGISTRY, LOG) for n in range(8)],
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_move_that_is_killed_is_whole_and_is_ended_by_the_next(
    writes: list[tuple[str, int]], copy: Copy, tmp_path: Path
) -> None:
    """Before the registry is written at all, and once it is and the log does not say so."""
    before, served, killed = moves(copy), [], []
    with reading(copy.folder, tmp_path) as seen:
        for write in writes:
            killed.append((write, "promotion", ran(move_to_v2, copy.folder, *write)))
            served.append((write, "promotion", serving(copy)))
            done = moves(copy)
            unrecorded = served[-1][-1] == V2 and done[-1] != ("promotion", V2)
            assert ran(move_to_v2, copy.folder) == 0
            assert serving(copy) == V2
            assert moves(copy) == [*done, *[("promotion", V2)] * (2 if unrecorded else 1)]

            killed.append((write, "rollback", code := ran(roll_back, copy.folder, *write)))
            served.append((write, "rollback", serving(copy)))
            assert code == 0 or ran(roll_back, copy.folder) == 0
            assert serving(copy) == V1
            assert moves(copy)[-2:] == [("promotion", V2), ("rollback", V1)]
    for job, old, new in (("promotion", V1, V2), ("rollback", V2, V1)):
        assert ((REGISTRY, 0), job, -signal.SIGKILL) in killed
        assert ((LOG, 1), job, -signal.SIGKILL) in killed
        assert ((REGISTRY, 0), job, old) in served
        assert ((LOG, 1), job, new) in served
    assert {code for *_, code in killed} <= {0, -signal.SIGKILL}
    assert moves(copy)[: len(before)] == before
    read = {word for line in seen.read_text().splitlines() for word in line.split()}
    assert read == {V1, V2}


def test_a_training_set_asked_for_while_the_pointer_moves_is_of_one_version(copy: Copy) -> None:
    import pandas as pd

    from feature_access.registry import open_store
    from feature_access.training.training_set import build_training_set

    store = open_store(copy.folder)
    store.refresh_registry()
    assert ran(move_to_v2, copy.folder) == 0
    frame = pd.DataFrame({"customer_id": CUSTOMERS, "event_timestamp": [RELEASE] * 5})
    built = build_training_set(store, POINTER, frame, b"sixteen or more characters").rows
    assert built.column_names == ["customer_id", "event_timestamp", *WHOLE[V1]]
    assert ran(roll_back, copy.folder) == 0
