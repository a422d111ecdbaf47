"""Serve online features over HTTP: Feast's feature server, behind the contract's limits."""

import os
from collections.abc import Callable, Sequence
from datetime import datetime
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from contract_checks.language.contract import Contract
from contract_checks.operations.log import Record
from feature_access.server.authentication import Callers
from feature_access.terms import Terms
from jobs.reporting.recording import operations_log
from jobs.repository import ROOT
from jobs.serving.server_process import serve

if TYPE_CHECKING:
    from feature_access.server.read_ledger import OnlineReads

_METRICS = ("PROMETHEUS_MULTIPROC_DIR", "PROMETHEUS_MULTIPROCESS_DIR")  # prometheus_client, Feast


def serve_versions(
    address: str,
    workers: int,
    contracts: Sequence[Contract],
    callers: Callers,
    clock: Callable[[], datetime],
    most_entities: int,
) -> None:
    """Serve the versions of the contracts to the callers, until stopped.

    Raises:
        SystemExit: see `jobs.serving.server_process.serve`.
    """
    terms = {contract.view_name: terms_of(contract) for contract in contracts}
    with TemporaryDirectory() as metrics:
        os.environ.update(dict.fromkeys(_METRICS, metrics))
        serve(address, workers, lambda: _application(terms, callers, clock, most_entities))


def terms_of(contract: Contract) -> Terms:
    """What the contract says about reading its version online."""
    return Terms(contract.view_name, contract.privacy.consumers, contract.quality.freshness)


def _application(
    terms: dict[str, Terms], callers: Callers, clock: Callable[[], datetime], most_entities: int
) -> Any:
    # Imported in the worker: connections and threads would not survive the fork.
    from feature_access.registry import open_store
    from feature_access.server.application import FeatureServer

    store = open_store(ROOT, registry_expires=False)
    return FeatureServer(store, terms, callers, clock, most_entities, put_on_record).application()


def put_on_record(reads: Sequence["OnlineReads"], at: datetime) -> None:
    """Leave an `online_reads` record of each consumer, for the access review (contract §9)."""
    operations_log().append(
        *(
            Record(
                "online_reads",
                read.view,
                at,
                passed=True,
                figures={
                    "from": read.since.isoformat(),
                    "requests": read.requests,
                    "rows": read.entities,
                    "refused": read.refused,
                }
                | ({} if read.consumer is None else {"consumer": read.consumer}),
            )
            for read in reads
        )
    )
