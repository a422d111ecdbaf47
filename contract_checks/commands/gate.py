"""`contract-checks gate`: a receipt for a contract that is kept, and for no other."""

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from contract_checks import atomic
from contract_checks.clock import instant, now
from contract_checks.commands.documents import contract_at, refusal
from contract_checks.findings import Outcome, Report
from contract_checks.language.contract import Contract


@dataclass(frozen=True)
class GateResult:
    """The report, and the receipt or why there is none."""

    report: Report
    receipt: Path | None
    refusal: str = ""

    @property
    def exit_code(self) -> int:
        """0 with a receipt; else 1 where a clause is broken, and 2 where nothing could be said."""
        if self.receipt is None and self.report.outcome is Outcome.KEPT:
            return Outcome.UNKNOWN.value
        return self.report.outcome.value


def gate(contract: Contract, repository: Path, as_of: datetime, receipt: Path) -> GateResult:
    """Judge every clause; write a receipt, and its report beside it, if all of them are kept.

    What is judged is read before and after, so that a receipt never names what was not judged.
    """
    # Imported late: the engines behind the evidence take seconds, which `lint` should not.
    from contract_checks.commands.judging import judged
    from contract_checks.evidence.facts import MissingEvidence
    from contract_checks.receipts.inputs import file_at, name_from, read_inputs, records_of
    from contract_checks.receipts.receipt import Receipt
    from contract_checks.report import as_json

    before = read_inputs(contract, repository)
    report, evidence = judged(contract, repository, as_of)
    if report.outcome is not Outcome.KEPT:
        return GateResult(report, None, _faults(report))
    inputs = read_inputs(contract, repository)
    if isinstance(inputs, MissingEvidence):
        return GateResult(report, None, str(inputs))
    if inputs != before:
        return GateResult(report, None, "data changed while it was judged: run the gate again")

    beside = _report_beside(receipt)
    told = replace(report, contract=name_from(repository, contract.path))
    try:
        atomic.write(beside, as_json.document([told]))
        sealed = Receipt.sealed(
            **dict(inputs),
            view=contract.view_name,
            as_of=as_of,
            outcome="kept",
            records=records_of(evidence.operations.records),
            report=file_at(beside, repository),
        )
        atomic.write(receipt, sealed.text)
    except (MissingEvidence, OSError) as error:
        return GateResult(report, None, str(error))
    return GateResult(report, receipt)


def gate_contract(
    file: Annotated[Path, typer.Argument(help="A contract document.", metavar="FILE")],
    repository: Annotated[
        Path, typer.Option(help="Folder of feature_store.yaml.", metavar="FOLDER")
    ] = Path(),
    as_of: Annotated[
        datetime | None,
        typer.Option(
            parser=instant,
            metavar="TIME",
            help="Judge as known at this time (UTC); now if left out.",
        ),
    ] = None,
    receipt: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="Receipt to write; data/receipts/<view>.json of the repository if left out.",
        ),
    ] = None,
) -> None:
    """Check every clause of a contract, and write a receipt only if all of them are kept.

    Exit code 0: kept, with a receipt; 1: at least one clause is broken; 2: the document is invalid,
    evidence is missing, or the receipt cannot be written.
    """
    contract = contract_at(file)
    named = receipt or repository / "data" / "receipts" / f"{contract.view_name}.json"
    _refuse_to_overwrite(named)
    result = gate(contract, repository, as_of or now(), named)

    from contract_checks.console import console
    from contract_checks.report.text import show

    show(result.report, console())
    if result.receipt is None:
        typer.echo(f"no receipt was written: {result.refusal}", err=True)
    else:
        typer.echo(f"receipt: {result.receipt}")
    raise typer.Exit(result.exit_code)


def _refuse_to_overwrite(receipt: Path) -> None:
    """Whatever stands there must be a receipt of before: a registry, say, is not to be lost."""
    from contract_checks.receipts.receipt import NoReceipt, read_receipt

    try:
        if receipt.exists():
            read_receipt(receipt)
    except NoReceipt as other:
        raise refusal(f"{other}: it would be overwritten, so name another path") from None
    beside = _report_beside(receipt)
    if beside.exists() and not receipt.exists():
        raise refusal(f"{beside} would be overwritten: move it away, or name another path")


def _report_beside(receipt: Path) -> Path:
    return receipt.with_name(f"{receipt.stem}.report.json")


def _faults(report: Report) -> str:
    """How many clauses stand in the way; a gate opens for none but the kept."""
    from contract_checks.report.text import by_clause, worst

    clauses = [worst(findings) for _, findings in by_clause(report)]
    broken, unknown = (clauses.count(o) for o in (Outcome.BROKEN, Outcome.UNKNOWN))
    return f"{broken} broken and {unknown} unknown of {len(clauses)} clauses"
