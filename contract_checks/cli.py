"""The command line: `contract-checks`, one program with a command per question."""

import json
import sys
from enum import StrEnum
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated

import typer

from contract_checks.commands.binding import explain, list_clauses
from contract_checks.commands.check import check
from contract_checks.commands.diff import diff
from contract_checks.commands.documents import contract_at, named_or_all
from contract_checks.commands.gate import gate_contract
from contract_checks.commands.reading import reading_of
from contract_checks.commands.scaffold import scaffold
from contract_checks.commands.sign import sign
from contract_checks.commands.verify import verify_receipt
from contract_checks.failure import run
from contract_checks.language.loader import InvalidContract, as_far_as_read
from contract_checks.language.loader import lint as problems_of
from contract_checks.language.reading import readings

app = typer.Typer(
    help="Read a feature contract and say what is wrong with it.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


class Format(StrEnum):
    """What `export` can write."""

    json = "json"
    odcs = "odcs"
    text = "text"


@app.command()
def lint(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Contract documents; all of contracts/ if none is named.", metavar="[FILE...]"
        ),
    ] = None,
    show_reading: Annotated[
        bool,
        typer.Option("--show-reading", help="Also print what was understood of every clause."),
    ] = False,
) -> None:
    """Report every problem of contract documents as path:line: clause: message.

    With --show-reading, the problems are followed by the clauses: the line, the words, and what was
    understood of them.

    Exit code 0: all valid; 2: at least one is not.
    """
    problems = {file: problems_of(file) for file in named_or_all(files, Path())}
    for file, found in problems.items():
        for problem in found:
            place = typer.style(f"{file}:{problem.line}:", bold=True)
            clause = typer.style(f"{problem.clause}:", fg=typer.colors.RED)
            typer.echo(f"{place} {clause} {problem.message}")
        if show_reading:
            _show_reading(file)
    invalid = sum(1 for found in problems.values() if found)
    count = sum(map(len, problems.values()))
    plural = "" if count == 1 else "s"
    typer.echo(f"{len(problems) - invalid} valid, {invalid} invalid, {count} problem{plural}")
    raise typer.Exit(2 if invalid else 0)


def _show_reading(file: Path) -> None:
    try:
        contract, problems = as_far_as_read(file)
    except InvalidContract:  # there is no document, as was said
        return
    typer.echo("\n".join(reading_of(contract, {problem.clause for problem in problems})))


@app.command()
def export(
    file: Annotated[Path, typer.Argument(help="A contract document.", metavar="FILE")],
    to: Annotated[Format, typer.Option(help="The format to write.")] = Format.json,
) -> None:
    """Write the typed contract to standard output.

    Exit code 2: the document is not valid, and its problems are on standard error.
    """
    contract = contract_at(file)
    if to is Format.odcs:
        from contract_checks.language import odcs  # late: `lint` needs none of the standard's model

        typer.echo(odcs.document(contract), nl=False)
        return
    if to is Format.text:
        typer.echo("\n".join(reading_of(contract)))
        return
    told = {"prose": contract.prose, "reading": readings(contract)}
    document = contract.terms() | told
    typer.echo(json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False))


app.command()(check)
app.command("list")(list_clauses)
app.command()(explain)
app.command()(diff)
app.command()(scaffold)
app.command()(sign)
app.command("gate")(gate_contract)
app.command("verify")(verify_receipt)


def main() -> None:
    """Run the command line; what it writes is UTF-8 whatever the locale.

    An error that nobody foresaw is no 1: nothing was judged, so nothing is broken.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    run(app, Path())
