"""The schedules a team takes parse, and every command in them exists and takes its options."""

import ast
import re
import shlex
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jinja2
import pytest
import typer
from feast_copy import ROOT

from contract_checks.clock import instant

SCHEDULES = ROOT / "schedules"
INSTALLED = "/opt/feature-store"
UNITS = sorted((SCHEDULES / "systemd").iterdir())
PROMISED = [
    ("hourly", "scripts/ingest.py"),
    ("hourly", "scripts/refresh.py"),
    ("hourly", "scripts/drift.py"),
    ("daily", "scripts/retain.py --ahead-hours 24"),
    ("daily", "scripts/backfill.py"),
    ("quarterly", "scripts/access_review.py"),
]
"""Every schedule runs these, in this order."""
CALENDAR = {
    "5 * * * *": "hourly",
    "35 2 * * *": "daily",
    "10 0 1 1,4,7,10 *": "quarterly",
    "*-*-* *:05:00 UTC": "hourly",
    "*-*-* 02:35:00 UTC": "daily",
    "*-01,04,07,10-01 00:10:00 UTC": "quarterly",
}


def plain(command: str) -> str:
    """The script and its arguments; what Airflow adds of a run's own time is told apart."""
    return command.partition(".venv/bin/python ")[2].partition("{%")[0].strip()


def crontab() -> list[tuple[str, str]]:
    lines = (SCHEDULES / "crontab").read_text("utf-8").splitlines()
    jobs = [re.match(r"((?:\S+ ){5})(.*)", line) for line in lines if re.match(r"[\d*]", line)]
    assert all(jobs)
    found = []
    for times, command in (job.groups() for job in jobs if job):
        prepared, *commands = command.split("; ")
        assert prepared == 'eval "$PREPARE"'
        assert "%" not in command.replace("\\%", "")  # a bare one ends a command in a crontab
        found += [(CALENDAR[times.strip()], plain(each)) for each in commands]
    return found


def systemd() -> list[tuple[str, str]]:
    found = []
    for name in ("hourly", "daily", "quarterly"):
        timer, service = (
            (SCHEDULES / "systemd" / f"feature-store-{name}.{kind}").read_text("utf-8")
            for kind in ("timer", "service")
        )
        (calendar,) = re.findall(r"^OnCalendar=(.*)$", timer, re.MULTILINE)
        runs = re.findall(r"^ExecStart=(.*)$", service, re.MULTILINE)
        found += [(CALENDAR[calendar], plain(command)) for command in runs]
    return found


def airflow() -> list[tuple[str, str]]:
    """Read, not run: Airflow's own environment is another than ours."""
    tree = ast.parse((SCHEDULES / "airflow_dag.py").read_text("utf-8"))
    found = []
    for block in (node for node in tree.body if isinstance(node, ast.With)):
        (dag,) = (item.context_expr for item in block.items)
        assert isinstance(dag, ast.Call)
        schedule = ast.literal_eval(dag.args[1])
        jobs = [
            node
            for node in ast.walk(block)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        ]
        commands = [ast.literal_eval(j.args[1]) for j in jobs if j.func.id == "job"]
        found += [
            (CALENDAR[schedule], plain(f".venv/bin/python scripts/{command}"))
            for command in commands
        ]
    return found


@pytest.mark.parametrize("schedule", [crontab, systemd, airflow])
def test_every_schedule_runs_the_same_jobs(schedule: Any) -> None:
    assert schedule() == PROMISED


@pytest.mark.parametrize(("period", "command"), PROMISED)
def test_a_command_exists_and_takes_those_options(period: str, command: str) -> None:
    import importlib

    script, *arguments = shlex.split(command)
    assert (ROOT / script).is_file()
    module = importlib.import_module(script.removesuffix(".py").replace("/", "."))
    app = typer.Typer(add_completion=False)
    app.command()(module.main)
    # raises on what it won't take
    assert typer.main.get_command(app).make_context(script, arguments).params


