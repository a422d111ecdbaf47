"""The feature view a contract is served by."""

from contract_checks.evidence.declared import RegisteredView
from contract_checks.evidence.evidence import Evidence
from contract_checks.language.contract import Contract


def served_view(contract: Contract, evidence: Evidence) -> RegisteredView:
    """The registered view.

    Raises:
        MissingEvidence: it is not registered.
    """
    return evidence.view(contract.view_name)
