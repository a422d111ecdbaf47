"""Retention: what is older than contract §9 allows leaves every store, and stays gone."""

from datetime import datetime, timedelta
from typing import Annotated

import typer
from rich.table import Table

from contract_checks.console import console
from contract_checks.language.sentence import spell
from jobs.own_tables import contract_of_own_tables
from jobs.privacy.retain import Retention, planned, retain
from jobs.repository import CONTRACT, feature_store
from scripts.command_line import DocumentOption, present, refusals_exit, run_job, time_option


def main(
    as_of: Annotated[datetime | None, time_option("Retention counts back from this time.")] = None,
    ahead_hours: Annotated[
        int, typer.Option(help="Also what grows too old within so many hours.", min=0)
    ] = 0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would go, and change nothing.")
    ] = False,
    document: DocumentOption = CONTRACT,
) -> None:
    """Let go of all that is older than the contract's retention (§9). Safe to run again.

    Exit code 0: nothing is older any more, but for what is named; 2: refused.
    """
    with refusals_exit():
        contract, moment = contract_of_own_tables(document), present(as_of)
        store = feature_store()
        ahead = timedelta(hours=ahead_hours)
        done = (planned if dry_run else retain)(store, contract, moment, ahead)
    console().print(_table(done, dry_run))
    for reason in done.staying:
        typer.echo(f"stays: {reason}")
    typer.echo(f"kept: {spell(contract.privacy.retention)}, from {done.cutoff.isoformat()} on")


def _table(done: Retention, dry_run: bool) -> Table:
    table = Table("store", title="Retention", title_justify="left")
    table.add_column("would go" if dry_run else "rows gone", justify="right")
    for held in done.stores:
        table.add_row(held.name, f"{held.rows:,}")
    return table


if __name__ == "__main__":
    run_job(main)
