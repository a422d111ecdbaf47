"""Load test: look customers up online, on a schedule, and time every answer."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from contract_checks.findings import Outcome, worst_of
from contract_checks.language.contract import Contract
from contract_checks.measures.proportions import at_most
from jobs.rehearsal.sampling import pinned_service, sampled
from jobs.reporting.recording import digests_of, recorded

if TYPE_CHECKING:
    from feast import FeatureStore

    from feature_access.load_test import LoadTest

_CUSTOMERS = 1_000
_PERCENTILES = (50.0, 95.0, 99.0)


def load_test(
    store: "FeatureStore",
    contract: Contract,
    as_of: datetime,
    requests: int = 3_000,
    rate: float = 500,
) -> "LoadTest":
    """Time look-ups of customers known at `as_of`, and leave a record.

    Raises:
        RefusedError: nothing is registered, or there is no customer to look up.
    """
    from feature_access import load_test as measuring

    service = pinned_service(store, contract)
    customers = sampled(store, contract, as_of, _CUSTOMERS).to_pylist()
    with recorded("load_test", contract.view_name, as_of) as figures:
        figures["files"] = digests_of("feature_access", "storage")
        measured = measuring.load_test(store, service.name, customers, requests=requests, rate=rate)
        judged = outcome(measured, contract)
        figures |= {"requests": requests, "rate": rate, "errors": measured.errors}
        figures["error_rate"] = measured.error_rate
        figures |= {f"p{p:g}_ms": measured.latency(p) for p in percentiles(contract)}
        figures["histogram"] = measured.histogram()
        figures |= {"outcome": judged.name.lower(), "passed": judged is Outcome.KEPT}
    return measured


def outcome(measured: "LoadTest", contract: Contract) -> Outcome:
    """The latency as measured; the error rate as shown with 95% confidence (§11)."""
    promised = contract.test_plan.performance
    slow = any(_ms(p.maximum) < measured.latency(p.percentile) for p in promised.latencies)
    errors = at_most(promised.maximum_error_rate, measured.errors, measured.requests)
    return worst_of([Outcome.BROKEN if slow else Outcome.KEPT, Outcome[errors.upper()]])


def percentiles(contract: Contract) -> list[float]:
    promised = {latency.percentile for latency in contract.test_plan.performance.latencies}
    return sorted({*_PERCENTILES, *promised})


def _ms(duration: timedelta) -> float:
    return duration / timedelta(milliseconds=1)
