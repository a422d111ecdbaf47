"""Tell the alert channel of a scheduled job that fails, and of the next run that does not.

A refusal is not such a failure: it has its own words and exit code, for whoever ran the job. That
of upstream is one: nothing new arrives from then on, whoever ran it.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any

from contract_checks.clock import now
from contract_checks.failure import one_line
from contract_checks.language.contract import Contract
from contract_checks.language.loader import load
from jobs.repository import CONTRACT, EVENTS, NotBegunError

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
    except Exception as error:
        code = getattr(error, "exit_code", None)  # of a command line, which has told the rest
        failed = error if code is None else error.__context__
        if code not in (None, 2):
            _end(clause, job, given)
        elif failed and (code is None or (job == _UPSTREAM and not _is_the_callers(failed, given))):
            with suppress(Exception):  # what failed first is what to tell; `alert` tells of itself
                _begin(clause, job, given, failed)
        raise
    _end(clause, job, given)


def _is_the_callers(refusal: BaseException, given: Mapping[str, Any]) -> bool:
    """Whether whoever named a file or a time was refused, and not upstream."""
    return isinstance(refusal, NotBegunError) or given.get("events") != EVENTS


# The log and the channel are imported late: most jobs are on no schedule, and need neither.


def _look_for_the_log(given: Mapping[str, Any]) -> None:
    from jobs.reporting.recording import operations_log

    if not operations_log().is_begun():
        from jobs.reporting.lost_log import tell_of_a_lost_log

        tell_of_a_lost_log(*_of(given))


def _begin(clause: str, job: str, given: Mapping[str, Any], error: BaseException) -> None:
    from jobs.reporting.alerting import News, alert

    contract, at = _of(given)
    alert(contract, at, News(clause, job, True, f"{job} failed", one_line(error)))


def _end(clause: str, job: str, given: Mapping[str, Any]) -> None:
    from contract_checks.operations.incidents import standing
    from jobs.reporting.alerting import News, alert, alerts_on_record

    contract, at = _of(given)
    if (clause, job) in standing(alerts_on_record(contract)).open:
        alert(contract, at, News(clause, job, False, f"{job} runs again", "no failure"))


def _of(given: Mapping[str, Any]) -> tuple[Contract, datetime]:
    return load(given.get("document", CONTRACT)), given.get("as_of") or now()
