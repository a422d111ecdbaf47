"""Load customer events from a file into the PostgreSQL warehouse of the chosen profile."""

from pathlib import Path
from typing import Annotated

import typer

from jobs.refreshing.load_events import load_into_warehouse
from jobs.repository import EVENTS, feature_store
from scripts.command_line import refusals_exit, run_job


def main(
    events: Annotated[
        Path, typer.Argument(help="customer_events: a parquet file, or a folder of them.")
    ] = EVENTS,
) -> None:
    """Append to `data_warehouse.customer_events` what the file holds and the warehouse does not.

    Rows that break a rule come in too: the refresh sets them aside. What contradicts an event
    that the warehouse holds is set aside at once. What says that it arrived before the last
    refresh, which did not see it, is refused.

    Exit code 0: all of it is there or set aside; 2: refused, nothing written.
    """
    with refusals_exit():
        loaded = load_into_warehouse(feature_store(), events)
    typer.echo(f"{loaded.appended:,} events loaded; {loaded.there_already:,} were there already")
    if loaded.left_out:
        typer.echo(f"{loaded.left_out:,} events of erased customers were delivered and left out")
    if loaded.set_aside:
        typer.echo(
            f"{loaded.set_aside:,} are in the warehouse with other amounts and were set aside: an "
            "event is never edited, send a later state of its day"
        )


if __name__ == "__main__":
    run_job(main)
