"""Roll back: let the feature's service serve the version before (contract §10)."""

from datetime import datetime
from typing import TYPE_CHECKING

from contract_checks.evidence.facts import there
from contract_checks.evidence.operations import read_operations
from contract_checks.evidence.versions import moves_of_the_pointer, version_before
from contract_checks.language.contract import Contract
from jobs.release.pointer_moves import finish, move, unfinished
from jobs.repository import ROOT
from storage.errors import RefusedError

if TYPE_CHECKING:
    from feast import FeatureStore


def roll_back(store: "FeatureStore", contract: Contract, as_of: datetime) -> str:
    """Move the pointer back, on record, and return the view it serves now.

    A rollback that was killed once readers saw it is not done again, but put on record.

    Raises:
        RefusedError: there is no version before, or it is not registered and materialized.
        MissingEvidence: no promotion is on record.
    """
    served, before = served_and_before(store, contract, as_of)
    killed = finish(store, contract, as_of)
    if killed is None or killed.job != "rollback":
        move(store, contract, "rollback", before, as_of, {"from": served})
    return before


def served_and_before(
    store: "FeatureStore", contract: Contract, as_of: datetime
) -> tuple[str, str]:
    from feature_pipeline.online.pointer import pointed_at

    feature = contract.overview.feature_name
    operations = there(read_operations(ROOT, as_of))
    killed = unfinished(store, contract, as_of)
    if killed is not None and killed.job == "rollback":
        return str(killed.figures["from"]), killed.subject
    served = pointed_at(store, feature)
    moves = moves_of_the_pointer(contract, operations) + ((killed,) if killed else ())
    if served not in {r.subject for r in moves if r.job == "promotion"}:
        raise RefusedError(f"service {feature} serves {served}, whose promotion is not on record")
    before = version_before(moves, served)
    if before is None:
        raise RefusedError(f"no version of {feature} was promoted before {served}")
    return served, before
