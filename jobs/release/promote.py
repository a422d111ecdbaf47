"""Promote a version: rehearse it (contract §11), ask the gate, move the pointer (§10)."""

from datetime import datetime
from typing import TYPE_CHECKING

from contract_checks.evidence.declared import RegisteredView
from contract_checks.evidence.facts import ProbeRun, there
from contract_checks.evidence.fingerprint import fingerprint
from contract_checks.findings import Outcome
from contract_checks.language.contract import Contract
from contract_checks.operations.incidents import standing
from jobs.release.pointer_moves import finish, move
from jobs.reporting.alerting import News, alerts_on_record
from jobs.repository import ROOT, OnStep

if TYPE_CHECKING:
    from feast import FeatureStore

    from contract_checks.commands.gate import GateResult

RECEIPTS = ROOT / "data" / "receipts"

_SUBJECT = "promotion"


def promote(
    store: "FeatureStore",
    contract: Contract,
    as_of: datetime,
    on_step: OnStep = lambda step: None,
) -> "GateResult":
    """Rehearse, ask the gate, and if it opens put the version on record and move the pointer.

    Raises:
        RefusedError, MissingEvidence: a rehearsal had nothing to work on.
    """
    from contract_checks.commands.gate import gate
    from jobs.rehearsal.rehearse import rehearse
    from jobs.reporting.freeze_baseline import freeze_baseline, is_frozen

    finish(store, contract, as_of)  # or §10 would find a pointer that the log knows nothing of
    if not is_frozen(contract, as_of):
        on_step("freezing the baseline")
        freeze_baseline(contract, as_of)
    rehearse(store, contract, as_of, on_step)
    on_step("gate: every clause")
    result = gate(contract, ROOT, as_of, RECEIPTS / f"{contract.view_name}.json")
    if result.receipt is None:
        return result
    on_step("moving the pointer")
    view, probes = _served(contract)
    told = fingerprint(contract, view, probes) | {"receipt": str(result.receipt.relative_to(ROOT))}
    move(store, contract, "promotion", contract.view_name, as_of, told)
    return result


def news_of(contract: Contract, result: "GateResult") -> list[News]:
    """One incident while the promotion is blocked, whatever blocks it, until it succeeds."""
    begun = standing(alerts_on_record(contract)).open
    blocked = [clause for clause, subject in begun if subject == _SUBJECT]
    if result.receipt is not None:
        receipt = str(result.receipt)
        return [News(clause, _SUBJECT, False, "promoted", receipt) for clause in blocked]
    faults = result.report.having(result.report.outcome)
    if blocked or result.report.outcome is Outcome.KEPT or not faults:
        return []
    first = faults[0]
    figure = f"{result.refusal}; {first.check} expected {first.expected}, got {first.got}"
    return [News(first.clause, _SUBJECT, True, "blocked", figure)]


def _served(contract: Contract) -> tuple[RegisteredView, ProbeRun]:
    """The view as registered, and what its code answers to the probes."""
    from contract_checks.evidence.probe_run import run_probes
    from contract_checks.evidence.registry import read_registry

    view = there(read_registry(ROOT)).views[contract.view_name]
    return view, there(run_probes(contract, ROOT, view))
