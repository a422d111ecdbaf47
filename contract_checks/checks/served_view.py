"""The feature view a contract is served by."""

from contract_checks.contract import Contract
from contract_checks.evidence import Evidence, RegisteredView


def served_name(contract: Contract) -> str:
    """`<feature>_<version>`: a version is a view of its own, so that two can be served at once."""
    return f"{contract.overview.feature_name}_{contract.overview.version}"


def served_view(contract: Contract, evidence: Evidence) -> RegisteredView:
    """The registered view.

    Raises:
        MissingEvidence: it is not registered.
    """
    return evidence.view(served_name(contract))
