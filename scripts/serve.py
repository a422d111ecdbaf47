"""Serve online features over HTTP: Feast's feature server, behind the contract's limits."""

import os
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from contract_checks.clock import now
from contract_checks.language.loader import load
from feature_access.server.authentication import callers_from
from jobs.repository import CONTRACT
from jobs.serving.serve import serve_versions
from scripts.command_line import present, refusals_exit, run_job, time_option


def main(
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen at.")] = 6566,
    workers: Annotated[int, typer.Option(help="Processes.", min=1)] = 2,
    most_entities: Annotated[int, typer.Option(help="Entities a request.", min=1)] = 1_000,
    as_of: Annotated[datetime | None, time_option("Hold the present there; default now.")] = None,
    document: Annotated[
        list[Path] | None,
        typer.Option("--contract", help="Document of a version to serve.", metavar="FILE"),
    ] = None,
) -> None:
    """Serve the versions whose contracts are given to their approved consumers, until stopped.

    Exit code 0: stopped; 2: refused: no tokens in FEATURE_STORE_TOKENS, or an invalid contract.
    """
    with refusals_exit():
        contracts = [load(file) for file in document or [CONTRACT]]
        callers = callers_from(os.environ)
        held = as_of and present(as_of)
    clock = now if held is None else lambda: held
    serve_versions(f"{host}:{port}", workers, contracts, callers, clock, most_entities)


if __name__ == "__main__":
    run_job(main)
