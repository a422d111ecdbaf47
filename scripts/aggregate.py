"""Aggregate events into the change log of features: the computation alone."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from contract_checks.clock import instant
from contract_checks.language.loader import InvalidContract
from feature_pipeline.aggregation.literals import UnreadableError, duration
from feature_pipeline.aggregation.reading import load
from feature_pipeline.change_log.aggregate import aggregate
from feature_pipeline.declared.log import compute_log
from scripts.command_line import CONTRACT, ROOT, present, refusals_exit, run_job
from scripts.own_tables import contract_of_own_columns
from scripts.progress import steps
from storage.errors import RefusedError
from storage.profile import chosen_profile, offline_store_of


def main(
    events: Annotated[Path, typer.Argument(help="The events, parquet.")],
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
    with refusals_exit(RefusedError, InvalidContract), steps() as on_step:
        if aggregation is None:
            _refuse_without_declaration(allowed_lateness, timezone)
            told = _of_contract(contract, (events, history, beside), present(as_of), on_step)
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


def _of_contract(
    contract: Path,
    files: tuple[Path, Path, Path],
    as_of: datetime,
    on_step: Callable[[str], None],
) -> str:
    terms = contract_of_own_columns(contract).time
    done = aggregate(
        *files,
        as_of=as_of,
        lookback_window=terms.lookback,
        allowed_lateness=terms.allowed_lateness,
        zone=terms.timezone,
        on_step=on_step,
        in_sql=_by_a_warehouse(),
    )
    written = f"{done.history_rows:,} rows of {done.customers:,} customers written to {files[1]}"
    return f"{done.events}\n{written}"


@dataclass(frozen=True)
class Declared:
    """A declaration to compute, and what is said beside it."""

    file: Path
    lateness: str | None
    zone: str | None

    def log(
        self, files: tuple[Path, Path, Path], as_of: datetime, on_step: Callable[[str], None]
    ) -> str:
        """Write it; what there is to tell."""
        declaration = load(self.file)
        done = compute_log(
            *files,
            declaration,
            as_of=as_of,
            allowed_lateness=self._allowed_lateness(),
            zone=self.zone or "UTC",
            on_step=on_step,
        )
        keys = ", ".join(key.name for key in declaration.keys)
        written = f"{done.log_rows:,} rows of {done.keys:,} {keys} written to {files[1]}"
        return f"{done}\n{written}"

    def _allowed_lateness(self) -> timedelta:
        if self.lateness is None:
            raise RefusedError(
                "--allowed-lateness is missing: a declaration does not say how late an event may "
                "arrive, name it, such as --allowed-lateness 48h"
            )
        try:
            return duration(self.lateness, at_once=True)
        except UnreadableError as error:
            raise RefusedError(f"--allowed-lateness: {error}; nothing was written") from None


def _by_a_warehouse() -> bool:
    chosen, embedded = chosen_profile(ROOT, os.environ), chosen_profile(ROOT, {})
    return offline_store_of(chosen) != offline_store_of(embedded)


if __name__ == "__main__":
    run_job(main)
