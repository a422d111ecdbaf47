"""Load test: look customers up online, on a schedule, and time every answer."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from contract_checks.clock import instant
from contract_checks.console import console
from contract_checks.findings import Outcome, worst_of
from contract_checks.language.contract import Contract
from contract_checks.language.loader import InvalidContract
from contract_checks.language.sentence import spell
from contract_checks.measures.proportions import at_most, upper_bound
from scripts.command_line import CONTRACT, ROOT, DocumentOption, present, refusals_exit, run_job
from scripts.own_tables import contract_of_own_tables
from scripts.recording import digests_of, recorded
from scripts.sampling import pinned_service, sampled
from storage.errors import RefusedError

if TYPE_CHECKING:
    from feast import FeatureStore

    from feature_access.load_test import LoadTest

_CUSTOMERS = 1_000
_PERCENTILES = (50.0, 95.0, 99.0)


def main(
    as_of: Annotated[
        datetime | None,
        typer.Option(parser=instant, metavar="TIME", help="Whom to ask for; default now."),
    ] = None,
    requests: Annotated[int, typer.Option(help="Look-ups, one customer each.", min=1)] = 3_000,
    rate: Annotated[float, typer.Option(help="Look-ups a second.", min=0.001)] = 500,
    document: DocumentOption = CONTRACT,
) -> None:
    """Look customers up at a fixed rate; a look-up's latency counts from when it was due.

    Exit code 0: within the contract's latency and error rate; 1: not; 2: refused, or too few.
    """
    from feature_access.registry import open_store

    with refusals_exit(RefusedError, InvalidContract):
        contract, moment = contract_of_own_tables(document), present(as_of)
        measured = load_test(open_store(ROOT), contract, moment, requests, rate)
    console().print(_table(measured, contract))
    judged = outcome(measured, contract)
    typer.echo(f"{judged.name.lower()}: {requests:,} requests at {rate:g} a second")
    raise typer.Exit(judged.value)


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
        figures |= {f"p{p:g}_ms": measured.latency(p) for p in _percentiles(contract)}
        figures["histogram"] = measured.histogram()
        figures |= {"outcome": judged.name.lower(), "passed": judged is Outcome.KEPT}
    return measured


def outcome(measured: "LoadTest", contract: Contract) -> Outcome:
    """The latency as measured; the error rate as shown with 95% confidence (§11)."""
    promised = contract.test_plan.performance
    slow = _ms(promised.maximum_latency) < measured.latency(promised.latency_percentile)
    errors = at_most(promised.maximum_error_rate, measured.errors, measured.requests)
    return worst_of([Outcome.BROKEN if slow else Outcome.KEPT, Outcome[errors.upper()]])


def _percentiles(contract: Contract) -> list[float]:
    return sorted({*_PERCENTILES, contract.test_plan.performance.latency_percentile})


def _table(measured: "LoadTest", contract: Contract) -> Table:
    promised = contract.test_plan.performance
    table = Table("figure", "measured", "promised", title="Load test", title_justify="left")
    for p in _percentiles(contract):
        limit = f"≤ {spell(promised.maximum_latency)}" if p == promised.latency_percentile else ""
        table.add_row(f"p{p:g}", f"{measured.latency(p):.2f} ms", limit)
    bound = upper_bound(measured.errors, measured.requests)
    rate = f"{measured.error_rate:.3%} ({measured.errors:,}), at most {bound:.3%}"
    table.add_row("error rate", rate, f"≤ {promised.maximum_error_rate:.3%}")
    for failure, count in measured.failures.items():
        table.add_row(failure, f"{count:,}", "")
    return table


def _ms(duration: timedelta) -> float:
    return duration / timedelta(milliseconds=1)


if __name__ == "__main__":
    run_job(main)
