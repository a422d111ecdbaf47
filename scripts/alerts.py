"""The incidents that last and the alerts that wait, and an end to one by a person's word."""

from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from typing import Annotated

import typer
from filelock import FileLock

from contract_checks.clock import instant
from contract_checks.evidence.facts import MissingEvidence
from contract_checks.language.contract import Contract
from contract_checks.language.loader import InvalidContract, load
from contract_checks.operations.incidents import Standing, key_of, standing
from contract_checks.operations.log import Record
from scripts.alerting import alerts_on_record, text_of
from scripts.command_line import CONTRACT, ROOT, DocumentOption, present, refusals_exit, run_job
from scripts.recording import operations_log
from storage.errors import RefusedError


class Action(StrEnum):
    """What to do with the alerts."""

    list = "list"
    drop = "drop"


def main(
    action: Annotated[Action, typer.Argument(help="Show them, or drop one incident.")],
    clause: Annotated[str, typer.Argument(help='Of the incident, such as "§7 warn".')] = "",
    feature: Annotated[str, typer.Argument(help="Of the incident, or its job.")] = "",
    reason: Annotated[
        str, typer.Option(metavar="TEXT", help="Why it is dropped; goes on record.")
    ] = "",
    as_of: Annotated[
        datetime | None,
        typer.Option(parser=instant, metavar="TIME", help="When it was dropped; default now."),
    ] = None,
    document: DocumentOption = CONTRACT,
) -> None:
    """List the incidents that last and the alerts not yet delivered, or drop an incident.

    What is dropped has ended and is sent no more. Should it break again, it begins again.

    Exit code 0: listed, or dropped and on record; 2: refused.
    """
    with refusals_exit(RefusedError, MissingEvidence, InvalidContract):
        contract, moment = load(document), present(as_of)
        if action is Action.list:
            lines = listed(standing(alerts_on_record(contract)))
        else:
            count = drop(contract, (clause, feature), reason, moment)
            lines = [f"dropped {clause} {feature}, of it {count} not delivered: {reason.strip()}"]
    typer.echo("\n".join(lines))


def listed(stand: Standing) -> list[str]:
    """A line per incident that lasts, then one per alert that waits to be delivered."""
    lasting = [
        f"lasts     {' '.join(key)}, since {incident.begun.at.isoformat()}, "
        f"{'told' if incident.told else 'not told yet'}"
        for key, incident in sorted(stand.open.items())
    ]
    waiting = [f"waits     {text_of(alert).splitlines()[0]}" for alert in stand.undelivered]
    return [*lasting, *waiting] or ["no incident lasts, and no alert waits"]


def drop(contract: Contract, key: tuple[str, str], reason: str, at: datetime) -> int:
    """End an incident and let none of its alerts wait any more; how many of them did.

    Raises:
        RefusedError: no reason is given, or there is no such incident.
    """
    if not reason.strip():
        raise RefusedError("nothing is dropped without a reason, which goes on record: --reason")
    with FileLock(ROOT / "data" / "alerts.lock"):
        alerts = alerts_on_record(contract)
        stand = standing(alerts)
        waiting = [alert for alert in stand.undelivered if key_of(alert) == key]
        incident = stand.open.get(key)
        if not waiting and incident is None:
            raise RefusedError(
                f"no incident {' '.join(key).strip() or 'named'} of {contract.view_name}: "
                "scripts/alerts.py list shows them, clause and feature"
            )
        at = max(at, alerts[-1].at)
        ended = [_ended(incident.begun)] if incident else []
        operations_log().append(
            *(_dropped(alert, reason.strip(), at) for alert in (*waiting, *ended))
        )
    return len(waiting)


def _ended(begun: Record) -> Record:
    return replace(begun, figures={**begun.figures, "state": "ended"})


def _dropped(alert: Record, reason: str, at: datetime) -> Record:
    return replace(alert, at=at, figures={**alert.figures, "dropped": reason})


if __name__ == "__main__":
    run_job(main)
