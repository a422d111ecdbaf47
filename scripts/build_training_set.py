"""Build a training set: features as known at each prediction time, identifiers hashed."""

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from contract_checks.clock import instant
from contract_checks.digest import digest_of_file
from contract_checks.language.contract import Contract
from contract_checks.language.loader import InvalidContract, load
from feature_access.hashing import hash_key_from
from feature_access.refusal import RefusedError
from feature_pipeline.atomic import replacing
from feature_pipeline.refusal import RefusedError as TargetRefusedError
from scripts.command_line import CONTRACT, ROOT, DocumentOption, present, refusals_exit, run_job
from scripts.lineage import training_flow
from scripts.recording import recorded
from scripts.training_receipt import keyed_digest, receipt_beside, receipt_text

if TYPE_CHECKING:
    from feature_access.training_set import TrainingSet

SERVICE = "customer_profile"


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
    as_of: Annotated[
        datetime | None,
        typer.Option(parser=instant, metavar="TIME", help="When it was read; default now."),
    ] = None,
    document: DocumentOption = CONTRACT,
) -> None:
    """Write ENTITIES with its features to TRAINING_SET, in the same order, and a receipt beside it.

    The key that hashes customer_id comes from FEATURE_STORE_HASH_KEY; the database that the SELECT
    of a .sql file is for from FEATURE_STORE_ENTITIES_DATABASE. A label later than TIME, or than
    what the offline table is known up to, has no answer yet: it is refused, or left out.
    Exit code 0: written and on record; 2: refused, nothing written.
    """
    with refusals_exit(RefusedError, TargetRefusedError, InvalidContract, ValueError, RuntimeError):
        built = build(
            load(document),
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
    typer.echo(f"known up to {_known_up_to(built)}, {built.left_out:,} later rows left out")
    for view, matched in built.matched.items():
        typer.echo(f"{matched:,} of them known to {view} before defaults")


def build(
    contract: Contract,
    as_of: datetime,
    consumer: str,
    entities: Path,
    target: Path,
    environment: Mapping[str, str],
    service: str = SERVICE,
    *,
    as_served: bool = False,
    known_only: bool = False,
) -> "TrainingSet":
    """Write the training set of `consumer`, and leave a record of who read what, as of a time.

    Its receipt lies beside it. A refused read is on record as well; no training set appears whose
    read is not. The same entities, store and key give the same bytes.

    Raises:
        RefusedError: the contract does not approve the consumer, there is no hash key in the
            environment, the entities cannot be read, or there is no such service; the service
            serves another version; or a target cannot be written.
        ValueError: see `feature_access.training_set`.
    """
    receipt = receipt_beside(target)
    read = recorded("training_set", contract.view_name, as_of, training_flow(contract))
    with ExitStack() as unread, read as figures:
        figures["consumer"] = consumer
        if consumer.casefold() not in map(str.casefold, contract.privacy.consumers):
            figures["reason"] = "not an approved consumer"
            raise RefusedError(
                f"{consumer} may not read {contract.view_name}: its approved consumers (§9) are "
                f"{', '.join(contract.privacy.consumers)}"
            )
        key = hash_key_from(environment)
        if not entities.is_file():
            raise RefusedError(f"no entity frame at {entities}: name a parquet, CSV or SQL file")
        # Imported late: Feast takes seconds, which a refused run should not.
        from feature_access.entity_frame import read_entity_frame, text_keys
        from feature_access.registry import open_store
        from feature_access.training_set import build_training_set

        store = open_store(ROOT)
        frame = read_entity_frame(entities, environment, text=text_keys(store))
        beside = unread.enter_context(ThreadPoolExecutor(1))
        asked_for = beside.submit(keyed_digest, frame, key)
        built = build_training_set(
            store, service, frame, key, as_of=as_of, as_served=as_served, known_only=known_only
        )
        if contract.view_name not in built.matched:  # another document says who may read it
            raise RefusedError(
                f"service {service} serves {', '.join(built.matched)}, and {contract.path} is of "
                f"{contract.view_name}: name the document of what is to be read with --contract"
            )
        # In place only once they are on record, the receipt after what it is of.
        draft_receipt, draft = (unread.enter_context(replacing(f)) for f in (receipt, target))
        built.write(draft)
        digest = digest_of_file(draft)
        asked: dict[str, str | bool] = {"as_served": as_served, "consumer": consumer}
        asked |= {"known_only": known_only, "service": service}
        draft_receipt.write_text(
            receipt_text(contract, as_of, asked, asked_for.result(), built, digest),
            encoding="utf-8",
        )
        figures |= {
            "path": _from_the_repository(target),
            "digest": digest,
            "rows": built.encoded.num_rows,
            "matched": built.matched,
            "known_up_to": _known_up_to(built),
            "left_out": built.left_out,
        }
    return built


def _known_up_to(built: "TrainingSet") -> str | None:
    return built.known_up_to.isoformat() if built.known_up_to else None


def _from_the_repository(file: Path) -> str:
    """The file's path, relative to the repository where it lies below it."""
    path, root = file.resolve(), ROOT.resolve()
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


if __name__ == "__main__":
    run_job(main)
