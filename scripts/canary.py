"""Canary materialization: a few customers, materialized apart from what is served, read back."""

from datetime import datetime
from typing import Annotated

import typer

from jobs.own_tables import contract_of_own_tables
from jobs.rehearsal.canary import canary, outcome
from jobs.repository import CONTRACT, feature_store
from scripts.command_line import DocumentOption, present, refusals_exit, run_job, time_option


def main(
    as_of: Annotated[datetime | None, time_option("Materialize up to this; default now.")] = None,
    customers: Annotated[
        int, typer.Option(help="Customers of the slice.", min=1, max=10_000)
    ] = 200,
    document: DocumentOption = CONTRACT,
) -> None:
    """Materialize a slice of customers into a namespace of its own, read it back and remove it.

    Exit code 0: every customer has the offline values; 1: some have not; 2: refused.
    """
    with refusals_exit():
        contract, moment = contract_of_own_tables(document), present(as_of)
        compared = canary(feature_store(), contract, moment, customers)
    typer.echo(f"{compared.rows:,} customers materialized, {compared.differing:,} differ")
    raise typer.Exit(outcome(compared).value)


if __name__ == "__main__":
    run_job(main)
