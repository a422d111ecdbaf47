"""Gather the evidence for one judgement: registry, stores, join, probes, operations, signatures."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from contract_checks.evidence.drift import read_drift
from contract_checks.evidence.evidence import Evidence
from contract_checks.evidence.facts import MissingEvidence, Operations, RegisteredView
from contract_checks.evidence.operations import read_operations, read_signed, read_training_sets
from contract_checks.evidence.parity import read_parity
from contract_checks.evidence.probe_run import run_probes
from contract_checks.evidence.registry import read_registry
from contract_checks.evidence.retention import read_oldest
from contract_checks.evidence.tables import read_join, read_offline_store
from contract_checks.language.contract import Contract

_Fact = TypeVar("_Fact")


def gather(contract: Contract, repository: Path, as_of: datetime) -> Evidence:
    """Everything the checks ask for, as known at `as_of`; what is not there says why."""
    registry = _attempt("the registry", lambda: read_registry(repository))
    operations = _attempt("the operations log", lambda: read_operations(repository, as_of))

    def of_view(
        what: str, read: Callable[[RegisteredView], _Fact | MissingEvidence]
    ) -> _Fact | MissingEvidence:
        """A fact about the contract's view, if that is registered."""
        if isinstance(registry, MissingEvidence):
            return registry
        view = registry.views.get(contract.view_name)
        if view is None:
            return MissingEvidence(
                f"feature view {contract.view_name} is not registered, so its data cannot be "
                "found: run `feast apply`"
            )
        return _attempt(what, lambda: read(view))

    def of_log(
        what: str, read: Callable[[Operations], _Fact | MissingEvidence]
    ) -> _Fact | MissingEvidence:
        """A fact that the operations log leads to, if there is one."""
        if isinstance(operations, MissingEvidence):
            return operations
        return _attempt(what, lambda: read(operations))

    return Evidence(
        as_of=as_of,
        gathered_registry=registry,
        gathered_offline=of_view(
            "the offline table", lambda view: read_offline_store(contract, view, as_of)
        ),
        gathered_join=of_view("the join", lambda view: read_join(contract, view, as_of)),
        gathered_probes=of_view("the probes", lambda view: run_probes(contract, repository, view)),
        gathered_parity=of_view(
            "the online store", lambda view: read_parity(contract, repository, view)
        ),
        gathered_operations=operations,
        gathered_drift=of_view(
            "drift",
            lambda view: of_log("drift", lambda log: read_drift(contract, view, log, as_of)),
        ),
        gathered_training_sets=of_log(
            "the training sets", lambda log: read_training_sets(contract, repository, log)
        ),
        gathered_oldest=of_view(
            "the oldest rows", lambda view: read_oldest(contract, repository, view, operations)
        ),
        gathered_signatures=_attempt("the signatures", lambda: read_signed(contract)),
    )


def _attempt(what: str, read: Callable[[], _Fact | MissingEvidence]) -> _Fact | MissingEvidence:
    """Evidence of a kind nobody foresaw, a damaged file say, is missing, and says why."""
    try:
        return read()
    except MissingEvidence as missing:
        return missing
    except Exception as error:
        reason = (str(error) or "no reason given").splitlines()[0]
        return MissingEvidence(f"{what} could not be read: {type(error).__name__}: {reason}")
