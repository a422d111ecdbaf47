"""Rebuild: make the served history anew where it has to be another, with the reason on record."""

from typing import Annotated

import typer

from contract_checks.clock import now
from jobs.own_tables import contract_of_own_tables
from jobs.refreshing.rebuild import difference_of, rebuild
from jobs.repository import CONTRACT, EVENTS, feature_store
from scripts.command_line import DocumentOption, EventsOption, refusals_exit, run_job, steps


def main(
    reason: Annotated[
        str, typer.Option(metavar="TEXT", help="Why history is to be another; goes on record.")
    ] = "",
    confirm: Annotated[
        bool, typer.Option("--confirm", help="Do it; else it is only told what would change.")
    ] = False,
    events: EventsOption = EVENTS,
    document: DocumentOption = CONTRACT,
) -> None:
    """Make the served history anew from the events, where a refresh refuses to: values change.

    For a corrected aggregation or corrected events. The offline table is made anew, and the online
    store emptied of the feature's views and materialized again; until then their reads fail.
    Safe to run again; where it was killed, the next refresh completes it as well.

    Exit code 0: history is what the events make, or it is told what is not; 2: refused.
    """
    with refusals_exit(), steps() as on_step:
        contract, moment = contract_of_own_tables(document), now()
        store = feature_store()
        if confirm:
            difference = rebuild(store, contract, moment, reason.strip(), events, on_step)
        else:
            difference = difference_of(store, contract, events, on_step)
    for line in difference.lines:
        typer.echo(line)
    if not difference:
        typer.echo("nothing to do")
    elif confirm:
        typer.echo(f"history is made anew up to {moment.isoformat()}, on record as rebuild")
        typer.echo("next: scripts/refresh.py, and scripts/backfill.py where it was validated")
    else:
        views = " and ".join(difference.views)
        typer.echo(f'--confirm --reason "..." makes it anew; reads of {views} fail meanwhile')


if __name__ == "__main__":
    run_job(main)
