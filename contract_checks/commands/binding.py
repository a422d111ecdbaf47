"""`contract-checks list` and `contract-checks explain`: what holds each clause."""

import json
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from contract_checks.commands.documents import contract_at, named_or_only, refusal
from contract_checks.commands.reading import NOTES_MEAN
from contract_checks.language.outline import NOTES_CLAUSE

if TYPE_CHECKING:
    from contract_checks.binding import Binding
    from contract_checks.commands.check_record import LastCheck

_COLUMNS = ("line", "clause", "held in", "last ran", "outcome", "check, or why none", "value")
_COLOURS = {"kept": "green", "broken": "bold red", "unknown": "yellow"}


class ListFormat(StrEnum):
    """How the table is written."""

    text = "text"
    json = "json"


_FILE = Annotated[
    Path | None,
    typer.Argument(
        help="A contract document; the only one of contracts/ if none is named.", metavar="[FILE]"
    ),
]


def list_clauses(
    file: _FILE = None,
    repository: Annotated[
        Path, typer.Option(help="Folder whose operations log is read.", metavar="FOLDER")
    ] = Path(),
    to: Annotated[
        ListFormat, typer.Option("--format", help="How to write the table.")
    ] = ListFormat.text,
) -> None:
    """Print every clause: where it is held, when its checks last ran and what came of it.

    Beside that its line, its check or why it has none, and its value.

    Exit code 0: printed; 2: the document is not valid.
    """
    contract = contract_at(named_or_only(file, repository))
    from contract_checks.binding import as_row, bindings
    from contract_checks.commands.check_record import last_checks

    last = last_checks(contract.view_name, repository)
    listed = [(row, last.get(row.id)) for row in bindings(contract)]
    if to is ListFormat.json:
        rows = [
            as_row(row) | {"last_ran": ran and ran.at.isoformat(), "outcome": ran and ran.outcome}
            for row, ran in listed
        ]
        typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))
    else:
        _show([_cells(row, ran) for row, ran in listed])


def _cells(row: "Binding", ran: "LastCheck | None") -> tuple[str, ...]:
    last_ran, outcome = (f"{ran.at:%Y-%m-%d %H:%M}Z", ran.outcome) if ran else ("never", "-")
    held_by = row.check or f"- {row.reason}"
    return str(row.line), row.id, row.held_in, last_ran, outcome, held_by, row.value


def _show(rows: Sequence[tuple[str, ...]]) -> None:
    """A table as wide as the terminal; elsewhere a line per clause, which is never wrapped."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from contract_checks.console import console

    printed = console()
    if not printed.is_terminal:
        typer.echo("\n".join(_aligned([_COLUMNS, *rows])))
        return
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in _COLUMNS[:-1]:
        table.add_column(column, overflow="fold")
    for line, clause, held_in, last_ran, outcome, held_by, value in rows:
        said = Text.assemble((clause, "bold"), "\n", value)  # one column less to share the width
        judged = Text(outcome, style=_COLOURS.get(outcome, ""))
        table.add_row(line, said, held_in, last_ran, judged, Text(held_by))
    printed.print(table)


def _aligned(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()


def explain(
    clause: Annotated[str, typer.Argument(help='Its ID, such as "§6 freshness".')],
    file: _FILE = None,
) -> None:
    """Print what one clause says and means, where it is held, and what its checks ask.

    Exit code 0: printed; 2: there is no such clause, or the document is not valid.
    """
    contract = contract_at(named_or_only(file, Path()))
    from contract_checks.binding import bindings
    from contract_checks.judge import CHECKS
    from contract_checks.language.reading import readings
    from contract_checks.selection import key

    if key(clause) == key(NOTES_CLAUSE) and (notes := contract.prose.get(NOTES_CLAUSE)):
        typer.echo(f"{NOTES_CLAUSE}  ({contract.path})\n  says      {' '.join(notes.split())}")
        typer.echo(f"  means     {NOTES_MEAN}")
        return
    found = next((row for row in bindings(contract) if key(row.id) == key(clause)), None)
    if found is None:
        close = get_close_matches(clause, contract.lines, n=3, cutoff=0.4)
        hint = f"; did you mean {', '.join(close)}?" if close else ""
        raise refusal(f"no clause {clause!r} in {contract.path}{hint}")
    typer.echo(f"{found.id}  ({contract.path}:{found.line})")
    typer.echo(f"  says      {found.value}")
    typer.echo(f"  means     {readings(contract)[found.id]}")
    typer.echo(f"  held in   {found.held_in}")
    for check in CHECKS:
        if check.clause == found.id:
            typer.echo(f"  check     {check.name}: {check.question}")
    if found.reason:
        typer.echo(f"  no check  {found.reason}")
