"""From a Markdown document to a Contract, or to everything that is wrong with it at once."""

from pathlib import Path

from contract_checks.language.contract import Contract
from contract_checks.language.document import parse, text_of
from contract_checks.language.document_reading import DocumentReading
from contract_checks.language.problems import InvalidContract, Problem
from contract_checks.language.sentence import Unreadable
from contract_checks.language.terms import Terms

__all__ = ["InvalidContract", "Problem", "as_far_as_read", "lint", "load"]


def load(path: str | Path) -> Contract:
    """Read the contract document at a path.

    Raises InvalidContract with every problem of the document, a missing or binary file included.
    """
    contract, problems = as_far_as_read(path)
    if problems:
        raise InvalidContract(Path(path), problems)
    groups = {name: dict(group) for name, group in contract if isinstance(group, Terms)}
    return Contract.model_validate(dict(contract) | groups)


def as_far_as_read(path: str | Path) -> tuple[Contract, list[Problem]]:
    """The contract without the fields that could not be read, and every problem of the document.

    Raises InvalidContract where there is no document.
    """
    source = Path(path)
    try:
        reading = DocumentReading(parse(text_of(source)))
    except Unreadable as reason:
        raise InvalidContract(source, [Problem(1, "document", str(reason))]) from None
    problems = reading.problems()
    told = {"prose": reading.prose, "lines": reading.lines, "texts": reading.texts}
    return reading.draft().model_copy(update={**told, "path": source}), problems


def lint(path: str | Path) -> list[Problem]:
    """The problems of the contract document at a path, sorted by line; none when it is valid."""
    try:
        load(path)
    except InvalidContract as invalid:
        return invalid.problems
    return []
