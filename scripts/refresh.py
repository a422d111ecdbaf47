"""Refresh the feature store: events to change log to online store, up to an instant."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from jobs.own_tables import contract_of_own_tables
from jobs.refreshing.refresh import refresh, refuse_what_was_given
from jobs.reporting.refresh_verdict import Verdict, judged, told
from jobs.repository import CONTRACT, EVENTS, feature_store
from scripts.command_line import (
    DocumentOption,
    EventsOption,
    present,
    refusals_exit,
    run_job,
    steps,
    time_option,
)

if TYPE_CHECKING:
    from feature_pipeline.refreshed import RefreshResult


def main(
    as_of: Annotated[datetime | None, time_option("Refresh up to this time; default now.")] = None,
    events: EventsOption = EVENTS,
    document: DocumentOption = CONTRACT,
) -> None:
    """Bring the offline and the online store up to a time. Run it hourly, after `feast apply`.

    Every registered version of the feature that reads this offline table comes along, and no other
    view of the project. What arrived is added to the table; only where that is impossible is all
    computed anew, and the reason told.
    A failure, rows that break the contract and a source that has gone silent are told to the alert
    channel, and the figures are left for Prometheus in data/metrics/.

    Exit code 0: done and on record; 1: done, and something is broken; 2: refused, nothing written.
    """
    with refusals_exit(), steps() as on_step:
        contract, moment = contract_of_own_tables(document), present(as_of)
        on_step("opening the feature store")
        with told(contract, moment) as verdicts:
            store = feature_store()
            refuse_what_was_given(store, contract, as_of, events)
            done = refresh(store, contract, moment, events, on_step)
            on_step("judging the new rows")
            verdict = judged(contract, done, moment)
            verdicts.append(verdict)
    _show(done, moment, verdict)
    if untold := store._get_provider().online_store.untold(store.config):
        typer.echo(f"not judged: {untold}: ask its operator for maxmemory-policy noeviction")
    raise typer.Exit(verdict.exit_code)


def _show(done: "RefreshResult", moment: datetime, verdict: Verdict) -> None:
    typer.echo(str(done.events))
    if done.left_out:
        typer.echo(f"{done.left_out:,} events of erased customers were delivered and left out")
    if done.made_anew:
        typer.echo(f"everything was computed anew: {done.made_anew}")
    typer.echo(
        f"{done.new_rows:,} rows added, {done.history_rows:,} rows offline, online up to "
        f"{moment.isoformat()}"
    )
    for line in verdict.lines:
        typer.echo(line)


if __name__ == "__main__":
    run_job(main)
