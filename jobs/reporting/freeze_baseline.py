"""Freeze the baseline that drift is measured from (contract §7)."""

from datetime import UTC, datetime
from typing import Any

from contract_checks.evidence.declared import RegisteredView
from contract_checks.evidence.drift import freeze
from contract_checks.evidence.facts import MissingEvidence, there
from contract_checks.evidence.operations import read_operations
from contract_checks.evidence.registry import read_registry
from contract_checks.language.contract import Contract
from jobs.reporting.recording import recorded
from jobs.repository import ROOT

_ALWAYS = datetime.max.replace(tzinfo=UTC)


def freeze_baseline(contract: Contract, as_of: datetime) -> dict[str, Any]:
    """Freeze the baseline, and leave its figures on record.

    Raises:
        MissingEvidence: there is nothing to freeze, or the version was promoted since `as_of`.
    """
    view = registered(contract.view_name)
    promoted = promoted_at(contract)
    if promoted and as_of < promoted:
        raise MissingEvidence(
            f"{view.name} was promoted at {promoted.isoformat()}: a baseline of an earlier time "
            "would take the place of the one it was promoted with"
        )
    with recorded("baseline", view.name, as_of) as figures:
        figures |= freeze(contract, view, as_of)
    return figures


def is_frozen(contract: Contract, as_of: datetime) -> bool:
    """Whether a baseline of the contract's version is on record."""
    operations = read_operations(ROOT, as_of)
    if isinstance(operations, MissingEvidence):
        return False  # no job has run yet
    return any(record.passed for record in operations.of("baseline", contract.view_name))


def registered(name: str) -> RegisteredView:
    """The feature view as it is registered.

    Raises:
        MissingEvidence: there is no registry, or no such view in it.
    """
    registry = there(read_registry(ROOT))
    if name not in registry.views:
        raise MissingEvidence(f"feature view {name} is not registered: run `feast apply`")
    return registry.views[name]


def promoted_at(contract: Contract) -> datetime | None:
    """When the version was last promoted."""
    operations = read_operations(ROOT, _ALWAYS)
    if isinstance(operations, MissingEvidence):
        return None  # no job has run yet
    promotions = operations.of("promotion", contract.view_name)
    return max((record.at for record in promotions if record.passed), default=None)
