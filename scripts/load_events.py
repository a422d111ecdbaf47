"""Load customer events from a file into the PostgreSQL warehouse of the chosen profile."""

from pathlib import Path
from typing import Annotated

import typer

import contract_checks  # noqa: F401  (it heeds Ctrl-C from here on)
from scripts.command_line import EVENTS, ROOT, refusals_exit, run_job, writing_alone
from scripts.erased import erased_customers_of_all_hosts
from storage.errors import RefusedError


def main(
    events: Annotated[
        Path, typer.Argument(help="customer_events: a parquet file, or a folder of them.")
    ] = EVENTS,
) -> None:
    """Append to `data_warehouse.customer_events` what the file holds and the warehouse does not.

    Rows that break a rule come in too: the refresh sets them aside. What contradicts an event
    that the warehouse holds is set aside at once. What says that it arrived before the last
    refresh, which did not see it, is refused.

    Exit code 0: all of it is there or set aside; 2: refused, nothing written.
    """
    with refusals_exit(RefusedError):
        # Imported late: Feast takes seconds, which --help should not.
        from feature_access.offline_stores.postgres_address import warehouse_address
        from feature_access.registry import open_store
        from feature_pipeline.compute_engines.postgres.load import load_events

        address = warehouse_address(open_store(ROOT).config)
        if address is None:
            raise RefusedError(
                "the chosen profile keeps its warehouse in files, where events need no loading: "
                "set FEAST_FS_YAML_FILE_PATH to profiles/production.yaml"
            )
        with writing_alone():  # or a customer who is being erased could come in again
            loaded = load_events(address, events, erased_customers_of_all_hosts())
    typer.echo(f"{loaded.appended:,} events loaded; {loaded.there_already:,} were there already")
    if loaded.left_out:
        typer.echo(f"{loaded.left_out:,} events of erased customers were delivered and left out")
    if loaded.set_aside:
        typer.echo(
            f"{loaded.set_aside:,} are in the warehouse with other amounts and were set aside: an "
            "event is never edited, send a later state of its day"
        )


if __name__ == "__main__":
    run_job(main)
