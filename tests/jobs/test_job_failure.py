"""Which end of a scheduled job is an incident, and which run is its end."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import typer
from kept_evidence import AS_OF, HOUR, VIEW, kept_view

from contract_checks.operations.log import ADDRESS_VARIABLE, OperationsLog, Record
from jobs.reporting.job_failure import job_failure_told
from jobs.repository import EVENTS
from scripts.command_line import AheadOfClockError, refusals_exit
from storage.errors import RefusedError

DBT = RefusedError("dbt failed: a test of its project did not pass")
AHEAD = AheadOfClockError("--as-of has not come")


@pytest.fixture(autouse=True)
def lock_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").mkdir()
    monkeypatch.setattr("jobs.reporting.alerting.ROOT", tmp_path)


@pytest.fixture
def alerts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[tuple[str, str]]]:
    address = f"sqlite:///{tmp_path / 'operations.db'}"
    monkeypatch.setenv(ADDRESS_VARIABLE, address)
    monkeypatch.delenv("FEATURE_STORE_ALERT_WEBHOOK", raising=False)

    OperationsLog(address).append(Record("refresh", VIEW, AS_OF - HOUR, True))

    def told() -> list[tuple[str, str]]:
        records = OperationsLog(address).records(AS_OF + timedelta(days=1), ["alert"])
        return [(record.figures["state"], record.figures["figure"]) for record in records]

    return told


def ends(job: str, error: Exception | None, hours: int, **given: Any) -> None:
    """A run that refuses, or raises, or does neither."""
    told = {"events": EVENTS, "as_of": AS_OF + hours * HOUR, **given}
    with pytest.raises((typer.Exit, OSError)), job_failure_told(job, told):
        with refusals_exit(RefusedError):
            if error:
                raise error
        raise typer.Exit(0)


@pytest.mark.parametrize(
    ("job", "error", "given", "incident"),
    [
        ("ingest", DBT, {}, True),
        ("ingest", OSError(28, "No space left on device"), {}, True),
        ("ingest", AHEAD, {}, False),  # whoever named the time reads it
        ("ingest", DBT, {"events": Path("elsewhere.parquet")}, False),
        ("ingest", OSError(28, "No space left"), {"events": Path("elsewhere.parquet")}, True),
        ("retain", DBT, {}, False),
        ("rehearse", OSError(28, "No space left on device"), {}, True),
        ("rehearse", DBT, {}, False),
        ("look_up", OSError(28, "No space left on device"), {}, False),
    ],
)
def test_an_incident_begins_once_and_ends_with_the_next_run_that_works(
    job: str,
    error: Exception,
    given: dict[str, Any],
    incident: bool,
    alerts: Callable[[], list[tuple[str, str]]],
) -> None:
    for hours in (0, 1, 2):
        ends(job, error, hours, **given)
    begun = alerts()
    assert [state for state, _ in begun] == (["begun"] if incident else [])
    assert all(type(error).__name__ in figure for _, figure in begun)
    for hours in (3, 4):
        ends(job, None, hours, **given)
    assert [state for state, _ in alerts()] == (["begun", "ended"] if incident else [])


@pytest.mark.parametrize(
    ("job", "given", "materialized", "lost"),
    [
        ("ingest", {}, True, True),
        ("refresh", {}, True, True),
        ("rehearse", {}, True, True),
        ("access_review", {}, True, True),
        ("ingest", {}, False, False),  # the first job of all
        ("retain", {"dry_run": True}, True, False),
        ("look_up", {}, True, False),
    ],
)
def test_a_log_that_is_gone_is_told_once_and_never_begun_anew_in_silence(
    job: str,
    given: dict[str, Any],
    materialized: bool,
    lost: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "operations.db"
    address = f"sqlite:///{file}"
    monkeypatch.setenv(ADDRESS_VARIABLE, address)
    monkeypatch.delenv("FEATURE_STORE_ALERT_WEBHOOK", raising=False)
    view = kept_view(tmp_path)
    view = view if materialized else replace(view, materialized_to=None)
    monkeypatch.setattr("jobs.reporting.lost_log.registered", lambda name: view)
    for hours in (0, 1):
        ends(job, None, hours, **given)
    said = [line for line in capsys.readouterr().err.splitlines() if "no operations log" in line]
    assert file.exists() == lost
    assert len(said) == lost
    if lost:
        assert f"though {VIEW} was materialized up to 2026-03-01T11:00:00+00:00" in said[0]
        (alert,) = OperationsLog(address).records(AS_OF + timedelta(days=1), ["alert"])
        assert (alert.figures["clause"], alert.at) == ("§9 audit requirements", AS_OF)


def test_a_file_without_a_record_is_no_log_and_a_look_makes_none(tmp_path: Path) -> None:
    empty, never = tmp_path / "empty.db", tmp_path / "never.db"
    empty.touch()
    for file in (empty, never):
        assert not OperationsLog(f"sqlite:///{file}").is_begun()
    assert not never.exists()
    log = OperationsLog(f"sqlite:///{empty}")
    log.append(Record("refresh", VIEW, AS_OF, True))
    assert log.is_begun()
