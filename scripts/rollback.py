"""Roll back: let the feature's service serve the version before (contract §10)."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from jobs.own_tables import contract_of_own_tables
from jobs.release.pointer_moves import to_declare
from jobs.release.rollback import roll_back, served_and_before
from jobs.repository import CONTRACT, feature_store
from scripts.command_line import present, refusals_exit, run_job, time_option


def main(
    contract: Annotated[
        Path, typer.Option(help="Any document of the feature.", metavar="FILE")
    ] = CONTRACT,
    as_of: Annotated[datetime | None, time_option("As of this time; default now.")] = None,
    dry_run: Annotated[bool, typer.Option(help="Say what would be done, and do nothing.")] = False,
) -> None:
    """Point the feature's service back at what it served before its version was promoted.

    Readers see it with the next refresh of their registry; nothing is deployed.

    Exit code 0: rolled back; 2: refused: no version before, or it cannot be served.
    """
    with refusals_exit():
        moment = present(as_of)
        terms = contract_of_own_tables(contract)
        store = feature_store()
        served, before = served_and_before(store, terms, moment)
        if not dry_run:
            roll_back(store, terms, moment)
    done = "would serve" if dry_run else "serves"
    typer.echo(f"service {terms.overview.feature_name} {done} {before} in place of {served}")
    if not dry_run:
        typer.echo(to_declare(terms.overview.feature_name, before))


if __name__ == "__main__":
    run_job(main)
