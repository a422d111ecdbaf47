"""Load test: look customers up online, on a schedule, and time every answer."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from contract_checks.console import console
from contract_checks.language.contract import Contract
from contract_checks.language.sentence import spell
from contract_checks.measures.proportions import upper_bound
from jobs.own_tables import contract_of_own_tables
from jobs.rehearsal.load_test import load_test, outcome, percentiles
from jobs.repository import CONTRACT, feature_store
from scripts.command_line import DocumentOption, present, refusals_exit, run_job, time_option

if TYPE_CHECKING:
    from feature_access.load_test import LoadTest


def main(
    as_of: Annotated[datetime | None, time_option("Whom to ask for; default now.")] = None,
    requests: Annotated[int, typer.Option(help="Look-ups, one customer each.", min=1)] = 3_000,
    rate: Annotated[float, typer.Option(help="Look-ups a second.", min=0.001)] = 500,
    document: DocumentOption = CONTRACT,
) -> None:
    """Look customers up at a fixed rate; a look-up's latency counts from when it was due.

    Exit code 0: within the contract's latency and error rate; 1: not; 2: refused, or too few.
    """
    with refusals_exit():
        contract, moment = contract_of_own_tables(document), present(as_of)
        measured = load_test(feature_store(), contract, moment, requests, rate)
    console().print(_table(measured, contract))
    judged = outcome(measured, contract)
    typer.echo(f"{judged.name.lower()}: {requests:,} requests at {rate:g} a second")
    raise typer.Exit(judged.value)


def _table(measured: "LoadTest", contract: Contract) -> Table:
    promised = contract.test_plan.performance
    table = Table("figure", "measured", "promised", title="Load test", title_justify="left")
    limits = {latency.percentile: f"≤ {spell(latency.maximum)}" for latency in promised.latencies}
    for p in percentiles(contract):
        limit = limits.get(p, "")
        table.add_row(f"p{p:g}", f"{measured.latency(p):.2f} ms", limit)
    bound = upper_bound(measured.errors, measured.requests)
    rate = f"{measured.error_rate:.3%} ({measured.errors:,}), at most {bound:.3%}"
    table.add_row("error rate", rate, f"≤ {promised.maximum_error_rate:.3%}")
    for failure, count in measured.failures.items():
        table.add_row(failure, f"{count:,}", "")
    return table


if __name__ == "__main__":
    run_job(main)
