"""Which end of a scheduled job is an incident, and which run is its end."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import typer
from kept_evidence import AS_OF, HOUR

from contract_checks.operations.log import ADDRESS_VARIABLE, OperationsLog
from feature_pipeline.refusal import RefusedError
from scripts.command_line import EVENTS, AheadOfClockError, refusals_exit
from scripts.job_failure import job_failure_told

DBT = RefusedError("dbt failed: a test of its project did not pass")
AHEAD = AheadOfClockError("--as-of has not come")


@pytest.fixture
def alerts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[tuple[str, str]]]:
    address = f"sqlite:///{tmp_path / 'operations.db'}"
    monkeypatch.setenv(ADDRESS_VARIABLE, address)
    monkeypatch.delenv("FEATURE_STORE_ALERT_WEBHOOK", raising=False)

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
