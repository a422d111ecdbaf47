"""Promote a version: rehearse it (contract §11), ask the gate, move the pointer (§10)."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from contract_checks.clock import instant
from contract_checks.console import console
from contract_checks.evidence.declared import RegisteredView
from contract_checks.evidence.facts import MissingEvidence, ProbeRun
from contract_checks.evidence.fingerprint import fingerprint
from contract_checks.findings import Outcome
from contract_checks.language.contract import Contract
from contract_checks.language.loader import InvalidContract
from contract_checks.operations.incidents import standing
from scripts.alerting import News, alert, alerts_on_record
from scripts.command_line import CONTRACT, ROOT, present, refusals_exit, run_job, to_declare
from scripts.moving import finish, move
from scripts.own_tables import contract_of_own_tables
from scripts.progress import steps
from scripts.webhook import configured
from storage.errors import RefusedError

if TYPE_CHECKING:
    from feast import FeatureStore

    from contract_checks.commands.gate import GateResult

RECEIPTS = ROOT / "data" / "receipts"

_SUBJECT = "promotion"

OnStep = Callable[[str], None]


def main(
    contract: Annotated[
        Path, typer.Option(help="Document of the version to promote.", metavar="FILE")
    ] = CONTRACT,
    as_of: Annotated[
        datetime | None,
        typer.Option(parser=instant, metavar="TIME", help="Promote as of this time; default now."),
    ] = None,
) -> None:
    """Rehearse a version, judge every clause, and let the feature's service serve it.

    Anything that is broken or unknown leaves the service as it is. Safe to run again. Where a
    webhook for alerts is set, a promotion that is blocked is told, and so is its success.

    Exit code 0: promoted; 1: a clause is broken; 2: refused, or a clause could not be judged.
    """
    from contract_checks.report.text import show

    with (
        refusals_exit(RefusedError, InvalidContract, MissingEvidence),
        steps(lines=True) as on_step,
    ):
        # Imported late: Feast takes seconds, which --help should not.
        from feature_access.registry import open_store

        terms, moment = contract_of_own_tables(contract), present(as_of)
        if configured():
            alert(terms, moment)  # or the gate would find what did not arrive
        result = promote(open_store(ROOT), terms, moment, on_step)
    if configured():
        alert(terms, moment, *_news(terms, result))
    if result.receipt is None:
        show(result.report, console())
        typer.echo(f"not promoted: {result.refusal}", err=True)
        raise typer.Exit(result.exit_code)
    typer.echo(f"{terms.view_name} is promoted; receipt: {result.receipt}")
    typer.echo(to_declare(terms.overview.feature_name, terms.view_name))


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
    from scripts.freeze_baseline import freeze_baseline, is_frozen
    from scripts.rehearse import rehearse

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


def _news(contract: Contract, result: "GateResult") -> list[News]:
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

    registry = read_registry(ROOT)
    if isinstance(registry, MissingEvidence):
        raise registry
    view = registry.views[contract.view_name]
    probes = run_probes(contract, ROOT, view)
    if isinstance(probes, MissingEvidence):
        raise probes
    return view, probes


if __name__ == "__main__":
    run_job(main)
