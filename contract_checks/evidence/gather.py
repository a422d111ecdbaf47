"""Gather the evidence for one judgement: registry, offline table, join, probes."""

from datetime import datetime
from pathlib import Path

from contract_checks.evidence.facts import Evidence, Join, MissingEvidence, OfflineStore, ProbeRun
from contract_checks.evidence.probe_run import run_probes
from contract_checks.evidence.registry import read_registry
from contract_checks.evidence.tables import read_join, read_offline_store
from contract_checks.language.contract import Contract


def gather(contract: Contract, repository: Path, as_of: datetime) -> Evidence:
    """Everything the checks ask for, as known at `as_of`; what is not there says why."""
    registry = read_registry(repository)
    offline: OfflineStore | MissingEvidence
    join: Join | MissingEvidence
    probes: ProbeRun | MissingEvidence
    if isinstance(registry, MissingEvidence):
        offline = join = probes = registry
    elif (view := registry.views.get(contract.view_name)) is None:
        offline = join = probes = MissingEvidence(
            f"feature view {contract.view_name} is not registered, so its data cannot be found: "
            "run `feast apply`"
        )
    else:
        offline = read_offline_store(contract, view, as_of)
        join = read_join(contract, view, as_of)
        probes = run_probes(contract, repository, view)
    return Evidence(as_of, registry, offline, join, probes)
