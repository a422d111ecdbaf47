"""Tell the alert channel of a scheduled job that fails, and of the next run that does not.

A refusal is not such a failure: it has its own words and exit code, for whoever ran the job. That
of upstream is one: nothing new arrives from then on, whoever ran it.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any, TypeGuard

import typer

from contract_checks.clock import now
from contract_checks.failure import one_line
from contract_checks.language.contract import Contract
from contract_checks.language.loader import load
from scripts.command_line import CONTRACT, EVENTS, NotBegunError

_CLAUSES = {
    "ingest": "§4 upstream dependencies",
    "refresh": "§4 refresh cadence",
    "drift": "§7 alert routing",
    "retain": "§9 retention policy",
    "rehearse": "§11 test plan",
    "backfill": "§11 backfill validation",
    "access_review": "§9 audit requirements",
}
"""What is not kept while a job of the schedules fails."""
_UPSTREAM = "ingest"
_TELLS_ITSELF = "refresh"
"""It does so from its first step to its verdict, refusals included."""


@contextmanager
def job_failure_told(job: str, given: Mapping[str, Any]) -> Iterator[None]:
    """Begin an incident where the block fails, and end it where it does not.

    `given` are the arguments of its command line.
    """
    clause = _CLAUSES.get(job)
    if clause and not given.get("dry_run"):
        with suppress(Exception):  # what cannot be read is the job's own to tell
            _look_for_the_log(given)
    if clause is None or job == _TELLS_ITSELF or given.get("dry_run"):
        yield
        return
    try:
        yield
    except typer.Exit as ended:
        if ended.exit_code != 2:
            _end(clause, job, given)
        elif job == _UPSTREAM and _delivers_nothing(ended.__context__, given):
            with suppress(Exception):  # the refusal is told and on record without it
                _begin(clause, job, given, ended.__context__)
        raise
    except Exception as error:
        with suppress(Exception):  # what failed first is what to tell; `alert` tells of itself
            _begin(clause, job, given, error)
        raise
    _end(clause, job, given)


def _delivers_nothing(
    refusal: BaseException | None, given: Mapping[str, Any]
) -> TypeGuard[BaseException]:
    """Whether it is upstream that was refused, and not whoever named a file or a time."""
    caller = isinstance(refusal, NotBegunError) or given.get("events") != EVENTS
    return refusal is not None and not caller


# The log and the channel are imported late: most jobs are on no schedule, and need neither.


def _look_for_the_log(given: Mapping[str, Any]) -> None:
    from scripts.recording import operations_log

    if not operations_log().is_begun():
        from scripts.lost_log import tell_of_a_lost_log

        tell_of_a_lost_log(*_of(given))


def _begin(clause: str, job: str, given: Mapping[str, Any], error: BaseException) -> None:
    from scripts.alerting import News, alert

    contract, at = _of(given)
    alert(contract, at, News(clause, job, True, f"{job} failed", one_line(error)))


def _end(clause: str, job: str, given: Mapping[str, Any]) -> None:
    from contract_checks.operations.incidents import standing
    from scripts.alerting import News, alert, alerts_on_record

    contract, at = _of(given)
    if (clause, job) in standing(alerts_on_record(contract)).open:
        alert(contract, at, News(clause, job, False, f"{job} runs again", "no failure"))


def _of(given: Mapping[str, Any]) -> tuple[Contract, datetime]:
    return load(given.get("document", CONTRACT)), given.get("as_of") or now()
