"""What a check says, and what all of them say together."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum


class Outcome(Enum):
    """The three answers; the value is the process's exit code."""

    KEPT = 0
    BROKEN = 1
    UNKNOWN = 2


def worst_of(outcomes: Iterable[Outcome]) -> Outcome:
    """Broken beats unknown beats kept; of nothing, nothing is known."""
    found = set(outcomes) or {Outcome.UNKNOWN}
    return next(o for o in (Outcome.BROKEN, Outcome.UNKNOWN, Outcome.KEPT) if o in found)


@dataclass(frozen=True)
class Finding:
    """One check's answer for one clause."""

    clause: str
    check: str
    outcome: Outcome
    expected: str
    got: str
    count: int = 0
    """Rows or objects that break the clause."""
    sample: tuple[str, ...] = ()
    """A few of them."""
    line: int | None = None
    """Line of the clause in the document."""


@dataclass(frozen=True)
class Report:
    """Every finding of one judgement, in the document's order."""

    contract: str
    title: str
    as_of: datetime
    findings: tuple[Finding, ...]

    def having(self, outcome: Outcome) -> Sequence[Finding]:
        """The findings of that outcome."""
        return [finding for finding in self.findings if finding.outcome is outcome]

    @property
    def outcome(self) -> Outcome:
        """Broken if anything is; else unknown if anything is, or nothing was checked; else kept."""
        return worst_of(finding.outcome for finding in self.findings)
