"""The schedules a team takes parse, and every command in them exists and takes its options."""

import ast
import re
import shlex
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import typer
from feast_copy import ROOT
from shipped_schedules import FOLDER, MINUTE, SCHEDULES

INSTALLED = "/opt/feature-store"
UNITS = sorted((FOLDER / "systemd").iterdir())
PROMISED = [
    ("hourly", "scripts/ingest.py"),
    ("hourly", "scripts/refresh.py"),
    ("hourly", "scripts/drift.py"),
    ("daily", "scripts/retain.py --ahead-hours 24"),
    ("daily", "scripts/rehearse.py"),
    ("quarterly", "scripts/access_review.py"),
]
"""Every schedule runs these, in this order."""


@pytest.mark.parametrize("scheduler", SCHEDULES)
def test_every_schedule_runs_the_same_jobs_at_the_same_times(scheduler: str) -> None:
    entries = SCHEDULES[scheduler]().entries
    assert [(e.period, command) for e in entries for command in e.commands] == PROMISED
    assert [entry[:4] for entry in entries] == [
        (frozenset({5}), None, None, None),
        (frozenset({35}), frozenset({2}), None, None),
        (frozenset({10}), frozenset({0}), frozenset({1}), frozenset({1, 4, 7, 10})),
    ]


@pytest.mark.parametrize("scheduler", SCHEDULES)
def test_after_a_day_without_the_machine_what_must_not_wait_runs_at_once(scheduler: str) -> None:
    """Retention may not wait for the next night, nor the review for the next quarter."""
    down, up = datetime(2026, 3, 31, 20, 10, tzinfo=UTC), datetime(2026, 4, 1, 20, 30, tzinfo=UTC)
    schedule = SCHEDULES[scheduler]()
    done = schedule.after_a_boot(down, up)
    urgent = ["scripts/retain.py --ahead-hours 24", "scripts/access_review.py"]
    assert [command for command in done if command in urgent] == urgent
    assert len(done) == len(set(done)) == (2 if scheduler == "cron" else len(PROMISED))
    assert all(len(schedule.due(up + n * MINUTE)) <= 3 for n in range(600))


def test_the_daily_unit_waits_for_the_hourly_one_and_fails_with_either_of_its_jobs(
    tmp_path: Path,
) -> None:
    """After a late boot both are due at once, and two jobs that write refuse each other."""
    unit = (FOLDER / "systemd" / "feature-store-daily.service").read_text("utf-8")
    assert re.search(r"^After=.*\bfeature-store-hourly\.service$", unit, re.MULTILINE)
    (start,) = re.findall(r"^ExecStart=(.*)$", unit, re.MULTILINE)
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "$1" >> ran\nexit "$(cat "$(basename "$1" .py)")"\n')
    python.chmod(0o755)
    for retained, rehearsed, code in ((0, 0, 0), (2, 0, 2), (0, 1, 1), (2, 1, 1), (70, 0, 70)):
        (tmp_path / "retain").write_text(str(retained))
        (tmp_path / "rehearse").write_text(str(rehearsed))
        (tmp_path / "ran").write_text("")
        shell = shlex.split(start.replace("$$", "$"))
        assert subprocess.run(shell, cwd=tmp_path).returncode == code
        ran = (tmp_path / "ran").read_text().split()
        assert ran == ["scripts/retain.py", "scripts/rehearse.py"]


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


def test_a_run_of_airflow_fails_with_any_of_its_tasks() -> None:
    """Tasks that run whatever those before them found would hide them: a watcher sees all."""
    tree = ast.parse((FOLDER / "airflow_dag.py").read_text("utf-8"))
    hiding = 0
    for block in (node for node in tree.body if isinstance(node, ast.With)):
        written = ast.unparse(block)
        hiding += "all_done" in written
        assert ("all_done" in written) == (">> watcher()" in written)
    assert hiding == 2


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
        r"^PREPARE=(.*)$", (FOLDER / "crontab").read_text("utf-8"), re.MULTILINE
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
    for timer in (unit.read_text("utf-8") for unit in UNITS if unit.suffix == ".timer"):
        (calendar,) = re.findall(r"^OnCalendar=(.*)$", timer, re.MULTILINE)
        subprocess.run(["systemd-analyze", "calendar", calendar], check=True, capture_output=True)
