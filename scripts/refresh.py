"""Refresh the feature store: events to change log to online store, up to an instant."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from contract_checks.clock import instant, now
from contract_checks.language.loader import InvalidContract, load
from feature_pipeline.change_log import aggregate
from feature_pipeline.refusal import RefusedError
from scripts.command_line import CONTRACT, EVENTS, HISTORY, QUARANTINE, ROOT, refusals_exit
from scripts.progress import steps


def main(
    as_of: Annotated[
        datetime | None,
        typer.Option(parser=instant, metavar="TIME", help="Refresh up to this time; default now."),
    ] = None,
    events: Annotated[Path, typer.Option(help="customer_events, parquet.")] = EVENTS,
) -> None:
    """Bring the offline and the online store up to a time. Run it hourly, after `feast apply`.

    Exit code 0: done; 2: refused, nothing written.
    """
    moment = as_of or now()
    with refusals_exit(RefusedError, InvalidContract), steps() as on_step:
        terms = load(CONTRACT).time
        on_step("opening the feature store")
        # Imported late: Feast takes seconds, which --help should not.
        from feature_access.registry import open_store
        from feature_pipeline.materialize import materialize_up_to, refuse_to_go_back

        store = open_store(ROOT)
        refuse_to_go_back(store, moment)  # before anything is written
        done = aggregate(
            events,
            HISTORY,
            QUARANTINE,
            as_of=moment,
            lookback_window=terms.lookback,
            allowed_lateness=terms.allowed_lateness,
            served=HISTORY,
            on_step=on_step,
        )
        on_step("materializing")
        materialize_up_to(store, moment)
    typer.echo(str(done.events))
    typer.echo(f"{done.history_rows:,} rows offline, online up to {moment.isoformat()}")


if __name__ == "__main__":
    typer.run(main)
