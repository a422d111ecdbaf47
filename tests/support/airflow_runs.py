"""Run DAGs of a folder, each for a time and with the exit codes of its jobs: for Airflow's Python.

Reads a list of [dag, time, {script: exit code}] as JSON, and writes a line of what became of each:
the state of the run, that of each task, and the commands that ran.
"""

import json
import sys
from datetime import datetime
from pathlib import Path

from airflow.dag_processing.dagbag import DagBag

installed, asked, answers = map(Path, sys.argv[1:])
bag = DagBag(str(installed / "dags"))
assert not bag.import_errors, bag.import_errors
with answers.open("w", encoding="utf-8") as lines:
    for name, at, codes in json.loads(asked.read_text(encoding="utf-8")):
        for script in ("ingest", "refresh", "drift", "retain", "rehearse", "access_review"):
            (installed / script).write_text(str(codes.get(script, 0)))
        (installed / "ran").write_text("")
        run = bag.dags[name].test(logical_date=datetime.fromisoformat(at))
        states = {task.task_id: str(task.state) for task in run.get_task_instances()}
        ran = (installed / "ran").read_text().splitlines()
        lines.write(json.dumps([str(run.state), states, ran]) + "\n")
