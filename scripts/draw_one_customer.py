"""Draw the picture of docs/time-semantics.md: one customer's events and the rows they become."""

from pathlib import Path
from typing import Annotated

import typer

from contract_checks.language.loader import load
from jobs.demonstration.draw_one_customer import picture
from jobs.demonstration.one_customer import events_table, rows_table, tell
from jobs.repository import CONTRACT, ROOT
from scripts.command_line import refusals_exit, run_job
from storage.atomic import replacing


def main(
    picture_file: Annotated[
        Path, typer.Argument(metavar="SVG", help="Where the picture goes.")
    ] = ROOT / "docs" / "one-customer.svg",
) -> None:
    """Draw the picture and print the two tables that stand beside it in the documentation.

    Exit code 0: drawn; 2: refused.
    """
    story = tell(load(CONTRACT))
    with refusals_exit(), replacing(picture_file) as draft:
        draft.write_text(picture(story), encoding="utf-8")
    typer.echo(events_table(story))
    typer.echo(rows_table(story))


if __name__ == "__main__":
    run_job(main)
