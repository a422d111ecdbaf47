"""Build a training set: features as known at each prediction time, identifiers hashed."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contract_checks.digest import digest_of_file
from contract_checks.language.contract import Contract
from feature_access.training.hashing import hash_key_from
from jobs.reporting.lineage import training_flow
from jobs.reporting.recording import recorded
from jobs.repository import ROOT
from jobs.training.training_receipt import keyed_digest, receipt_beside, receipt_text
from jobs.view_contracts import contracts_of
from storage.atomic import replacing
from storage.errors import RefusedError

if TYPE_CHECKING:
    from feast import FeatureStore

    from feature_access.training.training_set import TrainingSet

SERVICE = "customer_profile"


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
            "known_up_to": known_up_to(built),
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


def known_up_to(built: "TrainingSet") -> str | None:
    return built.known_up_to.isoformat() if built.known_up_to else None


def _from_the_repository(file: Path) -> str:
    """The file's path, relative to the repository where it lies below it."""
    path, root = file.resolve(), ROOT.resolve()
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
