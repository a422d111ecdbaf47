"""`contract-checks check`: hold contracts against the registry and the data."""

import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from contract_checks.clock import instant, now
from contract_checks.language.contract import Contract
from contract_checks.language.loader import InvalidContract, load

if TYPE_CHECKING:
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
    documents = files or sorted((repository / "contracts").glob("*.md"))
    if not documents:
        raise _refusal(f"no contract in {repository / 'contracts'}: name a document")
    if to is ReportFormat.html and len(documents) > 1:
        # Two pages one after the other are not a page.
        raise _refusal(f"html is a page for one contract, not {len(documents)}: name one document")
    try:
        contracts = [load(document) for document in documents]
    except InvalidContract as invalid:
        raise _refusal(str(invalid)) from None

    # The report alone goes to standard output, whatever the engines have to say.
    with redirect_stdout(sys.stderr):
        reports = _judge(contracts, repository, as_of or now(), select or [])
    for report in reports:
        if not report.findings:
            typer.echo(f"{report.contract}: nothing was checked", err=True)
    _write(reports, to)
    raise typer.Exit(_exit_code(reports))


def _refusal(reason: str) -> typer.Exit:
    typer.echo(reason, err=True)
    return typer.Exit(2)


def _judge(
    contracts: Sequence[Contract], repository: Path, as_of: datetime, selectors: Sequence[str]
) -> "list[Report]":
    """The reports, of the selected checks alone where any are selected."""
    # Imported late: the engines behind the evidence take seconds, and `lint` needs none of them.
    from contract_checks import checks as _bound  # noqa: F401
    from contract_checks.evidence.gather import gather
    from contract_checks.judge import CHECKS, judge
    from contract_checks.selection import NothingSelectedError, select

    try:
        chosen = {(c.clause, c.name) for c in select(selectors, CHECKS)} if selectors else None
    except NothingSelectedError as error:
        raise _refusal(f"--select: {error}") from None
    reports = [judge(contract, gather(contract, repository, as_of)) for contract in contracts]
    if chosen is None:
        return reports
    return [
        replace(report, findings=tuple(f for f in report.findings if (f.clause, f.check) in chosen))
        for report in reports
    ]


def _exit_code(reports: "Sequence[Report]") -> int:
    """Broken beats unknown beats kept, over all contracts."""
    from contract_checks.findings import worst_of

    return worst_of(report.outcome for report in reports).value


def _write(reports: "Sequence[Report]", to: ReportFormat) -> None:
    if to is ReportFormat.text:
        from rich.console import Console

        from contract_checks.report.text import show

        for report in reports:
            show(report, Console())
    else:
        named = [replace(report, contract=_from_here(report.contract)) for report in reports]
        typer.echo(_formatter(to)(named), nl=False)


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
    if to is ReportFormat.github:
        from contract_checks.report import github

        return github.commands
    from contract_checks.report.html import page

    return lambda reports: "".join(f"{page(report)}\n" for report in reports)
