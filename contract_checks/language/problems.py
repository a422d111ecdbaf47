"""What is wrong with a contract document."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple


@dataclass(frozen=True)
class Problem:
    """What is wrong with one clause, at a 1-based line."""

    line: int
    clause: str
    message: str

    def __str__(self) -> str:
        return f"{self.line}: {self.clause}: {self.message}"


class InvalidContract(ValueError):  # noqa: N818  (an invalid contract is a word of the field)
    """A document that is not a contract; `problems` holds all of them, sorted by line."""

    def __init__(self, path: Path, problems: list[Problem]) -> None:
        self.path = path
        self.problems = sorted(problems, key=lambda problem: problem.line)
        super().__init__("\n".join(f"{path}:{problem}" for problem in self.problems))


class Conflict(NamedTuple):
    """A contradiction, at a clause and, where the clause is a list, at one of its items."""

    clause: str
    message: str
    item: str = ""
