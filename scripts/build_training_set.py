"""Build a training set: features as known at each prediction time, identifiers hashed."""

import os
from pathlib import Path
from typing import Annotated

import pandas as pd
import pyarrow.parquet as pq
import typer

from feature_access.hashing import hash_key_from
from feature_access.refusal import RefusedError
from scripts.command_line import ROOT, refusals_exit


def main(
    entities: Annotated[
        Path, typer.Argument(help="Parquet with customer_id and event_timestamp, one row a label.")
    ],
    training_set: Annotated[Path, typer.Argument(help="Parquet to write.")],
    service: Annotated[str, typer.Option(help="Feature service to read.")] = "customer_profile",
) -> None:
    """Write ENTITIES with its features to TRAINING_SET, in the same order.

    The key that hashes customer_id comes from FEATURE_STORE_HASH_KEY.
    Exit code 0: written; 2: refused, nothing written.
    """
    from feature_pipeline.atomic import replacing
    from feature_pipeline.refusal import RefusedError as TargetRefusedError

    with refusals_exit(RefusedError, TargetRefusedError, ValueError, RuntimeError):
        key = hash_key_from(os.environ)
        if not entities.is_file():
            raise RefusedError(f"no entity frame at {entities}: name a parquet file")
        # Imported late: Feast takes seconds, which a refused run should not.
        from feature_access.registry import open_store
        from feature_access.training_set import build_training_set

        built = build_training_set(open_store(ROOT), service, pd.read_parquet(entities), key)
        with replacing(training_set) as draft:
            pq.write_table(built.rows, draft)
    typer.echo(f"{built.rows.num_rows:,} rows written to {training_set}")
    for view, matched in built.matched.items():
        typer.echo(f"{matched:,} of them known to {view} before defaults")


if __name__ == "__main__":
    typer.run(main)
