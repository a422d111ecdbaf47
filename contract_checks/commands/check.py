"""`contract-checks check`: hold contracts against the registry and the data."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from contract_checks.clock import instant, now
from contract_checks.commands.documents import documents, named_or_all, refusal
from contract_checks.language.contract import Contract
from contract_checks.language.loader import load

if TYPE_CHECKING:
    from contract_checks.evidence.evidence import Evidence
    from contract_checks.findings import Report

Formatter = Callable[[Sequence["Report"]], str]


class ReportFormat(StrEnum):
    """How the report is written."""

    text = "text"
    json = "json"
    junit = "junit"
    sarif = "sarif"
    github = "github"
    html = "html"


def check(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[FILE...]",
            help="Contract documents; all of the repository's contracts/ if none is named.",
        ),
    ] = None,
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
    select: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ID",
            help="Check this alone: a clause ('§6 freshness'), a section (§6 or 6), a check's "
            "name. Can be repeated.",
        ),
    ] = None,
    to: Annotated[
        ReportFormat, typer.Option("--format", help="How to write the report.")
    ] = ReportFormat.text,
) -> None:
    """Check contracts clause by clause against the registry and the data.

    Exit code 0: every clause that was checked is kept; 1: at least one is broken; 2: a document is
    invalid, evidence is missing, or there was nothing to check.
    """
    named = named_or_all(files, repository)
    if to is ReportFormat.html and len(named) > 1:
        # Two pages one after the other are not a page.
        raise refusal(f"html is a page for one contract, not {len(named)}: name one document")
    contracts = documents(named, load)
    judgements = _judge(contracts, repository, as_of or now(), select or [])
    reports = [report for report, _ in judgements]
    for report in reports:
        if not report.findings:
            typer.echo(f"{report.contract}: nothing was checked", err=True)
    if to is ReportFormat.html:
        report, evidence = judgements[0]
        _write_page(contracts[0], report, None if select else evidence)
    else:
        _write(reports, to)
    raise typer.Exit(_exit_code(reports))


def _judge(
    contracts: Sequence[Contract], repository: Path, as_of: datetime, selectors: Sequence[str]
) -> "list[tuple[Report, Evidence]]":
    """The reports, of the selected checks alone where any are selected, and their evidence."""
    # Imported late: the engines behind the evidence take seconds, and `lint` needs none of them.
    from contract_checks.commands.judging import judged
    from contract_checks.judge import CHECKS
    from contract_checks.selection import NothingSelectedError, select

    try:
        chosen = {(c.clause, c.name) for c in select(selectors, CHECKS)} if selectors else None
    except NothingSelectedError as error:
        raise refusal(f"--select: {error}") from None
    return [judged(contract, repository, as_of, chosen) for contract in contracts]


def _exit_code(reports: "Sequence[Report]") -> int:
    """Broken beats unknown beats kept, over all contracts."""
    from contract_checks.findings import worst_of

    return worst_of(report.outcome for report in reports).value


def _write(reports: "Sequence[Report]", to: ReportFormat) -> None:
    if to is ReportFormat.text:
        from contract_checks.console import console
        from contract_checks.report.text import show

        for report in reports:
            show(report, console())
    else:
        named = [replace(report, contract=_from_here(report.contract)) for report in reports]
        typer.echo(_formatter(to)(named), nl=False)


def _write_page(contract: Contract, report: "Report", evidence: "Evidence | None") -> None:
    """With evidence, its charts too; selected checks alone are shown without."""
    from contract_checks.report.html import page

    typer.echo(page(report, evidence, contract))


def _from_here(document: str) -> str:
    """A document below the working folder by its relative path, as annotations need it."""
    path, here = Path(document).absolute(), Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else document


def _formatter(to: ReportFormat) -> Formatter:
    """Imported late: each has a library of its own."""
    if to is ReportFormat.json:
        from contract_checks.report import as_json

        return as_json.document
    if to is ReportFormat.junit:
        from contract_checks.report import junit

        return junit.document
    if to is ReportFormat.sarif:
        from contract_checks.report import sarif

        return sarif.log
    from contract_checks.report import github

    return github.commands
