"""Leave a record of a job in the operations log, whether it passed or not."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import typer

from contract_checks.digest import digest_of_file
from contract_checks.failure import one_line
from contract_checks.operations.log import OperationsLog, Record, address_of
from jobs.reporting.lineage import Flow, Lineage, configured
from jobs.repository import ROOT


def operations_log() -> OperationsLog:
    """The repository's log."""
    return OperationsLog(address_of(ROOT, os.environ))


def digests_of(*places: str) -> dict[str, str]:
    """Digests of the repository's files and of the code in its folders, by path."""
    found = [ROOT / place for place in places]
    code = [f for room in found for kind in ("*.py", "*.sql") for f in room.rglob(kind)]
    files = sorted(file for file in (*found, *code) if file.is_file())
    return {file.relative_to(ROOT).as_posix(): digest_of_file(file) for file in files}


@contextmanager
def recorded(
    job: str, subject: str, at: datetime, flow: Flow | None = None
) -> Iterator[dict[str, Any]]:
    """Give a dict for the job's figures, and record it with the time the job took.

    The figures may hold `passed`; a job that says nothing passed, one that raises did not, and its
    record then holds the error. A `flow` is told to the lineage collector, where there is one.
    """
    figures: dict[str, Any] = {}
    started = time.monotonic()
    lineage = Lineage(job, subject, at, flow) if flow and configured() else None

    def record(passed: bool) -> None:
        seconds = round(time.monotonic() - started, 6)
        operations_log().append(Record(job, subject, at, passed, seconds, figures))
        if lineage:
            lineage.ended(passed, figures)

    try:
        yield figures
    except Exception as error:
        figures["error"] = one_line(error)
        try:
            record(passed=False)
        except Exception as unrecorded:  # what failed first is what the job tells
            typer.echo(f"not on record: {one_line(unrecorded)}", err=True)
        raise
    record(bool(figures.pop("passed", True)))
