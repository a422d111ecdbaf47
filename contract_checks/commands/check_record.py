"""The record a judgement leaves in the operations log, and what the newest one says of a clause."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import typer
from sqlalchemy import make_url

from contract_checks.findings import Outcome, Report
from contract_checks.operations.log import ADDRESS_VARIABLE, OperationsLog, Record, address_of
from contract_checks.report.text import by_clause, worst

JOB = "check"
_END = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class LastCheck:
    """When a clause was last judged, and the outcome's word."""

    at: datetime
    outcome: str


def leave(report: Report, view: str, repository: Path, seconds: float) -> None:
    """Record a judgement, where there is a place for a log; failing to is worth a warning only."""
    if not (os.environ.get(ADDRESS_VARIABLE) or (repository / "data").is_dir()):
        return
    clauses = {clause: worst(findings).name.lower() for clause, findings in by_clause(report)}
    figures = {"outcome": report.outcome.name.lower(), "clauses": clauses}
    kept = report.outcome is Outcome.KEPT
    record = Record(JOB, view, report.as_of, kept, round(seconds, 6), figures)
    try:
        OperationsLog(address_of(repository, os.environ)).append(record)
    except Exception as error:  # whatever the database's driver raises
        _warn("this check is not recorded: the operations log cannot be written", error)


def last_checks(view: str, repository: Path) -> Mapping[str, LastCheck]:
    """By clause, the newest judgement on record; a log is never made by a mere look at it."""
    address = address_of(repository, os.environ)
    try:
        url = make_url(address)
        if url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file():
            return {}
        records = OperationsLog(address).records(until=_END, jobs=[JOB])
    except Exception as error:
        _warn("the last checks are not shown: the operations log cannot be read", error)
        return {}
    return {
        clause: LastCheck(record.at, outcome)
        for record in records
        if record.subject == view
        for clause, outcome in record.figures["clauses"].items()
    }


def _warn(what: str, error: Exception) -> None:
    reason = (str(error) or "no reason given").splitlines()[0]
    typer.echo(f"warning: {what} ({type(error).__name__}: {reason})", err=True)
