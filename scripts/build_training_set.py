"""Build a training set: features as known at each prediction time, identifiers hashed."""

import os
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from jobs.own_tables import contract_to_read_under
from jobs.repository import CONTRACT
from jobs.training.build_training_set import SERVICE, build, known_up_to
from scripts.command_line import DocumentOption, present, refusals_exit, run_job, time_option


def main(
    entities: Annotated[
        Path,
        typer.Argument(
            help="customer_id and event_timestamp, one row a label: parquet, .csv, or .sql."
        ),
    ],
    training_set: Annotated[Path, typer.Argument(help="Parquet to write.")],
    consumer: Annotated[
        str, typer.Option(metavar="NAME", help="Who reads: a consumer the contract approves (§9).")
    ],
    service: Annotated[str, typer.Option(help="Feature service to read.")] = SERVICE,
    as_served: Annotated[
        bool,
        typer.Option("--as-served", help="What the online store had been brought by each time."),
    ] = False,
    known_only: Annotated[
        bool,
        typer.Option("--known-only", help="Leave out and count labels beyond what is known."),
    ] = False,
    as_of: Annotated[datetime | None, time_option("When it was read; default now.")] = None,
    document: DocumentOption = CONTRACT,
) -> None:
    """Write ENTITIES with its features to TRAINING_SET, in the same order, and a receipt beside it.

    The key that hashes customer_id comes from FEATURE_STORE_HASH_KEY; the database that the SELECT
    of a .sql file is for from FEATURE_STORE_ENTITIES_DATABASE. A label later than TIME, or than
    what the offline table is known up to, has no answer yet: it is refused, or left out.
    Exit code 0: written and on record; 2: refused, nothing written.
    """
    with refusals_exit(ValueError, RuntimeError):
        built = build(
            contract_to_read_under(document),
            present(as_of),
            consumer,
            entities,
            training_set,
            os.environ,
            service,
            as_served=as_served,
            known_only=known_only,
        )
    typer.echo(f"{built.encoded.num_rows:,} rows written to {training_set}")
    typer.echo(f"known up to {known_up_to(built)}, {built.left_out:,} later rows left out")
    for view, matched in built.matched.items():
        typer.echo(f"{matched:,} of them known to {view} before defaults")


if __name__ == "__main__":
    run_job(main)
