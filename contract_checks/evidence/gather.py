"""Gather the evidence for one judgement: registry, stores, join, probes, operations, signatures."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import duckdb

from contract_checks.evidence.declared import RegisteredView
from contract_checks.evidence.drift import read_drift
from contract_checks.evidence.evidence import Evidence
from contract_checks.evidence.facts import MissingEvidence, there
from contract_checks.evidence.online import read_online_store
from contract_checks.evidence.operations import read_operations, read_signed, read_training_sets
from contract_checks.evidence.parity import read_parity
from contract_checks.evidence.probe_run import run_probes
from contract_checks.evidence.registry import OnlineReader, online_reader, read_registry
from contract_checks.evidence.retention import read_oldest
from contract_checks.evidence.tables import offline_session, read_join, read_offline_store
from contract_checks.language.contract import Contract
from contract_checks.server_faults import server_fault

_Fact = TypeVar("_Fact")


def gather(contract: Contract, repository: Path, as_of: datetime) -> Evidence:
    """Everything the checks ask for, as known at `as_of`; what is not there says why."""
    registry = _attempt("the registry", lambda: read_registry(repository, as_of))
    log = _attempt("the operations log", lambda: read_operations(repository, as_of))

    def view() -> RegisteredView:
        """The contract's, without which its data cannot be found."""
        found = there(registry).views.get(contract.view_name)
        if found is None:
            raise MissingEvidence(
                f"feature view {contract.view_name} is not registered, so its data cannot be "
                "found: run `feast apply`"
            )
        return found

    # The probes' job starts, runs and is waited for: meanwhile there is all else to read.
    beside = ThreadPoolExecutor(1)
    probed = beside.submit(_attempt, "the probes", lambda: run_probes(contract, repository, view()))
    beside.shutdown(wait=False)

    @cache  # each holds a copy of the offline table
    def sessions(as_of: datetime) -> duckdb.DuckDBPyConnection:
        return there(offline_session(contract, view(), as_of))

    @cache
    def reader() -> OnlineReader:
        return online_reader(repository, view().name)

    online = _attempt(
        "the online store", lambda: read_online_store(contract, view(), reader(), sessions)
    )
    training_sets = _attempt(
        "the training sets", lambda: read_training_sets(contract, repository, there(log))
    )
    return Evidence(
        as_of=as_of,
        gathered_registry=registry,
        gathered_offline=_attempt(
            "the offline table", lambda: read_offline_store(contract, view(), sessions(as_of))
        ),
        gathered_online=online,
        gathered_join=_attempt("the join", lambda: read_join(contract, view(), sessions, as_of)),
        gathered_probes=probed.result(),
        gathered_parity=_attempt(
            "the online store", lambda: read_parity(contract, view(), reader(), sessions)
        ),
        gathered_operations=log,
        gathered_drift=_attempt(
            "drift", lambda: read_drift(contract, view(), there(log), sessions, as_of)
        ),
        gathered_training_sets=training_sets,
        gathered_oldest=_attempt(
            "the oldest rows",
            lambda: read_oldest(contract, view(), there(log), there(online), there(training_sets)),
        ),
        gathered_signatures=_attempt("the signatures", lambda: read_signed(contract)),
    )


def gather_rows(
    contract: Contract, view: RegisteredView, as_of: datetime, since: datetime | None
) -> Evidence:
    """The rows of the offline table that a refresh brought, and nothing else."""
    elsewhere = MissingEvidence("a refresh looks at its own rows alone: run contract-checks check")
    gathered: dict[str, Any] = {f.name: elsewhere for f in fields(Evidence)}
    gathered["as_of"] = as_of
    gathered["gathered_offline"] = _attempt(
        "the offline table",
        lambda: read_offline_store(
            contract, view, there(offline_session(contract, view, as_of, since))
        ),
    )
    return Evidence(**gathered)


def _attempt(what: str, read: Callable[[], _Fact | MissingEvidence]) -> _Fact | MissingEvidence:
    """Evidence of a kind nobody foresaw, a damaged file say, is missing, and says why."""
    try:
        return read()
    except MissingEvidence as missing:
        return missing
    except Exception as error:
        reason = (str(error) or "no reason given").splitlines()[0]
        why = server_fault(error) or f"{type(error).__name__}: {reason}"
        return MissingEvidence(f"{what} could not be read: {why}")
