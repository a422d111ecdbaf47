"""Access review: who read the feature in the review period (contract §9)."""

from datetime import datetime
from typing import Annotated

import typer
from rich.table import Table

from contract_checks.clock import now
from contract_checks.console import console
from contract_checks.findings import Outcome, worst_of
from contract_checks.language.contract import Contract
from contract_checks.language.loader import load
from jobs.privacy.access_review import Reader, Review, access_review, outcome, turns_to_review
from jobs.privacy.exposed_files import told_of_exposed
from jobs.repository import CONTRACT, ROOT
from scripts.command_line import DocumentOption, present, refusals_exit, run_job, time_option

_SHOWN_PATHS = 3


def main(
    as_of: Annotated[
        datetime | None, time_option("End of the period; default the last turn of it.")
    ] = None,
    document: DocumentOption = CONTRACT,
) -> None:
    """Show who read the feature in the review period up to a time, and record that it was reviewed.

    Without a time it is every whole period that nobody has reviewed yet, such as the quarter before
    this one, however late and however often this is run.

    Exit code 0: approved consumers alone; 1: another one was given data; 2: refused.
    """
    with refusals_exit():
        contract = load(document)
        turns = [present(as_of)] if as_of else turns_to_review(contract, now())
        reviews = [access_review(contract, turn) for turn in turns]
    for review in reviews:
        console().print(_table(review, contract))
        dates = f"{review.start:%Y-%m-%d} to {review.end:%Y-%m-%d}"
        typer.echo(f"{len(review.readers)} readers, {dates}")
    if not reviews:
        typer.echo("nothing to review: no period ended since the last review, or the first read")
    if exposed := told_of_exposed(ROOT / "data"):
        typer.echo(exposed)
    raise typer.Exit(worst_of([Outcome.KEPT, *map(outcome, reviews)]).value)


def _table(review: Review, contract: Contract) -> Table:
    title = f"Who read {contract.view_name}"
    table = Table("consumer", "approved", title=title, title_justify="left")
    for column in ("training sets", "online reads", "rows", "refused"):
        table.add_column(column, justify="right")
    table.add_column("when")
    table.add_column("written to", overflow="fold")
    for reader in review.readers:
        more = len(reader.paths) - _SHOWN_PATHS
        paths = [*reader.paths[:_SHOWN_PATHS], *([f"and {more} more"] if more > 0 else [])]
        counts = (
            f"{count:,}" for count in (reader.sets, reader.requests, reader.rows, reader.refused)
        )
        approved = "yes" if reader.approved else "no"
        table.add_row(reader.name, approved, *counts, _when(reader), "\n".join(paths))
    return table


def _when(reader: Reader) -> str:
    return " to ".join(sorted({f"{at:%Y-%m-%d}" for at in (reader.first, reader.last)}))


if __name__ == "__main__":
    run_job(main)
