"""Whatever step of a promotion is broken, or cannot be judged, the pointer stays where it was."""

import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest
from feast_copy import HISTORY
from killed_promotions import at_home, moves, ran, serving
from next_version import NEXT_DOCUMENT, V1, V2, edit
from two_versions import RELEASE, UNHURRIED, Copy, ready_to_promote

from storage.parquet_table import parts_of

pytestmark = pytest.mark.slow

TESTS = Path("tests", "test_known_answers.py")
PROBES = NEXT_DOCUMENT.with_suffix(".probes.toml")
SIGNATURES = NEXT_DOCUMENT.with_suffix(".signatures.json")
EVENTS = HISTORY.with_name("customer_events.parquet")
ONLINE_STORE = Path("feature_access", "online_stores", "sqlite_store.py")

LOSES_ROWS = "data[2:]"
FAILS = "1 / 0"
IN_THE_CANARY = """

_whole = DefaultingSqliteOnlineStore.online_write_batch


def _not_whole(self, config, table, data, progress):
    _whole(self, config, table, {} if config.project.endswith("_canary") else data, progress)


DefaultingSqliteOnlineStore.online_write_batch = _not_whole
"""


@pytest.fixture(scope="module")
def ready(kept_repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """v2 is ready to be promoted; put away from where it works, and not to be changed."""
    copy = ready_to_promote(kept_repository, tmp_path_factory.mktemp("blocked") / "repository")
    return copy.folder.rename(copy.folder.with_name("ready"))


@pytest.fixture
def copy(ready: Path) -> Iterator[Copy]:
    """A copy of it where it works: a registry holds absolute paths."""
    folder = shutil.copytree(ready, ready.with_name("repository"))
    yield Copy(folder)
    shutil.rmtree(folder)


def promote(repository: Path, told: Path) -> None:
    """Promote v2, and tell what came of it: clauses by outcome, or the error."""
    store = at_home(repository)
    os.environ["FEATURE_STORE_HASH_KEY"] = "sixteen or more characters"
    from contract_checks.language.loader import load
    from jobs.release import promote

    try:
        result = promote.promote(store, load(repository / NEXT_DOCUMENT), RELEASE)
    except Exception as error:
        told.write_text(json.dumps({"error": f"{type(error).__name__}: {error}"}))
        return
    clauses: dict[str, list[str]] = {"kept": [], "broken": [], "unknown": []}
    for finding in result.report.findings:
        clauses[finding.outcome.name.lower()].append(finding.clause)
    told.write_text(json.dumps({**clauses, "promoted": result.receipt is not None}))


def append(file: Path, text: str) -> Callable[[Copy], None]:
    def change(copy: Copy) -> None:
        with (copy.folder / file).open("a", encoding="utf-8") as opened:
            opened.write(text)

    return change


def gone(file: Path) -> Callable[[Copy], None]:
    return lambda copy: (copy.folder / file).unlink()


def documented(changes: dict[str, str], signed: bool = True) -> Callable[[Copy], None]:
    def change(copy: Copy) -> None:
        edit(copy.folder / NEXT_DOCUMENT, changes)
        if signed:
            copy.sign(NEXT_DOCUMENT)

    return change


def online(statement: str) -> Callable[[Copy], None]:
    def change(copy: Copy) -> None:
        with closing(sqlite3.connect(copy.folder / "data" / "online_store.db")) as connection:
            assert connection.execute(statement).rowcount > 1_000
            connection.commit()

    return change


def another_history(copy: Copy) -> None:
    """One row of the last week says one order more."""
    history = parts_of(copy.folder / HISTORY)[-1]
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(
            f"""COPY (SELECT * REPLACE (orders_30d + (event_timestamp =
                (SELECT max(event_timestamp) FROM read_parquet('{history}')))::INT AS orders_30d)
            FROM read_parquet('{history}')) TO '{history}.other' (FORMAT parquet)"""
        )
    Path(f"{history}.other").replace(history)


def drifted(copy: Copy) -> None:
    """Held against the customers of half a year ago, by thresholds that any change reaches."""
    documented({"PSI ≥ 0.1": "PSI ≥ 0.001", "PSI ≥ 0.2": "PSI ≥ 0.002"})(copy)
    frozen = copy.script(
        "freeze_baseline", RELEASE - timedelta(days=180), "--contract", NEXT_DOCUMENT
    )
    assert frozen.returncode == 0, frozen.stderr


BROKEN = {
    "a unit test": (append(TESTS, "\n\ndef test_it():\n    assert False\n"), "§11 unit tests"),
    "the backfill": (another_history, "§11 backfill validation"),
    "the canary": (
        append(ONLINE_STORE, IN_THE_CANARY.replace("{}", LOSES_ROWS)),
        "§11 canary materialization",
    ),
    "the shadow reads": (
        online(f"UPDATE feature_store_{V2} SET value = x'2063' WHERE feature_name = 'orders_30d'"),
        "§11 shadow reads",
    ),
    "the load test": (
        documented({f"latency ≤ {UNHURRIED}": "latency ≤ 0.001ms"}),
        "§11 performance tests",
    ),
    "the drift": (drifted, "§7 fail"),
    "a probe": (
        lambda copy: (copy.folder / PROBES).write_text(
            (copy.folder / PROBES).read_text("utf-8").replace("orders_30d = 1,", "orders_30d = 9,")
        ),
        "§3 lookback window",
    ),
    "the sign-off": (
        documented({"made-up events": "invented events"}, signed=False),
        "§12 data owner approval",
    ),
}
UNKNOWN = {
    "a probe": (gone(PROBES), "§5.1 aggregation"),
    "the sign-off": (gone(SIGNATURES), "§12 data owner approval"),
}
WITHOUT_END = {
    "the unit tests": (gone(TESTS), "pytest could not run"),
    "the backfill": (gone(EVENTS), "customer_events.parquet"),
    "the canary": (append(ONLINE_STORE, IN_THE_CANARY.replace("{}", FAILS)), "division by zero"),
    "the shadow reads": (online(f"DELETE FROM feature_store_{V2}"), "holds nothing"),
}


def attempted(copy: Copy, tmp_path: Path) -> dict[str, list[str]]:
    """What came of a promotion that is not to move the pointer."""
    before, told = moves(copy), tmp_path / "told.json"
    assert ran(promote, copy.folder, told) == 0
    assert serving(copy) == V1
    assert moves(copy) == before
    return dict(json.loads(told.read_text()))


@pytest.mark.parametrize("step", BROKEN)
def test_a_broken_step_leaves_the_pointer(step: str, copy: Copy, tmp_path: Path) -> None:
    breaks, clause = BROKEN[step]
    breaks(copy)
    came_of_it = attempted(copy, tmp_path)
    assert clause in came_of_it["broken"]
    assert not came_of_it["promoted"]


@pytest.mark.parametrize("step", UNKNOWN)
def test_an_unknown_step_leaves_the_pointer(step: str, copy: Copy, tmp_path: Path) -> None:
    hides, clause = UNKNOWN[step]
    hides(copy)
    came_of_it = attempted(copy, tmp_path)
    assert clause in came_of_it["unknown"]
    assert not came_of_it["promoted"]


@pytest.mark.parametrize("step", WITHOUT_END)
def test_a_step_that_cannot_end_leaves_the_pointer(step: str, copy: Copy, tmp_path: Path) -> None:
    stops, why = WITHOUT_END[step]
    stops(copy)
    assert why in attempted(copy, tmp_path)["error"]


def test_with_nothing_wrong_it_moves(copy: Copy, tmp_path: Path) -> None:
    told = tmp_path / "told.json"
    assert ran(promote, copy.folder, told) == 0
    assert json.loads(told.read_text())["promoted"]
    assert serving(copy) == V2
