"""The incidents that last and the alerts that wait, and an end to one by a person's word."""

from dataclasses import replace
from datetime import datetime

from filelock import FileLock

from contract_checks.language.contract import Contract
from contract_checks.operations.incidents import Standing, key_of, standing
from contract_checks.operations.log import Record
from jobs.reporting.alerting import alerts_on_record, text_of
from jobs.reporting.recording import operations_log
from jobs.repository import ROOT
from storage.errors import RefusedError


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
