"""How far back each store, log, baseline and training set reaches (§9 retention)."""

from collections.abc import Sequence
from datetime import datetime

from contract_checks.evidence.declared import RegisteredView
from contract_checks.evidence.facts import MissingEvidence, OnlineStore, Operations, TrainingSet
from contract_checks.evidence.stored import StoredTable, events_of, offline_of, quarantine_of
from contract_checks.evidence.tables import ARRIVAL
from contract_checks.language.contract import Contract

WITHOUT_ENTITIES = {"promotion", "rollback", "baseline", "check"}
"""Records that tell of versions, not of entities; a baseline is judged by its own window."""


def read_oldest(
    contract: Contract,
    view: RegisteredView,
    operations: Operations,
    online: OnlineStore,
    training_sets: Sequence[TrainingSet],
) -> dict[str, datetime]:
    """The oldest instant each holds; what holds nothing is left out.

    Raises:
        MissingEvidence: there is no offline table.
    """
    offline = offline_of(view)
    if not offline.is_there():
        raise MissingEvidence(f"no offline table at {offline}: run scripts/refresh.py")
    times = (contract.time.event_timestamp, ARRIVAL)
    found = {
        "offline": offline.oldest(view.timestamp_field),
        "online": online.oldest,
        "events": _oldest(events_of(contract, view), *times),
        "quarantine": _oldest(quarantine_of(contract, view), *times),
        "operations log": min(
            (r.at for r in operations.records if r.job not in WITHOUT_ENTITIES), default=None
        ),
        "baseline": min(
            (
                datetime.fromisoformat(r.figures["from"])
                for r in operations.of("baseline", contract.view_name)
                if r.passed
            ),
            default=None,
        ),
        "training sets": min((t.oldest for t in training_sets if t.oldest), default=None),
    }
    return {store: oldest for store, oldest in found.items() if oldest is not None}


def _oldest(table: StoredTable, *columns: str) -> datetime | None:
    return table.oldest(*columns) if table.is_there() else None