@pytest.mark.parametrize(
    ("tick", "turn"),
    [
        (datetime(2026, 7, 1, 0, 10, tzinfo=UTC), "2026-07-01T00:00Z"),
        (datetime(2026, 12, 31, 23, 59, tzinfo=UTC), "2026-10-01T00:00Z"),
        (datetime(2027, 1, 1, tzinfo=UTC), "2027-01-01T00:00Z"),
        (datetime(2026, 5, 31, 12, tzinfo=UTC), "2026-04-01T00:00Z"),
        (None, None),
    ],
)
def test_airflow_reviews_the_quarter_of_the_tick(tick: datetime | None, turn: str | None) -> None:
    text = (SCHEDULES / "airflow_dag.py").read_text("utf-8")
    (review,) = (
        ast.literal_eval(call.args[1])
        for call in ast.walk(ast.parse(text))
        if isinstance(call, ast.Call) and call.args[1:] and "access_review" in ast.unparse(call)
        if getattr(call.func, "id", "") == "job"
    )
    template = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)
    for given in ({"data_interval_end": tick}, *([{}] if tick is None else [])):
        command = template.from_string(review).render(**given)
        assert shlex.split(command) == ["access_review.py", *(["--as-of", turn] if turn else [])]
    assert turn is None or instant(turn).tzinfo is not None


def test_a_run_of_airflow_fails_with_any_of_its_tasks() -> None:
    """Tasks that run whatever those before them found would hide them: a watcher sees all."""
    tree = ast.parse((SCHEDULES / "airflow_dag.py").read_text("utf-8"))
    hiding = 0
    for block in (node for node in tree.body if isinstance(node, ast.With)):
        written = ast.unparse(block)
        hiding += "all_done" in written
        assert ("all_done" in written) == ("[upstream, refresh, drift] >> watcher()" in written)
    assert hiding == 1


@pytest.mark.parametrize(
    ("refresh", "code"), [("", 0), ("import nothing_of_that_name", 2), ("1 +", 2)]
)
def test_a_unit_that_takes_1_for_success_makes_sure_that_its_scripts_load(
    refresh: str, code: int, tmp_path: Path
) -> None:
    texts = {unit.name: unit.read_text("utf-8") for unit in UNITS}
    lenient = [name for name, text in texts.items() if "\nSuccessExitStatus=" in text]
    assert lenient == ["feature-store-hourly.service"]
    (load,) = re.findall(r"^ExecStartPre=(.*)$", texts[lenient[0]], re.MULTILINE)
    for name in ("ingest", "refresh", "drift"):
        assert f"scripts.{name}" in load
        module = tmp_path / "scripts" / f"{name}.py"
        module.parent.mkdir(exist_ok=True)
        module.write_text(refresh if name == "refresh" else "")
    shell = shlex.split(load.replace(".venv/bin/python", sys.executable))
    assert subprocess.run(shell, cwd=tmp_path, capture_output=True).returncode == code


@pytest.mark.parametrize("unit", [unit for unit in UNITS if unit.suffix == ".service"])
def test_what_a_unit_writes_is_for_its_own_user(unit: Path) -> None:
    assert "\nUMask=0077\n" in unit.read_text("utf-8")


def test_the_crontab_hands_over_secrets_and_the_folder(tmp_path: Path) -> None:
    (prepare,) = re.findall(
        r"^PREPARE=(.*)$", (SCHEDULES / "crontab").read_text("utf-8"), re.MULTILINE
    )
    secrets = tmp_path / "feature-store.env"
    secrets.write_text("FEATURE_STORE_HASH_KEY='a $key; of # 16'\n")
    prepare = prepare.replace("/etc/feature-store.env", str(secrets))
    prepare = prepare.replace(INSTALLED, str(tmp_path))
    shown = subprocess.run(
        ["/bin/sh", "-c", 'eval "$PREPARE"; sh -c \'echo "$PWD $FEATURE_STORE_HASH_KEY"\''],
        env={"PREPARE": prepare, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    assert shown == f"{tmp_path} a $key; of # 16"


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd on this machine")
def test_systemd_takes_the_units(tmp_path: Path) -> None:
    assert len(UNITS) == 6
    for unit in UNITS:
        text = unit.read_text("utf-8").replace(INSTALLED, str(ROOT))
        (tmp_path / unit.name).write_text(text)
    verified = subprocess.run(
        ["systemd-analyze", "verify", *map(str, sorted(tmp_path.iterdir()))],
        capture_output=True,
        text=True,
    )
    assert (verified.returncode, verified.stderr) == (0, "")
    for calendar in (text for text in CALENDAR if text.endswith("UTC")):
        subprocess.run(["systemd-analyze", "calendar", calendar], check=True, capture_output=True)
