"""The project, copied to a folder where a test may do as it likes, and its commands run there."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from shutil import copytree, ignore_patterns

ROOT = Path(__file__).resolve().parent.parent
COPIED = ("feature_repo", "feature_access", "feature_pipeline", "contract_checks", "scripts")
RUN_BY_JOBS = ("test_known_answers.py",)
HISTORY = Path("data") / "data_warehouse" / "customer_features_offline.parquet"


def copy_of_the_project(to: Path) -> Path:
    """The declarations, the code and the settings; none of the data."""
    for folder in COPIED:
        copytree(ROOT / folder, to / folder, ignore=ignore_patterns("__pycache__"))
    for file in ("feature_store.yaml", ".feastignore", "feast_start.py"):
        (to / file).write_bytes((ROOT / file).read_bytes())
    (to / HISTORY).parent.mkdir(parents=True)
    return to


def copy_of_the_whole_project(to: Path) -> Path:
    """The same with the contracts, and with the tests that jobs run."""
    copy_of_the_project(to)
    copytree(ROOT / "contracts", to / "contracts")
    (to / "tests").mkdir()
    for test in RUN_BY_JOBS:
        (to / "tests" / test).write_bytes((ROOT / "tests" / test).read_bytes())
    return to


def run(
    repository: Path, command: str, *arguments: str, env: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """A command of the virtual environment, run from the repository's folder."""
    return subprocess.run(
        [Path(sys.executable).with_name(command), *arguments],
        cwd=repository,
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def apply(repository: Path) -> None:
    done = run(repository, "feast", "apply")
    assert done.returncode == 0, done.stdout + done.stderr
