"""Build a training set: features as known at each prediction time, identifiers hashed."""

import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from contract_checks.clock import instant
from contract_checks.digest import digest_of_file
from contract_checks.language.contract import Contract
from contract_checks.language.loader import InvalidContract
from feature_access.training.hashing import hash_key_from
from scripts.command_line import CONTRACT, ROOT, DocumentOption, present, refusals_exit, run_job
from scripts.lineage import training_flow
from scripts.own_tables import contract_to_read_under
from scripts.recording import recorded
from scripts.training_receipt import keyed_digest, receipt_beside, receipt_text
from scripts.view_contracts import contracts_of
from storage.atomic import replacing
from storage.errors import RefusedError

if TYPE_CHECKING:
    from feast import FeatureStore

    from feature_access.training.training_set import TrainingSet

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
    with refusals_exit(RefusedError, InvalidContract, ValueError, RuntimeError):
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
        ValueError: see `feature_access.training.training_set`.
    """
    receipt = receipt_beside(target)
    read = recorded("training_set", contract.view_name, as_of, training_flow(contract))
    with ExitStack() as unread, read as figures, ExitStack() as reads:
        figures["consumer"] = consumer
        _refuse_unless_approved(consumer, contract, figures)
        key = hash_key_from(environment)
        if not entities.is_file():
            raise RefusedError(f"no entity frame at {entities}: name a parquet, CSV or SQL file")
        # Imported late: Feast takes seconds, which a refused run should not.
        from feature_access.registry import open_store
        from feature_access.training.entity_frame import read_entity_frame, text_keys
        from feature_access.training.training_set import build_training_set

        store = open_store(ROOT)
        read_as_well = reads.enter_context(_others(store, service, contract, consumer, as_of))
        frame = read_entity_frame(entities, environment, text=text_keys(store))
        beside = unread.enter_context(ThreadPoolExecutor(1))
        asked_for = beside.submit(keyed_digest, frame, key)
        built = build_training_set(
            store, service, frame, key, as_of=as_of, as_served=as_served, known_only=known_only
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
        for told in read_as_well:
            told |= {name: figures[name] for name in ("digest", "rows", "matched")}
    return built


@contextmanager
def _others(
    store: "FeatureStore", service: str, contract: Contract, consumer: str, as_of: datetime
) -> Iterator[list[dict[str, Any]]]:
    """Give the figures of a record for each other view of the service, read under its own contract.

    The file is on record once, by the view of the contract that was named.

    Raises:
        RefusedError: the service does not serve that view, another one has no contract, or a
            contract does not approve the consumer; the record of its view then says so.
    """
    from feature_access.training.training_set import views_of

    views = views_of(store, service)
    if contract.view_name not in views:  # another document says who may read it
        raise RefusedError(
            f"service {service} serves {', '.join(views)}, and {contract.path} is of "
            f"{contract.view_name}: name the document of what is to be read with --contract"
        )
    with ExitStack() as records:
        read = []
        for other in contracts_of(views, contract):
            if other is not contract:
                told = records.enter_context(recorded("training_set", other.view_name, as_of))
                told |= {"consumer": consumer, "service": service}
                _refuse_unless_approved(consumer, other, told)
                read.append(told)
        yield read


def _refuse_unless_approved(consumer: str, contract: Contract, figures: dict[str, Any]) -> None:
    """Make sure that the contract approves the consumer; its record says where it does not.

    Raises:
        RefusedError: it does not.
    """
    if consumer.casefold() not in map(str.casefold, contract.privacy.consumers):
        figures["reason"] = "not an approved consumer"
        raise RefusedError(
            f"{consumer} may not read {contract.view_name}: its approved consumers (§9) are "
            f"{', '.join(contract.privacy.consumers)}"
        )


def _known_up_to(built: "TrainingSet") -> str | None:
    return built.known_up_to.isoformat() if built.known_up_to else None


def _from_the_repository(file: Path) -> str:
    """The file's path, relative to the repository where it lies below it."""
    path, root = file.resolve(), ROOT.resolve()
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


if __name__ == "__main__":
    run_job(main)
