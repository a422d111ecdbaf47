"""The jobs as a person runs them: real processes, real files, exit codes."""

import importlib
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer
from typer.testing import CliRunner
from warm_start import run_warm

from scripts import command_line

ROOT = Path(__file__).parents[2]
JOBS = sorted(
    path.stem
    for path in (ROOT / "scripts").glob("*.py")
    if 'if __name__ == "__main__":' in path.read_text(encoding="utf-8")
)


def run(job: str, *arguments: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    script = ROOT / "scripts" / f"{job}.py"
    return run_warm([script, *arguments], cwd, os.environ | {"PYTHONPATH": str(ROOT)})


@pytest.fixture
def events(tmp_path: Path) -> Path:
    """One customer: a day of two states, and an event that came too late."""
    midday = datetime(2026, 1, 10, 12, tzinfo=UTC)
    hour, zoned = timedelta(hours=1), pa.timestamp("us", tz="UTC")
    table = pa.table(
        {
            "customer_id": pa.array([7, 7, 7]),
            "event_timestamp": pa.array([midday, midday + hour, midday], zoned),
            "created_timestamp": pa.array(
                [midday + hour, midday + 2 * hour, midday + 25 * hour], zoned
            ),
            "orders": pa.array([1, 2, 9]),
            "order_value": pa.array([10.0, 30.5, 99.0]),
            "sessions": pa.array([1, 1, 9]),
        }
    )
    path = tmp_path / "in" / "events.parquet"
    path.parent.mkdir()
    pq.write_table(table, path)
    return path


@pytest.mark.parametrize("job", JOBS)
def test_help_tells_the_exit_codes(job: str) -> None:
    shown = run_warm([ROOT / "scripts" / f"{job}.py", "--help"], ROOT, os.environ)
    assert shown.returncode == 0
    assert "Exit code 0" in shown.stdout
    assert "2: " in shown.stdout


def test_every_job_is_among_them() -> None:
    assert len(JOBS) >= 16
    assert {"demo", "refresh", "promote", "rollback"} <= set(JOBS)


WORKS_FOR_ANY_VERSION = {
    **dict.fromkeys(["access_review", "backfill", "canary", "freeze_baseline"], ()),
    **dict.fromkeys(["load_test", "promote", "refresh", "rollback", "shadow_compare"], ()),
    "unit_tests": (),
    "build_training_set": ("labels.parquet", "set.parquet", "--consumer", "ML Platform"),
}


@pytest.mark.parametrize("job", WORKS_FOR_ANY_VERSION)
def test_a_job_reads_the_document_it_is_told(job: str, tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(importlib.import_module(f"scripts.{job}").main)
    absent = str(tmp_path / "absent.md")
    done = CliRunner().invoke(app, [*WORKS_FOR_ANY_VERSION[job], "--contract", absent])
    assert done.exit_code == 2
    assert done.stderr.startswith(f"refused: {absent}:1: document: cannot be read")


TAKES_A_TIME = {
    job: importlib.import_module(f"scripts.{job}").main
    for job in JOBS
    if "as_of: Annotated" in (ROOT / "scripts" / f"{job}.py").read_text(encoding="utf-8")
}
NEEDS = {
    "aggregate": ("events.parquet", "history.parquet"),
    "alerts": ("drop", "§7 warn", "orders_30d", "--reason", "known"),
    "build_training_set": ("labels.parquet", "set.parquet", "--consumer", "ML Platform"),
    "erase": ("1",),
}


@pytest.mark.parametrize("job", TAKES_A_TIME)
def test_a_time_that_has_not_come_is_refused_and_nothing_written(
    job: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEATURE_STORE_HASH_KEY", "sixteen or more characters")
    monkeypatch.setenv("FEATURE_STORE_TOKENS", '{"ML Platform": "a token of the tests alone"}')
    monkeypatch.setenv("FEATURE_STORE_OPERATIONS_LOG", f"sqlite:///{tmp_path}/operations.db")
    monkeypatch.chdir(tmp_path)
    app = typer.Typer()
    app.command()(TAKES_A_TIME[job])
    ahead = datetime.now(UTC) + timedelta(days=365)
    done = CliRunner().invoke(app, [*NEEDS.get(job, ()), "--as-of", ahead.isoformat()])
    assert done.exit_code == 2, done.output
    assert done.stderr.startswith(f"refused: --as-of {ahead.isoformat()} has not come, it is 2")
    assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("ahead", "taken"), [(0, True), (60, True), (60.000001, False)])
def test_another_machines_clock_may_be_a_minute_fast(
    monkeypatch: pytest.MonkeyPatch, ahead: float, taken: bool
) -> None:
    clock = datetime(2026, 3, 1, 12, tzinfo=UTC)
    monkeypatch.setattr(command_line, "now", lambda: clock)
    assert command_line.present(None) == clock
    asked = clock + timedelta(seconds=ahead)
    if taken:
        assert command_line.present(asked) == asked
    else:
        with pytest.raises(command_line.AheadOfClockError, match="Name an earlier time"):
            command_line.present(asked)


def test_aggregate_alone(events: Path, tmp_path: Path) -> None:
    history = tmp_path / "out" / "history.parquet"
    done = run("aggregate", events, history, "--as-of", "2026-03-01T00:00:00Z", cwd=tmp_path)
    assert (done.returncode, done.stderr.count("refused")) == (0, 0)
    assert "3 events ingested: 1 kept, 1 superseded, 1 quarantined" in done.stdout
    assert sorted(path.name for path in history.parent.iterdir()) == [
        "history.parquet",
        "history_quarantine.parquet",
    ]
    rows = pq.read_table(history)
    assert rows.column_names == [
        "customer_id",
        "event_timestamp",
        "avg_order_value_30d",
        "orders_30d",
        "sessions_30d",
        "distinct_order_days_30d",
    ]
    thirteen = datetime(2026, 1, 10, 13, tzinfo=UTC)
    assert [tuple(row.values()) for row in rows.to_pylist()] == [
        (7, thirteen, 10.0, 1, 1, 1),
        (7, thirteen + timedelta(hours=1), 15.25, 2, 1, 1),
        (7, thirteen + timedelta(days=30), 0.0, 0, 0, 0),
    ]


@pytest.mark.parametrize("written", ["2026-01-10T13:30:00Z", "2026-01-10T14:30:00+01:00"])
def test_as_of_takes_any_offset(written: str, events: Path, tmp_path: Path) -> None:
    history = tmp_path / "history.parquet"
    assert run("aggregate", events, history, "--as-of", written).returncode == 0
    assert pq.read_table(history)["orders_30d"].to_pylist() == [1]


def test_a_refusal_is_one_message_and_exit_2(tmp_path: Path) -> None:
    history = tmp_path / "history.parquet"
    refused = run("aggregate", tmp_path / "absent.parquet", history)
    assert refused.returncode == 2
    assert refused.stdout == ""
    assert refused.stderr.startswith("refused: no events file at ")
    assert len(refused.stderr.splitlines()) == 1
    assert "Traceback" not in refused.stderr
    assert list(tmp_path.iterdir()) == []


def test_history_is_never_written_over_its_events(events: Path) -> None:
    before = events.read_bytes()
    refused = run("aggregate", events, events)
    assert refused.returncode == 2
    assert "three files" in refused.stderr
    assert events.read_bytes() == before


def test_an_unreadable_time_is_a_usage_error(events: Path, tmp_path: Path) -> None:
    refused = run("aggregate", events, tmp_path / "h.parquet", "--as-of", "yesterday")
    assert refused.returncode == 2
    assert "is not a time such as" in refused.stderr


def test_an_invalid_contract_is_refused_with_its_lines(events: Path, tmp_path: Path) -> None:
    contract = (ROOT / "contracts" / "customer_profile_v1.md").read_text(encoding="utf-8")
    broken = tmp_path / "contract.md"
    broken.write_text(contract.replace("**Lookback window:** 30d", "**Lookback window:** 30%"))
    history = tmp_path / "history.parquet"
    refused = run("aggregate", events, history, "--contract", broken)
    assert refused.returncode == 2
    assert "§3 lookback window" in refused.stderr
    assert not history.exists()


def test_the_lateness_is_the_documents(events: Path, tmp_path: Path) -> None:
    contract = (ROOT / "contracts" / "customer_profile_v1.md").read_text(encoding="utf-8")
    late = tmp_path / "contract.md"
    late.write_text(contract.replace("**Allowed lateness:** 24h", "**Allowed lateness:** 26h"))
    history = tmp_path / "history.parquet"
    done = run("aggregate", events, history, "--as-of", "2026-03-01", "--contract", late)
    assert done.returncode == 0, done.stderr
    assert "0 quarantined" in done.stdout  # the event of 25 hours is one of them by the other


def test_check_without_a_registry_cannot_judge(tmp_path: Path) -> None:
    checked = subprocess.run(
        [
            sys.executable,
            "-m",
            "contract_checks",
            "check",
            ROOT / "contracts" / "customer_profile_v1.md",
            "--repository",
            tmp_path,
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 2
    assert "feature_store.yaml" in checked.stdout
    assert "4 kept, 0 broken, 67 unknown" in checked.stdout  # the four stand on paper
    assert list(tmp_path.iterdir()) == []


def test_check_with_nothing_to_check_cannot_judge(tmp_path: Path) -> None:
    checked = subprocess.run(
        [sys.executable, "-m", "contract_checks", "check", "--repository", tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 2
    assert "name a document" in checked.stderr


def test_a_job_on_no_schedule_starts_without_the_alert_channel() -> None:
    """SQLAlchemy and the channel's client take a third of a second to load."""
    job = (
        "import sys, scripts.command_line as line\n"
        "sys.argv = ['look_up.py']\n"
        "def main():\n    with line.refusals_exit(): pass\n"
        "try: line.run_job(main)\n"
        "finally: print(sorted({'sqlalchemy', 'slack_sdk'} & sys.modules.keys()))\n"
    )
    done = subprocess.run([sys.executable, "-c", job], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr
