"""Incidents: what the alerts on record say has begun, was told, and has ended.

An incident is one clause broken for one feature. Its beginning and its end are put on record as not
yet delivered, and once more when they are: so nothing that happens in between loses a message. A
person may drop what is never to be delivered; the reason is on record.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from contract_checks.operations.log import Record

Key = tuple[str, str]
"""Clause and feature."""


@dataclass(frozen=True)
class Incident:
    """One that has begun and not ended."""

    begun: Record
    told: bool
    """Whether its beginning was delivered."""


@dataclass(frozen=True)
class Standing:
    """Where matters stand after all alerts on record."""

    open: dict[Key, Incident]
    undelivered: tuple[Record, ...]
    """Oldest first."""


def key_of(alert: Record) -> Key:
    """The incident that an alert is of."""
    return str(alert.figures.get("clause", "")), str(alert.figures.get("feature", ""))


def has_ended(alert: Record) -> bool:
    """Whether an alert says that its incident is over."""
    return alert.figures.get("state") == "ended"


def was_delivered(alert: Record) -> bool:
    """Whether an alert says that it arrived."""
    return alert.figures.get("delivered") is True


def is_settled(alert: Record) -> bool:
    """Whether an alert awaits delivery no more: it arrived, or was dropped with a reason."""
    return was_delivered(alert) or "dropped" in alert.figures


def standing(alerts: Iterable[Record]) -> Standing:
    """Where the alerts of one feature view, oldest first, leave its incidents."""
    incidents: dict[Key, Incident] = {}
    waiting: list[Record] = []
    for alert in alerts:
        key = key_of(alert)
        awaited = _awaited(alert, waiting)
        if awaited is not None:
            # It tells what is on record already, and begins or ends nothing.
            waiting.remove(awaited)
            if key in incidents and incidents[key].begun is awaited:
                incidents[key] = replace(incidents[key], told=was_delivered(alert))
            continue
        if not is_settled(alert):
            waiting.append(alert)
        if has_ended(alert):
            incidents.pop(key, None)
        else:
            incidents.setdefault(key, Incident(alert, was_delivered(alert)))
    return Standing(incidents, tuple(waiting))


def _awaited(alert: Record, waiting: list[Record]) -> Record | None:
    """The oldest undelivered alert that this one settles."""
    if not is_settled(alert):
        return None
    said = key_of(alert), has_ended(alert)
    return next((each for each in waiting if (key_of(each), has_ended(each)) == said), None)
