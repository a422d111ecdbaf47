"""Move the pointer, on record: whatever instant that is killed at, the next run ends it rightly.

Registry and operations log are two places, which no one write reaches together. So the move is on
record as begun, then the registry is written at once, then the move is on record as done. Killed
before the registry was written, nothing was moved, and the log says so; killed after it, the next
promotion or rollback finds the pointer where the move that was begun led, and puts that on record.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from contract_checks.evidence.facts import MissingEvidence
from contract_checks.evidence.operations import read_operations
from contract_checks.evidence.versions import moves_of_the_pointer
from contract_checks.language.contract import Contract
from contract_checks.operations.log import Record
from jobs.reporting.lineage import pointer_flow
from jobs.reporting.recording import operations_log, recorded
from jobs.repository import ROOT

if TYPE_CHECKING:
    from feast import FeatureStore

_BEGUN = "begun"


def move(
    store: "FeatureStore",
    contract: Contract,
    job: str,
    view: str,
    as_of: datetime,
    figures: Mapping[str, Any],
) -> None:
    """Let the feature's service serve the view, as a `promotion` or `rollback` on record.

    Raises:
        RefusedError: the view is not registered or was never materialized; nothing was moved.
    """
    from feature_pipeline.online.pointer import point, refuse_unless_servable

    with recorded(job, view, as_of, pointer_flow(contract, view)) as done:
        done |= figures
        refuse_unless_servable(store, view)
        begun = {**figures, _BEGUN: True}
        operations_log().append(Record(job, view, as_of, passed=False, figures=begun))
        point(store, contract.overview.feature_name, view)


def unfinished(store: "FeatureStore", contract: Contract, as_of: datetime) -> Record | None:
    """The move that readers saw and that is not on record as done, as it should be there."""
    from feature_pipeline.online.pointer import pointed_at

    operations = read_operations(ROOT, as_of)
    if isinstance(operations, MissingEvidence):
        return None  # no job has run yet
    done = moves_of_the_pointer(contract, operations)
    begun = [r for r in operations.records if r.figures.get(_BEGUN)]
    mine = [r for r in begun if contract.has_version(r.subject)]
    served = pointed_at(store, contract.overview.feature_name)
    if not mine or mine[-1].subject != served or (done and done[-1].subject == served):
        return None
    told = {name: figure for name, figure in mine[-1].figures.items() if name != _BEGUN}
    return replace(mine[-1], passed=True, figures=told)


def finish(store: "FeatureStore", contract: Contract, as_of: datetime) -> Record | None:
    """Put the unfinished move on record as done, where there is one."""
    if (record := unfinished(store, contract, as_of)) is not None:
        operations_log().append(record)
    return record


def to_declare(service: str, view: str) -> str:
    """What is left to a person once the pointer has moved."""
    return (
        f"declare service {service} with {view} in feature_repo/ now: until then `feast apply` "
        "refuses to register anything"
    )
