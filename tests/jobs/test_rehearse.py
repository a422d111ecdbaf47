"""The rehearsals of §11: a promotion's, and every day's, without which they count for a week."""

import importlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from kept_evidence import AS_OF, HOUR, gathered
from shipped_schedules import MINUTE, SCHEDULES
from typer.testing import CliRunner

from contract_checks import checks
from contract_checks.evidence.evidence import Evidence
from contract_checks.evidence.facts import Operations
from contract_checks.findings import Outcome
from contract_checks.judge import judge
from contract_checks.language.loader import load
from contract_checks.operations.log import ADDRESS_VARIABLE, OperationsLog
from jobs.rehearsal import rehearse
from jobs.repository import CONTRACT
from storage.errors import RefusedError

assert checks.__all__, "importing the package binds the checks"

DAY = timedelta(days=1)
JOBS = ("unit_tests", "backfill", "canary", "shadow_compare", "load_test")
COUNT_FOR_A_WEEK = {
    *("§8 shadow compare enabled", "§11 unit tests", "§11 shadow reads"),
    *("§11 backfill validation", "§11 canary materialization", "§11 performance tests"),
}


class Jobs:
    """The five jobs, each of which only notes that it ran, and comes to what it is told."""

    def __init__(self) -> None:
        self.ran: list[tuple[str, datetime]] = []
        self.come_to: dict[str, Outcome | Exception] = {}

    def run(self, job: str, as_of: datetime) -> SimpleNamespace:
        self.ran.append((job, as_of))
        came_to = self.come_to.get(job, Outcome.KEPT)
        if isinstance(came_to, Exception):
            raise came_to
        figures = SimpleNamespace(outcome=came_to, rows=9, differing=0, tests=9, not_passed={})
        return SimpleNamespace(
            **vars(figures), compared=figures, latency=lambda p: 2.5, errors=0, requests=3_000
        )


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Jobs]:
    jobs = Jobs()
    for job in JOBS:
        module = getattr(rehearse, job)
        asks_no_store = job in ("unit_tests", "backfill")

        def run(*given: Any, job: str = job, at: int = 1 if asks_no_store else 2) -> Any:
            return jobs.run(job, given[at])

        monkeypatch.setattr(module, job, run)
        monkeypatch.setattr(module, "outcome", lambda result, *_: result.outcome)
    monkeypatch.setattr("feature_access.registry.open_store", lambda root: None)
    monkeypatch.setenv(ADDRESS_VARIABLE, f"sqlite:///{tmp_path / 'operations.db'}")
    monkeypatch.delenv("FEATURE_STORE_ALERT_WEBHOOK", raising=False)
    yield jobs


def run(command: str, as_of: datetime) -> Any:
    app = typer.Typer()
    script = command.split()[0]
    app.command()(importlib.import_module(script.removesuffix(".py").replace("/", ".")).main)
    return CliRunner().invoke(app, ["--as-of", as_of.isoformat()], catch_exceptions=False)


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    """For which every clause is kept, an hour after a promotion."""
    return gathered(load(CONTRACT), tmp_path_factory.mktemp("evidence"))


def broken(evidence: Evidence, promoted: datetime, more: list[tuple[str, datetime]]) -> set[str]:
    """The clauses that are broken by how old the rehearsals of then are, and those since."""
    records = evidence.operations.records
    of = {record.job: record for record in records if record.job in JOBS}
    left = [r for r in records if r.job not in JOBS]
    left += [replace(of[job], at=at) for job, at in (*((job, promoted) for job in JOBS), *more)]
    operations = Operations(tuple(sorted(left, key=lambda r: r.at)), {})
    judged = replace(evidence, gathered_operations=operations)
    report = judge(load(CONTRACT), judged, held_in="operations")
    return {f.clause for f in report.having(Outcome.BROKEN)}


@pytest.mark.parametrize("scheduler", SCHEDULES)
def test_what_a_promotion_rehearsed_is_renewed_by_every_schedule(
    scheduler: str, jobs: Jobs, evidence: Evidence
) -> None:
    """Alone it counts for a week; with every day's, a day without the machine breaks nothing."""
    schedule = SCHEDULES[scheduler]()
    for days in (6, 7, 9):
        jobs.ran.clear()
        promoted = AS_OF - HOUR - days * DAY
        assert broken(evidence, promoted, []) == (COUNT_FOR_A_WEEK if days > 6 else set())
        for at in (promoted + n * MINUTE for n in range((AS_OF - promoted) // MINUTE)):
            for command in schedule.due(at):
                if command == "scripts/rehearse.py":
                    assert run(command, at).exit_code == 0
        assert len(jobs.ran) == days * len(JOBS)
        assert broken(evidence, promoted, jobs.ran) == set()
        all_but_yesterdays = [(job, at) for job, at in jobs.ran if at < AS_OF - 2 * DAY]
        assert broken(evidence, promoted, all_but_yesterdays) == set()


@pytest.mark.parametrize(
    ("come_to", "code", "told"),
    [
        ({}, 0, []),
        ({"unit_tests": Outcome.BROKEN}, 1, ["§11 unit tests"]),
        ({"backfill": Outcome.BROKEN}, 1, ["§11 backfill validation"]),
        ({"canary": Outcome.BROKEN}, 1, ["§11 canary materialization"]),
        ({"shadow_compare": Outcome.BROKEN}, 1, ["§11 shadow reads"]),
        ({"load_test": Outcome.BROKEN}, 1, ["§11 performance tests"]),
        ({"shadow_compare": Outcome.UNKNOWN}, 2, []),
        ({"unit_tests": RefusedError("no pytest here")}, 2, []),
        (
            {"canary": RefusedError("nobody is there"), "load_test": Outcome.BROKEN},
            1,
            ["§11 performance tests"],
        ),
    ],
)
def test_one_keeps_none_of_the_others_from_running_and_what_breaks_is_told_once(
    come_to: dict[str, Any], code: int, told: list[str], jobs: Jobs, tmp_path: Path
) -> None:
    jobs.come_to = come_to
    for hours in (0, 1):  # the second finds what the first has told
        done = run("scripts/rehearse.py", AS_OF + hours * HOUR)
        assert done.exit_code == code, done.output
        assert [job for job, _ in jobs.ran[-5:]] == [*JOBS]
    for came_to in come_to.values():
        said = f"refused: {came_to}" if isinstance(came_to, RefusedError) else came_to.name.lower()
        assert said in done.output
    jobs.come_to = {}
    assert run("scripts/rehearse.py", AS_OF + 2 * HOUR).exit_code == 0
    alerts = OperationsLog(f"sqlite:///{tmp_path / 'operations.db'}").records(
        AS_OF + DAY, ["alert"]
    )
    assert [(a.figures["clause"], a.figures["state"], a.at) for a in alerts] == [
        *((clause, "begun", AS_OF) for clause in told),
        *((clause, "ended", AS_OF + 2 * HOUR) for clause in told),
    ]
