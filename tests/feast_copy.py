"""The project, copied to a folder where a test may do as it likes, and its commands run there."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from shutil import copytree, ignore_patterns, rmtree

import pytest
from filelock import FileLock
from waiting import GIVE_UP_SECONDS
from warm_start import run_warm

ROOT = Path(__file__).resolve().parent.parent
COPIED = (
    "feature_repo",
    "feature_access",
    "feature_pipeline",
    "contract_checks",
    "scripts",
    "storage",
)
UPSTREAM = "customer_activity"
RUN_BY_JOBS = ("test_known_answers.py",)
HISTORY = Path("data") / "data_warehouse" / "customer_features_offline.parquet"


def copy_of_the_project(to: Path) -> Path:
    """The declarations, the code and the settings; none of the data."""
    for folder in COPIED:
        copytree(ROOT / folder, to / folder, ignore=ignore_patterns("__pycache__"))
    for file in ("feature_store.yaml", ".feastignore", "feast_start.py", "postgres_limits.py"):
        (to / file).write_bytes((ROOT / file).read_bytes())
    (to / HISTORY).parent.mkdir(parents=True)
    return to


def copy_of_the_whole_project(to: Path) -> Path:
    """The same with the contracts, what is upstream, and the tests that jobs run."""
    copy_of_the_project(to)
    copytree(ROOT / "contracts", to / "contracts")
    made = ignore_patterns(".venv", "made", "target", "logs")
    copytree(ROOT / UPSTREAM, to / UPSTREAM, ignore=made)
    (to / "tests").mkdir()
    for test in RUN_BY_JOBS:
        (to / "tests" / test).write_bytes((ROOT / "tests" / test).read_bytes())
    return to


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that is made once for all workers of a test run; whoever comes meanwhile waits."""
    shared = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    folder, made = shared / name, shared / f"{name}.made"
    with FileLock(f"{folder}.lock"):
        if not made.is_file():
            rmtree(folder, ignore_errors=True)  # half made, by a worker that failed
            folder.mkdir()
            make(folder)
            made.touch()
    return folder


def run(
    repository: Path,
    command: str,
    *arguments: str,
    env: Mapping[str, str] | None = None,
    input: str = "",
) -> "subprocess.CompletedProcess[str]":
    """A command of the virtual environment, run from the repository's folder.

    A script of `python`, and a command written in Python, runs in a process that has the libraries
    loaded already.
    """
    environment = os.environ if env is None else env
    program = Path(sys.executable).with_name(command)
    if command in ("python", "feast", "contract-checks"):
        words = arguments if command == "python" else (program, *arguments)
        return run_warm(words, repository, environment, input=input)
    return subprocess.run(
        [program, *arguments],
        cwd=repository,
        env=environment,
        input=input,
        capture_output=True,
        text=True,
        check=False,
        timeout=GIVE_UP_SECONDS,
    )


def apply(repository: Path) -> None:
    done = run(repository, "feast", "apply")
    assert done.returncode == 0, done.stdout + done.stderr
