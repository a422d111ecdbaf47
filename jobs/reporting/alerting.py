"""Tell of what broke, and of its end, in the contract's alert channel (§7 alert routing).

An incident is told once when it begins and once when it ends, however often a job finds it in
between. What is to be told is put on record first, and once more when it was delivered: what did
not arrive is sent by the next run, before anything new and in its order. A job that is killed
between sending and recording sends again, so a message may come twice but is never lost.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from textwrap import shorten

import typer
from filelock import FileLock

from contract_checks.evidence.facts import MissingEvidence
from contract_checks.evidence.operations import read_operations
from contract_checks.failure import one_line
from contract_checks.language.contract import Contract
from contract_checks.operations.incidents import Standing, has_ended, key_of, standing
from contract_checks.operations.log import Record
from jobs.reporting.recording import operations_log
from jobs.reporting.webhook import ADDRESS_VARIABLE, UndeliveredError, Webhook, configured
from jobs.repository import ROOT

REPORT_VARIABLE = "FEATURE_STORE_REPORT_URL"

_ALWAYS = datetime.max.replace(tzinfo=UTC)
_LONGEST = 600  # characters


@dataclass(frozen=True)
class News:
    """Whether a clause is broken for a feature now, or for whatever else a job is about."""

    clause: str
    feature: str
    broken: bool
    message: str
    """What broke, or that it is well again."""
    figure: str


def alert(contract: Contract, as_of: datetime, *news: News) -> None:
    """Begin and end the incidents that the news calls for, and deliver all that is undelivered.

    A webhook that is down or missing is told on stderr and fails nothing. Without any news it sends
    again what did not arrive. Where the log cannot be read or written, what is broken is sent all
    the same, before that is raised.
    """
    try:
        # Two jobs at once would both begin the same incident.
        with FileLock(ROOT / "data" / "alerts.lock"):
            _alert(contract, as_of, news)
    except Exception as error:
        _send_without_record(contract, as_of, news, one_line(error))
        raise


def _alert(contract: Contract, as_of: datetime, news: Sequence[News]) -> None:
    alerts = alerts_on_record(contract)
    # A job that took long must not stamp an alert before those told meanwhile.
    at = max([as_of, *(record.at for record in alerts[-1:])])
    before = standing(alerts)
    records = changes(contract, at, news, before)
    if records:
        operations_log().append(*records)
    _deliver([*before.undelivered, *records], contract, at, configured())


def _send_without_record(
    contract: Contract, as_of: datetime, news: Sequence[News], why: str
) -> None:
    """What is broken, whether it was told before or not: there is no log that could say."""
    webhook = configured()
    for record in changes(contract, as_of, news, standing([])):
        text = f"{text_of(record)}\nnot on record: {why}"
        try:
            if webhook is None:
                raise UndeliveredError(f"{ADDRESS_VARIABLE} is not set", again=False)
            webhook.send(text)
        except UndeliveredError as undelivered:
            typer.echo(f"1 alert neither delivered ({undelivered}) nor on record: {text}", err=True)
            return


def alerts_on_record(contract: Contract) -> tuple[Record, ...]:
    """All alerts of the contract's view, oldest first."""
    operations = read_operations(ROOT, _ALWAYS, ["alert"])
    if isinstance(operations, MissingEvidence):
        return ()  # no job has run yet
    return operations.of("alert", contract.view_name)


def changes(
    contract: Contract, as_of: datetime, news: Iterable[News], before: Standing
) -> list[Record]:
    """The records of incidents that begin and end now, not yet delivered."""
    incidents, records = set(before.open), []
    for each in news:
        key = each.clause, each.feature
        if each.broken is (key in incidents):
            continue  # it lasts, or there is none
        incidents ^= {key}
        figures = {
            "clause": each.clause,
            "feature": each.feature,
            "state": "begun" if each.broken else "ended",
            "message": each.message,
            "figure": each.figure,
            "channel": contract.drift.alert_channel,
            "delivered": False,
        }
        records.append(Record("alert", contract.view_name, as_of, passed=False, figures=figures))
    return records


def text_of(told: Record) -> str:
    """The message: what broke, the clause, the figure, and where the report is."""
    figures, state = told.figures, "ended" if has_ended(told) else "begun"
    what = f"{figures.get('message', '')}: {figures.get('figure', '')}"
    return (
        f"{told.subject} {' '.join(key_of(told))} {state}: "
        f"{shorten(what, _LONGEST, placeholder=' …')}\n"
        f"as of {told.at.isoformat()}, report: {_report()}"
    )


def _report() -> str:
    return os.environ.get(REPORT_VARIABLE, "").strip() or (ROOT / "report.html").as_uri()


def _deliver(
    waiting: Sequence[Record], contract: Contract, at: datetime, webhook: Webhook | None
) -> None:
    """Send in order, up to the first that does not arrive: those after it would not either."""
    channel = contract.drift.alert_channel
    for place, record in enumerate(waiting):
        try:
            if webhook is None:
                raise UndeliveredError(f"{ADDRESS_VARIABLE} is not set", again=False)
            webhook.send(text_of(record))
        except UndeliveredError as why:
            _complain(len(waiting) - place, why)
            return
        figures = {**record.figures, "channel": channel, "delivered": True}
        operations_log().append(replace(record, at=at, passed=True, figures=figures))
        typer.echo(f"told {channel}: {text_of(record).splitlines()[0]}")


def _complain(undelivered: int, why: UndeliveredError) -> None:
    many = f"{undelivered} alerts" if undelivered > 1 else "1 alert"
    typer.echo(f"{many} not delivered: {why}; on record, sent by the next run", err=True)
