"""`contract-checks check`: hold contracts against the registry and the data."""

from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from contract_checks.clock import instant, now
from contract_checks.loader import InvalidContract, load

if TYPE_CHECKING:
    from contract_checks.findings import Report


class ReportFormat(StrEnum):
    """How the report is written."""

    text = "text"
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
        typer.echo(f"no contract in {repository / 'contracts'}: name a document", err=True)
        raise typer.Exit(2)
    try:
        contracts = [load(document) for document in documents]
    except InvalidContract as invalid:
        typer.echo(str(invalid), err=True)
        raise typer.Exit(2) from None

    # Imported late: the engines behind the evidence take seconds, and `lint` needs none of them.
    from contract_checks import checks as _bound  # noqa: F401
    from contract_checks.findings import Outcome
    from contract_checks.gather import gather
    from contract_checks.judge import judge

    moment = as_of or now()
    reports = [judge(contract, gather(contract, repository, moment)) for contract in contracts]
    for report in reports:
        _print(report, to)
    outcomes = {report.outcome for report in reports}
    worst = next(o for o in (Outcome.BROKEN, Outcome.UNKNOWN, Outcome.KEPT) if o in outcomes)
    raise typer.Exit(worst.value)


def _print(report: "Report", to: ReportFormat) -> None:
    if to is ReportFormat.html:
        from contract_checks.report.html import page

        typer.echo(page(report))
    else:
        from rich.console import Console

        from contract_checks.report.text import show

        show(report, Console())
