"""The loader's answer to a document, and our document with one clause worded otherwise."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contract_mutations import DOCUMENTS
from hypothesis import HealthCheck, settings
from tries import tries

from contract_checks.language.form import CLAUSES, Clause
from contract_checks.language.loader import InvalidContract, Problem, load
from contract_checks.language.people import names
from contract_checks.language.values import answerer, name, url

NIGHTLY = os.environ.get("HYPOTHESIS_PROFILE") == "nightly"
fuzz = settings(
    max_examples=10_000 if NIGHTLY else tries(300),
    derandomize=not NIGHTLY,
    database=None,
    suppress_health_check=list(HealthCheck),
)
seldom = settings(fuzz, max_examples=fuzz.max_examples // 6)
rarely = settings(fuzz, max_examples=fuzz.max_examples // 20)

OURS = DOCUMENTS[0]
CLAUSE = {clause.id: clause for clause in CLAUSES}
TYPED = [
    clause
    for clause in CLAUSES
    if clause.lands and not clause.entry and clause.reader not in (name, answerer, names, url)
]


@dataclass(frozen=True)
class Answer:
    """What the loader says of a file."""

    terms: dict[str, Any] | None
    lines: dict[str, int]
    problems: list[Problem]


def answer(path: Path, document: bytes | str) -> Answer:
    """Put the document at the path and load it."""
    path.write_bytes(document if isinstance(document, bytes) else document.encode())
    return _said(path)


def _said(path: Path) -> Answer:
    try:
        contract = load(path)
    except InvalidContract as invalid:
        return Answer(None, {}, invalid.problems)
    return Answer(contract.terms(), contract.lines, [])


def line_count(document: bytes) -> int:
    """The lines of a file as an editor numbers them: LF, CRLF and CR end one, nothing else does."""
    return len(re.split(rb"\r\n|\r|\n", document))


def line_of(clause: Clause) -> int:
    """The index of the clause's line in our document."""
    heading = f"{clause.section}. " if "." not in clause.section else f"{clause.section} "
    start = next(i for i, line in enumerate(OURS) if line.strip("# ").startswith(heading))
    label = f"- **{clause.label}:**"
    return next(i for i in range(start, len(OURS)) if OURS[i].strip().startswith(label))


def reworded(clause: Clause, change: Callable[[str], str]) -> str:
    """Our document with another value for one clause."""
    at = line_of(clause)
    head, _, value = OURS[at].partition(":** ")
    return "\n".join([*OURS[:at], f"{head}:** {change(value)}", *OURS[at + 1 :]])
