"""Gather the evidence for one judgement: registry, offline table, join, probes, online store."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from contract_checks.evidence.facts import Evidence, MissingEvidence
from contract_checks.evidence.parity import read_parity
from contract_checks.evidence.probe_run import run_probes
from contract_checks.evidence.registry import read_registry
from contract_checks.evidence.tables import read_join, read_offline_store
from contract_checks.language.contract import Contract

_Fact = TypeVar("_Fact")


def gather(contract: Contract, repository: Path, as_of: datetime) -> Evidence:
    """Everything the checks ask for, as known at `as_of`; what is not there says why."""
    registry = _attempt("the registry", lambda: read_registry(repository))
    if isinstance(registry, MissingEvidence):
        return Evidence(as_of, registry, registry, registry, registry, registry)
    view = registry.views.get(contract.view_name)
    if view is None:
        absent = MissingEvidence(
            f"feature view {contract.view_name} is not registered, so its data cannot be found: "
            "run `feast apply`"
        )
        return Evidence(as_of, registry, absent, absent, absent, absent)
    return Evidence(
        as_of,
        registry,
        _attempt("the offline table", lambda: read_offline_store(contract, view, as_of)),
        _attempt("the join", lambda: read_join(contract, view, as_of)),
        _attempt("the probes", lambda: run_probes(contract, repository, view)),
        _attempt("the online store", lambda: read_parity(contract, repository, view)),
    )


def _attempt(what: str, read: Callable[[], _Fact | MissingEvidence]) -> _Fact | MissingEvidence:
    """Evidence of a kind nobody foresaw, a damaged file say, is missing, and says why."""
    try:
        return read()
    except Exception as error:
        reason = (str(error) or "no reason given").splitlines()[0]
        return MissingEvidence(f"{what} could not be read: {type(error).__name__}: {reason}")
