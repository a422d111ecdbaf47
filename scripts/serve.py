"""Serve online features over HTTP: Feast's feature server, behind the contract's limits."""

import os
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from contract_checks.clock import instant, now
from contract_checks.language.contract import Contract
from contract_checks.language.loader import InvalidContract, load
from contract_checks.operations.log import Record
from feature_access.server.authentication import Callers, callers_from
from feature_access.terms import Terms
from scripts.command_line import CONTRACT, ROOT, present, refusals_exit, run_job
from scripts.recording import operations_log
from scripts.server_process import serve
from storage.errors import RefusedError

if TYPE_CHECKING:
    from feature_access.server.read_ledger import OnlineReads

_METRICS = ("PROMETHEUS_MULTIPROC_DIR", "PROMETHEUS_MULTIPROCESS_DIR")  # prometheus_client, Feast


def main(
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen at.")] = 6566,
    workers: Annotated[int, typer.Option(help="Processes.", min=1)] = 2,
    most_entities: Annotated[int, typer.Option(help="Entities a request.", min=1)] = 1_000,
    as_of: Annotated[
        datetime | None,
        typer.Option(parser=instant, metavar="TIME", help="Hold the present there; default now."),
    ] = None,
    document: Annotated[
        list[Path] | None,
        typer.Option("--contract", help="Document of a version to serve.", metavar="FILE"),
    ] = None,
) -> None:
    """Serve the versions whose contracts are given to their approved consumers, until stopped.

    Exit code 0: stopped; 2: refused: no tokens in FEATURE_STORE_TOKENS, or an invalid contract.
    """
    with refusals_exit(RefusedError, InvalidContract):
        contracts = [load(file) for file in document or [CONTRACT]]
        callers = callers_from(os.environ)
        held = as_of and present(as_of)
    terms = {contract.view_name: terms_of(contract) for contract in contracts}
    clock = now if held is None else lambda: held
    with TemporaryDirectory() as metrics:
        os.environ.update(dict.fromkeys(_METRICS, metrics))
        serve(f"{host}:{port}", workers, lambda: _application(terms, callers, clock, most_entities))


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


if __name__ == "__main__":
    run_job(main)
