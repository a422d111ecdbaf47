"""Aggregate customer events into the change log of features: the computation alone."""

import os
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from contract_checks.clock import instant
from contract_checks.language.loader import InvalidContract
from feature_pipeline.change_log.aggregate import aggregate
from scripts.command_line import CONTRACT, ROOT, present, refusals_exit, run_job
from scripts.own_tables import contract_of_own_columns
from scripts.progress import steps
from storage.errors import RefusedError
from storage.profile import chosen_profile, offline_store_of


def main(
    events: Annotated[Path, typer.Argument(help="customer_events, parquet.")],
    history: Annotated[Path, typer.Argument(help="Change log to write, parquet.")],
    as_of: Annotated[
        datetime | None,
        typer.Option(parser=instant, metavar="TIME", help="As known at this time; default now."),
    ] = None,
    quarantine: Annotated[
        Path | None,
        typer.Option(help="Inadmissible events, parquet; default HISTORY's name + _quarantine."),
    ] = None,
    contract: Annotated[
        Path, typer.Option(help="Document that says the window and the allowed lateness.")
    ] = CONTRACT,
) -> None:
    """Write the change log of EVENTS to HISTORY: one row per arrival and per expiry of an event.

    It is made as the chosen profile makes its own: by a warehouse's statement where it has one.

    Exit code 0: written; 2: refused, nothing written.
    """
    with refusals_exit(RefusedError, InvalidContract), steps() as on_step:
        terms = contract_of_own_columns(contract).time
        done = aggregate(
            events,
            history,
            quarantine or history.with_name(f"{history.stem}_quarantine.parquet"),
            as_of=present(as_of),
            lookback_window=terms.lookback,
            allowed_lateness=terms.allowed_lateness,
            zone=terms.timezone,
            on_step=on_step,
            in_sql=_by_a_warehouse(),
        )
    typer.echo(str(done.events))
    typer.echo(f"{done.history_rows:,} rows of {done.customers:,} customers written to {history}")


def _by_a_warehouse() -> bool:
    chosen, embedded = chosen_profile(ROOT, os.environ), chosen_profile(ROOT, {})
    return offline_store_of(chosen) != offline_store_of(embedded)


if __name__ == "__main__":
    run_job(main)
