"""What commands share: documents read whole or refused, and refusals with exit code 2."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import typer

from contract_checks.language.contract import Contract
from contract_checks.language.loader import InvalidContract, load

_Document = TypeVar("_Document")


def refusal(reason: str) -> typer.Exit:
    """Say on standard error why a command cannot go on; raise what it returns."""
    typer.echo(reason, err=True)
    return typer.Exit(2)


def documents(paths: Iterable[Path], read: Callable[[Path], _Document]) -> list[_Document]:
    """What is read from the paths; every problem of any of them ends the command."""
    found, problems = [], []
    for path in paths:
        try:
            found.append(read(path))
        except InvalidContract as invalid:
            problems.append(str(invalid))
    if problems:
        raise refusal("\n".join(problems))
    return found


def named_or_all(files: Sequence[Path] | None, repository: Path) -> list[Path]:
    """The documents that were named; where none was, the repository's own."""
    named = list(files or sorted((repository / "contracts").glob("*.md")))
    if not named:
        raise refusal(f"no contract in {repository / 'contracts'}: name a document")
    return named


def named_or_only(file: Path | None, repository: Path) -> Path:
    """The document that was named; where none was, the repository's only one."""
    found = named_or_all([file] if file else None, repository)
    if len(found) > 1:
        raise refusal(f"name one document: {', '.join(map(str, found))}")
    return found[0]


def contract_at(path: Path) -> Contract:
    """The contract at a path; its problems end the command."""
    (contract,) = documents([path], load)
    return contract
