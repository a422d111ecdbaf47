"""The project, copied to a folder where a test may do as it likes, and its commands run there."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from compileall import compile_dir
from functools import cache
from pathlib import Path
from py_compile import PycInvalidationMode
from shutil import copytree, ignore_patterns, rmtree
from tempfile import TemporaryDirectory

import pytest
from filelock import FileLock
from waiting import GIVE_UP_SECONDS
from warm_start import run_warm

ROOT = Path(__file__).resolve().parents[2]
COPIED = (
    *("feature_repo", "feature_access", "feature_pipeline", "contract_checks", "jobs", "scripts"),
    "storage",
)
STARTS = ("feast_start.py", "postgres_limits.py")
UPSTREAM = "customer_activity"
RUN_BY_JOBS = ("test_known_answers.py",)
HISTORY = Path("data") / "data_warehouse" / "customer_features_offline.parquet"


def copy_of_the_project(to: Path) -> Path:
    """The declarations, the code and the settings; none of the data."""
    copytree(_compiled().name, to, dirs_exist_ok=True)
    for file in ("feature_store.yaml", ".feastignore"):
        (to / file).write_bytes((ROOT / file).read_bytes())
    (to / HISTORY).parent.mkdir(parents=True)
    return to


@cache
def _compiled() -> "TemporaryDirectory[str]":
    """The code with its bytecode, compiled once by a process, or each command would do it anew.

    The bytecode counts for the very source that it is of: a copy's code may be edited.
    """
    compiled = TemporaryDirectory()
    for folder in COPIED:
        source, ignored = ROOT / folder, ignore_patterns("__pycache__")
        copytree(source, Path(compiled.name, folder), ignore=ignored)
    for file in STARTS:
        Path(compiled.name, file).write_bytes((ROOT / file).read_bytes())
    compile_dir(compiled.name, quiet=2, invalidation_mode=PycInvalidationMode.CHECKED_HASH)
    return compiled


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
