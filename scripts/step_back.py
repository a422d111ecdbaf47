"""Step back: take the stores back from a time that has not come, to now."""

from typing import Annotated

import typer

from contract_checks.clock import now
from jobs.own_tables import contract_of_own_tables
from jobs.refreshing.step_back import standing_ahead, step_back
from jobs.repository import CONTRACT, EVENTS, feature_store
from scripts.command_line import DocumentOption, EventsOption, refusals_exit, run_job, steps


def main(
    confirm: Annotated[
        bool, typer.Option("--confirm", help="Do it; else it is only told what stands ahead.")
    ] = False,
    events: EventsOption = EVENTS,
    document: DocumentOption = CONTRACT,
) -> None:
    """Take the feature's stores back to now, where a refresh was told a time that has not come.

    The offline table is made anew from the events, the online store emptied of the feature's views
    and materialized again. Safe to run again; scripts/refresh.py goes on from there.

    Exit code 0: nothing stands ahead any more, or it is told what does; 2: refused.
    """
    with refusals_exit(), steps() as on_step:
        contract, moment = contract_of_own_tables(document), now()
        store = feature_store()
        ahead = standing_ahead(store, contract, moment)
        if confirm and ahead:
            step_back(store, contract, moment, events, on_step)
    for line in ahead.lines:
        typer.echo(line)
    if not ahead:
        typer.echo(f"nothing stands later than {moment.isoformat()}: nothing to do")
    elif confirm:
        typer.echo(f"both are taken back to {moment.isoformat()}: run scripts/refresh.py next")
    else:
        typer.echo(
            f"--confirm takes both back to {moment.isoformat()}; what was known by "
            f"{ahead.known_to.isoformat()} stays as it is"
        )


if __name__ == "__main__":
    run_job(main)
