"""A feature repository of our own: copied, applied and filled in temporary folders.

`feast apply` costs seconds, so it runs once. Every other repository is a copy of the applied one;
the registered source is an absolute path, so a copy reads the same offline table.
"""

from datetime import timedelta
from pathlib import Path
from shutil import copytree
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from feast_copy import HISTORY, apply, copy_of_the_project, made_once
from feast_households import HOUR, LOG_END, PLANTED, PRESENT, TTL
from oracle import ChangeLog, read_change_log

from feature_pipeline.change_log.aggregate import aggregate


@pytest.fixture(scope="session")
def applied(real_events: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Applied over the households' change log and never materialized; read it only."""
    return made_once(tmp_path_factory, "applied", lambda folder: _applied(folder, real_events))


def _applied(folder: Path, events: Path) -> None:
    history = copy_of_the_project(folder) / HISTORY
    aggregate(
        events,
        history,
        history.with_name("quarantine.parquet"),
        as_of=LOG_END,
        lookback_window=TTL,
        allowed_lateness=timedelta(hours=24),
    )
    _plant(history)
    apply(folder)


def _plant(history: Path) -> None:
    real = pq.read_table(history)
    pq.write_table(pa.concat_tables([real, planted(real.schema)]), history)


def planted(schema: pa.Schema) -> pa.Table:
    """The customers whose story is known, as rows of a log."""
    rows = [{**row._asdict(), **row.profile._asdict()} for row in PLANTED]
    return pa.Table.from_pylist(rows, schema=schema)


@pytest.fixture(scope="session")
def log(applied: Path) -> ChangeLog:
    """The same change log, read without Feast."""
    return read_change_log(applied / HISTORY)


@pytest.fixture(scope="session")
def store(applied: Path) -> Any:
    return _open(applied)


@pytest.fixture
def fresh(applied: Path, tmp_path: Path) -> Path:
    """Applied, never materialized, and yours to write to."""
    return copytree(applied, tmp_path / "fresh", symlinks=True)


@pytest.fixture
def fresh_store(fresh: Path) -> Any:
    return _open(fresh)


@pytest.fixture(scope="session")
def materialized(applied: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Materialized an hour before the present, and at the present; read it only."""
    return made_once(tmp_path_factory, "materialized", lambda folder: _online(folder, applied))


def _online(folder: Path, applied: Path) -> None:
    from feature_pipeline.online.materialize import materialize_up_to

    online = _open(copytree(applied, folder, dirs_exist_ok=True, symlinks=True))
    materialize_up_to(online, PRESENT - HOUR)
    materialize_up_to(online, PRESENT)


@pytest.fixture(scope="session")
def online_store(materialized: Path) -> Any:
    return _open(materialized)


def _open(repository: Path) -> Any:
    # Imported late: collecting the tests must not cost the seconds that Feast takes.
    from feature_access.registry import open_store

    return open_store(repository)
