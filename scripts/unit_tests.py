"""Unit tests: the aggregation on made-up events with known answers (contract §11)."""

from datetime import datetime
from typing import Annotated

import typer

from jobs.own_tables import contract_of_own_tables
from jobs.rehearsal.unit_tests import outcome, unit_tests
from jobs.repository import CONTRACT
from scripts.command_line import DocumentOption, present, refusals_exit, run_job, time_option


def main(
    as_of: Annotated[datetime | None, time_option("When they ran; default now.")] = None,
    document: DocumentOption = CONTRACT,
) -> None:
    """Run the aggregation's tests, and record with what outcome and of which code.

    Exit code 0: all passed; 1: some did not; 2: they could not be run.
    """
    with refusals_exit():
        tested = unit_tests(contract_of_own_tables(document), present(as_of))
    typer.echo(f"{tested.tests} tests, {len(tested.not_passed)} of them did not pass")
    for name, why in tested.not_passed.items():
        typer.echo(f"{why}: {name}")
    raise typer.Exit(outcome(tested).value)


if __name__ == "__main__":
    run_job(main)
