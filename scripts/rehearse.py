"""Rehearse a version: every job that contract §11 asks for, before a promotion and every day."""

from datetime import datetime
from typing import Annotated

import typer

from jobs.own_tables import contract_of_own_tables
from jobs.rehearsal.rehearse import REFUSALS, Rehearsed, rehearse_and_tell
from jobs.repository import CONTRACT, feature_store
from scripts.command_line import DocumentOption, present, refusals_exit, run_job, time_option


def main(
    as_of: Annotated[datetime | None, time_option("Rehearse as of this; default now.")] = None,
    document: DocumentOption = CONTRACT,
) -> None:
    """Run unit tests, backfill, canary, shadow reads and load test, as a promotion does. Run daily.

    What each leaves on record counts for the days that §11 has validated. One that is refused keeps
    none of the others from running; one that breaks its clause is told to the alert channel.

    Exit code 0: all passed; 1: one did not; 2: one was refused, or was too small to tell.
    """
    with refusals_exit(*REFUSALS):
        contract, moment = contract_of_own_tables(document), present(as_of)
        store = feature_store()
    raise typer.Exit(rehearse_and_tell(store, contract, moment, _show).value)


def _show(name: str, done: Rehearsed) -> None:
    typer.echo(f"{done.outcome.name.lower():<8}{name}: {done.figure}")


if __name__ == "__main__":
    run_job(main)
