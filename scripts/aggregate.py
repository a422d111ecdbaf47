"""Aggregate events into the change log of features: the computation alone."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from jobs.own_tables import contract_of_own_columns
from jobs.refreshing.aggregate import Declared, log_of_contract
from jobs.repository import CONTRACT
from scripts.command_line import present, refusals_exit, run_job, steps, time_option
from storage.errors import RefusedError


def main(
    events: Annotated[Path, typer.Argument(help="The events, parquet.")],
    history: Annotated[Path, typer.Argument(help="Change log to write, parquet.")],
    as_of: Annotated[datetime | None, time_option("As known at this time; default now.")] = None,
    quarantine: Annotated[
        Path | None,
        typer.Option(help="Inadmissible events, parquet; default HISTORY's name + _quarantine."),
    ] = None,
    contract: Annotated[
        Path, typer.Option(help="Document that says the window and the allowed lateness.")
    ] = CONTRACT,
    aggregation: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Declaration of any features (docs/aggregations.md)."),
    ] = None,
    allowed_lateness: Annotated[
        str | None,
        typer.Option(metavar="48h", help="With a declaration: how late an event may arrive."),
    ] = None,
    timezone: Annotated[
        str | None,
        typer.Option(metavar="ZONE", help="With a declaration: whose days are; default UTC."),
    ] = None,
) -> None:
    """Write the change log of EVENTS to HISTORY: one row per arrival and per expiry of an event.

    It is made as the chosen profile makes its own: by a warehouse's statement where it has one.
    With --aggregation it is that of any declaration, computed here, and no contract is asked.

    Exit code 0: written; 2: refused, nothing written.
    """
    beside = quarantine or history.with_name(f"{history.stem}_quarantine.parquet")
    with refusals_exit(), steps() as on_step:
        if aggregation is None:
            _refuse_without_declaration(allowed_lateness, timezone)
            told = log_of_contract(
                contract_of_own_columns(contract),
                (events, history, beside),
                present(as_of),
                on_step,
            )
        else:
            declared = Declared(aggregation, allowed_lateness, timezone)
            told = declared.log((events, history, beside), present(as_of), on_step)
    typer.echo(told)


def _refuse_without_declaration(*options: str | None) -> None:
    if any(option is not None for option in options):
        raise RefusedError(
            "--allowed-lateness and --timezone are for a declaration, a contract says its own: "
            "name the declaration with --aggregation"
        )


if __name__ == "__main__":
    run_job(main)
