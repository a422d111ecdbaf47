"""What of a contract decides what events come to, for the jobs that make or recount the log."""

from contract_checks.language.contract import Contract
from feature_pipeline.erasure.erased_customers import ErasedCustomers
from feature_pipeline.refreshed import Terms


def terms_of(contract: Contract, erased: ErasedCustomers) -> Terms:
    """The terms of contract §3, and who was erased (§9)."""
    time = contract.time
    return Terms(time.lookback, time.allowed_lateness, erased, time.timezone)
