"""The DAGs, run by a real Airflow in an environment of its own; each job is an exit code."""

import json
import os
import subprocess
from typing import NamedTuple

import pytest
from feast_copy import ROOT

AIRFLOW = ROOT / "schedules" / ".venv" / "bin"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not AIRFLOW.is_dir(), reason="make nightly builds Airflow's environment"),
]
HOURLY = ["scripts/ingest.py", "scripts/refresh.py", "scripts/drift.py"]
DAILY = ["scripts/retain.py --ahead-hours 24", "scripts/rehearse.py"]
REVIEW = ["scripts/access_review.py"]
PYTHON = """#!/bin/sh
echo "$@" >> ran
exit "$(cat "$(basename "$1" .py)")"
"""


class Run(NamedTuple):
    """A run of a DAG, and what is to become of it."""

    dag: str
    at: str
    codes: dict[str, int]
    state: str
    failed: set[str]
    ran: list[str]


RUNS = [
    Run("hourly", "2026-08-01T10:05Z", {}, "success", set(), HOURLY),
    Run("hourly", "2026-08-01T11:05Z", {"ingest": 2}, "failed", {"ingest"}, HOURLY),
    Run("hourly", "2026-08-01T12:05Z", {"refresh": 2}, "failed", {"refresh"}, HOURLY),
    Run("hourly", "2026-08-01T13:05Z", {"refresh": 70}, "failed", {"refresh"}, HOURLY),
    Run("hourly", "2026-08-01T14:05Z", {"drift": 1}, "failed", {"drift"}, HOURLY),
    Run("daily", "2026-08-01T02:35Z", {}, "success", set(), DAILY),
    Run("daily", "2026-08-02T02:35Z", {"retain": 2}, "failed", {"retain"}, DAILY),
    Run("daily", "2026-08-03T02:35Z", {"rehearse": 1}, "failed", {"rehearse"}, DAILY),
    Run("quarterly", "2026-07-01T00:10Z", {}, "success", set(), REVIEW),
    # By hand, and what a tick that is late or by hand reviews is the job's own to find out.
    Run("quarterly", "2026-08-15T09:00Z", {}, "success", set(), REVIEW),
    Run(
        "quarterly", "2026-10-01T00:10Z", {"access_review": 1}, "failed", {"access_review"}, REVIEW
    ),
]


@pytest.fixture(scope="module")
def came(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, dict[str, str], list[str]]]:
    """What became of each run, in an installation whose Python only notes what it is given."""
    installed = tmp_path_factory.mktemp("opt")
    python = installed / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(PYTHON)
    python.chmod(0o755)
    (installed / "dags").mkdir()
    text = (ROOT / "schedules" / "airflow_dag.py").read_text(encoding="utf-8")
    for says, instead in (("/opt/feature-store", str(installed)), ('"retries": 2', '"retries": 0')):
        assert says in text
        text = text.replace(says, instead)
    (installed / "dags" / "airflow_dag.py").write_text(text, encoding="utf-8")
    asked, answers = installed / "asked.json", installed / "answers"
    asked.write_text(json.dumps([(f"feature_store_{r.dag}", r.at, r.codes) for r in RUNS]))
    environment = os.environ | {
        "AIRFLOW_HOME": str(installed / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(installed / "dags"),
    }
    environment.pop("PYTHONPATH", None)
    drive = [
        AIRFLOW / "python",
        ROOT / "tests" / "support" / "airflow_runs.py",
        installed,
        asked,
        answers,
    ]
    for command in ([AIRFLOW / "airflow", "db", "migrate"], drive):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return [json.loads(line) for line in answers.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("place", range(len(RUNS)), ids=lambda p: f"{RUNS[p].dag}-{RUNS[p].codes}")
def test_a_run_is_what_its_jobs_came_to(
    place: int, came: list[tuple[str, dict[str, str], list[str]]]
) -> None:
    state, tasks, ran = came[place]
    wanted = RUNS[place]
    assert ran == wanted.ran
    assert {name for name, came_to in tasks.items() if came_to == "failed"} - {
        "watcher"
    } == wanted.failed
    assert state == wanted.state
