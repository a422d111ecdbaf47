"""`contract-checks diff`: grade what changed between two editions of a contract."""

import json
from collections.abc import Iterator
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import TypeAdapter
from pydantic_core import to_jsonable_python

from contract_checks.changes.diff import Change, Diff, read_edition
from contract_checks.changes.diff import diff as compare
from contract_checks.changes.grades import Bump, Grade
from contract_checks.changes.grading import version_number
from contract_checks.commands.documents import documents
from contract_checks.language.sentence import quote, spell
from contract_checks.language.terms import ConsistencyRule, Duration, Range, Terms

_COLOURS = {
    Grade.BREAKING: typer.colors.RED,
    Grade.COMPATIBLE: typer.colors.GREEN,
    Grade.PROSE: typer.colors.YELLOW,
    Grade.EDITORIAL: typer.colors.BRIGHT_BLACK,
}


class DiffFormat(StrEnum):
    """How the changes are written."""

    text = "text"
    json = "json"


def diff(
    old: Annotated[Path, typer.Argument(help="The contract as it was.", metavar="OLD")],
    new: Annotated[Path, typer.Argument(help="The contract as it is to be.", metavar="NEW")],
    to: Annotated[
        DiffFormat, typer.Option("--format", help="How to write the changes.")
    ] = DiffFormat.text,
) -> None:
    """Grade every change of a contract as breaking, compatible, prose or editorial.

    Exit code 0: only plain words changed, or nothing; 1: a promise did, or words that only people
    read; 2: a document is not valid, and its problems are on standard error.
    """
    changes = compare(*documents([old, new], read_edition))
    if to is DiffFormat.json:
        typer.echo(json.dumps(as_json(changes), indent=2, ensure_ascii=False))
    else:
        for line in as_text(changes):
            typer.echo(line)
    raise typer.Exit(1 if changes.changes_a_promise else 0)


def as_text(diff: Diff) -> Iterator[str]:
    """A line for the two documents, a line per change, and the summary."""
    yield typer.style(f"{diff.old.path} → {diff.new.path}", bold=True)
    for change in diff.changes:
        grade = typer.style(f"{change.grade.word:<10}", fg=_COLOURS[change.grade])
        requires = f"{_requirement(diff, change.grade.bump):<16}"
        lines = f"{change.old_line or '–'}→{change.new_line or '–'}"
        clause = typer.style(f"{change.clause:<36}", bold=True)
        yield f"{grade}  {requires} {clause} {lines:<8} {_values(change)}: {change.why}"
    colour = _COLOURS[diff.grade] if diff.grade is not None else None
    yield typer.style(summary(diff), fg=colour, bold=True)


def as_json(diff: Diff) -> dict[str, Any]:
    """The changes for a script; values are written as `export` writes them."""
    return {
        "old": _edition(diff.old.path, diff.old.overview.version),
        "new": _edition(diff.new.path, diff.new.overview.version),
        "changes": [
            {
                "clause": change.clause,
                "term": change.term or None,
                "old_line": change.old_line,
                "new_line": change.new_line,
                "old": _exported(change.old),
                "new": _exported(change.new),
                "grade": change.grade.word,
                "bump": change.grade.bump,
                "why": change.why,
            }
            for change in diff.changes
        ],
        "counts": {grade.word: len(diff.having(grade)) for grade in reversed(Grade)},
        "grade": None if diff.grade is None else diff.grade.word,
        "bump": diff.bump,
        "bump_present": diff.bump_is_present,
        "summary": summary(diff),
    }


def summary(diff: Diff) -> str:
    """How many changes of each grade, what they require together, and whether it is there."""
    if diff.grade is None:
        return "no change"
    counts = ", ".join(f"{len(diff.having(grade))} {grade.word}" for grade in reversed(Grade))
    if diff.bump is Bump.NONE:
        return f"{counts}: no promise changed"
    bump = "version bump" if diff.bump is Bump.VERSION else "entry"
    found = "present" if diff.bump_is_present else "missing"
    return f"{counts}: requires {_requirement(diff, diff.bump)}, {bump} {found}"


def _requirement(diff: Diff, bump: Bump) -> str:
    """The bump in words, with the version that follows the old one."""
    following = f" v{version_number(diff.old.overview.version) + 1}"
    return bump + (following if bump is Bump.VERSION else "")


def _values(change: Change) -> str:
    """What changed, from what, to what; without a name where the clause is but one term."""
    path = change.term.split(".")[2:] or [change.place[1]]
    name = " ".join(part.replace("_", " ") if part != change.place[1] else part for part in path)
    old, new = (_shown(change.term, value) for value in (change.old, change.new))
    return f"{name} {old} → {new}".lstrip()


def _shown(term: str, value: Any) -> str:
    """A value as a document would write it."""
    match value:
        case None:
            return "none"
        case bool():
            return "yes" if value else "no"
        case float() if term.endswith(("_rate", "_delta")):  # the shares among the numbers
            return f"{100 * value:.10g}%"
        case int() | float():
            return f"{value:,.15g}"
        case timedelta():
            return spell(value)
        case Range():
            return _range(term, value)
        case ConsistencyRule():
            return f"{value.left} {value.operator} {value.right}"
        case Terms():
            parts = [f"{name.replace('_', ' ')} {_shown(name, part)}" for name, part in value]
            return ", ".join(parts)
        case tuple():
            return " + ".join(_shown(term, part) for part in value) or "none"
    return str(value) if term else quote(str(value))


def _range(term: str, allowed: Range) -> str:
    signs = [sign for sign, _ in allowed.bounds]
    shown = [_shown(term, bound) for _, bound in allowed.bounds]
    if signs == ["≥", "≤"]:
        said = "–".join(shown)
    else:
        said = ", ".join(f"{sign} {bound}" for sign, bound in zip(signs, shown, strict=True))
    return f"{said} {allowed.unit}" if allowed.unit else said


def _exported(value: Any) -> Any:
    if isinstance(value, timedelta):
        return TypeAdapter(Duration).dump_python(value, mode="json")
    return to_jsonable_python(value)


def _edition(path: Path, version: str) -> dict[str, str]:
    return {"path": str(path), "version": version}
