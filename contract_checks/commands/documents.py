"""What commands share: documents read whole or refused, and refusals with exit code 2."""

from collections.abc import Callable, Iterable
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


def contract_at(path: Path) -> Contract:
    """The contract at a path; its problems end the command."""
    (contract,) = documents([path], load)
    return contract
