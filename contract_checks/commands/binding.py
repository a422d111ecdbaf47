"""`contract-checks list` and `contract-checks explain`: what holds each clause."""

import json
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from contract_checks.language.contract import Contract
from contract_checks.language.loader import InvalidContract, load


class ListFormat(StrEnum):
    """How the table is written."""

    text = "text"
    json = "json"


_FILE = Annotated[Path, typer.Argument(help="A contract document.", metavar="FILE")]


def list_clauses(
    file: _FILE,
    to: Annotated[
        ListFormat, typer.Option("--format", help="How to write the table.")
    ] = ListFormat.text,
) -> None:
    """Print every clause: its line, its value, where it is held, its check or why it has none.

    Exit code 0: printed; 2: the document is not valid.
    """
    contract = _contract(file)
    from contract_checks.binding import as_row, bindings

    rows = bindings(contract)
    if to is ListFormat.json:
        shown = json.dumps([as_row(row) for row in rows], indent=2, ensure_ascii=False)
        typer.echo(shown)
        return

    for row in rows:
        bound = typer.style(row.check, fg=typer.colors.GREEN) if row.check else f"- {row.reason}"
        typer.echo(f"{row.line:>4}  {row.id:<42}{row.held_in:<18}{bound}")
        typer.echo(f"{'':>6}{row.value}")


def explain(
    clause: Annotated[str, typer.Argument(help='Its ID, such as "§6 freshness".')],
    file: _FILE,
) -> None:
    """Print what one clause says, where it is held, and what its checks ask.

    Exit code 0: printed; 2: there is no such clause, or the document is not valid.
    """
    contract = _contract(file)
    if clause not in contract.lines:
        close = get_close_matches(clause, contract.lines, n=3, cutoff=0.4)
        hint = f"; did you mean {', '.join(close)}?" if close else ""
        typer.echo(f"no clause {clause!r} in {file}{hint}", err=True)
        raise typer.Exit(2)
    from contract_checks.binding import bindings
    from contract_checks.judge import CHECKS

    found = next(row for row in bindings(contract) if row.id == clause)
    typer.echo(f"{found.id}  ({file}:{found.line})")
    typer.echo(f"  says      {found.value}")
    typer.echo(f"  held in   {found.held_in}")
    for check in CHECKS:
        if check.clause == clause:
            typer.echo(f"  check     {check.name}: {check.question}")
    if found.reason:
        typer.echo(f"  no check  {found.reason}")


def _contract(file: Path) -> Contract:
    try:
        return load(file)
    except InvalidContract as invalid:
        typer.echo(str(invalid), err=True)
        raise typer.Exit(2) from None
