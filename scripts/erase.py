"""Erasure: one customer leaves every store, and a search of everything proves it."""

import os
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import typer
from rich.table import Table

from contract_checks.console import console
from feature_access.training.hashing import hash_key_from
from feature_pipeline.erasure.residual_search import Searched
from jobs.own_tables import contract_of_own_tables
from jobs.privacy.customer import identity_of
from jobs.privacy.erase import erase, planned, redacting_errors
from jobs.privacy.erased_rows import Step
from jobs.repository import CONTRACT, feature_store
from scripts.command_line import DocumentOption, present, refusals_exit, run_job, time_option

AFTERWARDS = (
    "run scripts/refresh.py, then scripts/backfill.py: §6 and §11 are judged on what is left"
)


def main(
    customer_id: Annotated[
        str, typer.Argument(metavar="CUSTOMER_ID", help="Whom; - reads it from standard input.")
    ],
    as_of: Annotated[datetime | None, time_option("When it is done; default now.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say how many rows would go, and change nothing.")
    ] = False,
    document: DocumentOption = CONTRACT,
) -> None:
    """Erase one customer everywhere, and search every file and online key for what is left.

    The key that training sets are hashed with comes from FEATURE_STORE_HASH_KEY. Safe to run again.
    Exit code 0: nothing is left; 1: something is, and is named; 2: refused, nothing erased.
    """
    with refusals_exit():
        contract, key = contract_of_own_tables(document), hash_key_from(os.environ)
        moment, store = present(as_of), feature_store()
        named = sys.stdin.readline().rstrip("\r\n") if customer_id == "-" else customer_id
        identity = identity_of(contract, named, key, store)
        with redacting_errors(identity):
            if dry_run:
                console().print(_steps_table(planned(store, identity, key, moment), "would go"))
                return
            steps, searched = erase(store, contract, identity, key, moment)
    console().print(_steps_table(steps, "rows gone"))
    console().print(_search_table(searched))
    left = [place for place in searched if not place.is_clean]
    for place in left:
        typer.echo(f"left: {place.place}: {place.unread or f'{place.found:,} found'}")
    typer.echo(f"{len(searched)} places searched, something left in {len(left)}")
    typer.echo(AFTERWARDS)
    raise typer.Exit(1 if left else 0)


def _steps_table(steps: Sequence[Step], heading: str) -> Table:
    table = Table("store", title="Erasure", title_justify="left")
    table.add_column(heading, justify="right")
    for step in steps:
        table.add_row(step.store, f"{step.rows:,}")
    return table


def _search_table(searched: Sequence[Searched]) -> Table:
    table = Table("place", "looked at", title="Searched", title_justify="left")
    table.add_column("found", justify="right")
    for place in searched:
        table.add_row(place.place, place.looked_at, place.unread or f"{place.found:,}")
    return table


if __name__ == "__main__":
    run_job(main)
