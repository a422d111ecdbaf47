"""Backfill validation: recompute a stretch of history and compare it with what is on record."""

from datetime import datetime
from typing import Annotated

import duckdb
import typer

from contract_checks.language.sentence import spell
from jobs.own_tables import contract_of_own_tables
from jobs.rehearsal.backfill import backfill, outcome
from jobs.repository import CONTRACT
from scripts.command_line import DocumentOption, present, refusals_exit, run_job, steps, time_option


def main(
    as_of: Annotated[datetime | None, time_option("History up to this; default now.")] = None,
    document: DocumentOption = CONTRACT,
) -> None:
    """Recompute the stretch of history that ends with the last refresh, and compare every row.

    Exit code 0: equal; 1: some rows differ; 2: refused.
    """
    with (
        refusals_exit(duckdb.Error),
        steps() as on_step,
    ):
        contract = contract_of_own_tables(document)
        compared = backfill(contract, present(as_of), on_step)
    typer.echo(
        f"{compared.rows:,} rows of {spell(contract.test_plan.backfill_window)} recomputed, "
        f"{compared.differing:,} differ"
    )
    for cause, keys in compared.causes.items():
        typer.echo(f"{keys:,} × {cause}")
    for row in compared.sample:
        typer.echo(row)
    raise typer.Exit(outcome(compared).value)


if __name__ == "__main__":
    run_job(main)
