"""Access review: who read the feature in the review period (contract §9)."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta

from contract_checks.evidence.facts import there
from contract_checks.evidence.operations import read_operations
from contract_checks.findings import Outcome
from contract_checks.language.contract import Contract
from contract_checks.measures.calendar import one_period_before, turn_of_the_period
from contract_checks.operations.log import Record
from jobs.privacy.exposed_files import exposed_files
from jobs.reporting.recording import recorded
from jobs.repository import ROOT

_ONLINE = "online_reads"
_READS = ("training_set", _ONLINE)
_JOBS = (*_READS, "access_review")


@dataclass(frozen=True)
class Reader:
    """What one consumer read, or tried to."""

    name: str
    approved: bool
    sets: int
    requests: int
    """Online reads that were answered."""
    rows: int
    """Rows of training sets and of requests."""
    paths: tuple[str, ...]
    """The training sets, each once."""
    refused: int
    """Training sets that were refused or failed, and online reads that were refused."""
    first: datetime
    last: datetime
    """When the first and the last attempt were put on record."""


@dataclass(frozen=True)
class Review:
    """Who read in (start, end], by name."""

    start: datetime
    end: datetime
    readers: tuple[Reader, ...]


def turns_to_review(contract: Contract, at: datetime) -> list[datetime]:
    """The ends of the whole periods before `at` that nobody has reviewed, oldest first.

    They begin after the last review or, before any, with the first read.

    Raises:
        MissingEvidence: there is no operations log.
    """
    operations, view = there(read_operations(ROOT, at, _JOBS)), contract.view_name
    cadence = contract.privacy.access_review
    reviewed = [r.at for r in operations.of("access_review", view) if r.completed]
    reads = [r.at for job in _READS for r in operations.of(job, view)]
    # A read at the very turn is of the period that ends.
    since = max(reviewed, default=None) or min(reads, default=at) - timedelta.resolution
    turns, turn = [], turn_of_the_period(at, cadence)
    while turn > since:
        turns.append(turn)
        turn = one_period_before(turn, cadence)
    return turns[::-1]


def access_review(contract: Contract, as_of: datetime) -> Review:
    """Review the period up to `as_of`, and leave a record.

    Raises:
        MissingEvidence: there is no operations log.
    """
    operations = there(read_operations(ROOT, as_of, _JOBS))
    with recorded("access_review", contract.view_name, as_of) as figures:
        start = one_period_before(as_of, contract.privacy.access_review)
        figures |= {"from": start.isoformat(), "to": as_of.isoformat()}
        attempts = [
            attempt
            for attempt in operations.records
            if attempt.job in _READS
            and attempt.subject == contract.view_name
            and attempt.at > start
        ]
        review = Review(start, as_of, _readers(contract, attempts))
        figures["reads"] = {
            r.name: {"sets": r.sets, "requests": r.requests, "rows": r.rows} for r in review.readers
        }
        figures["refused"] = {r.name: r.refused for r in review.readers if r.refused}
        figures["exposed_files"] = sum(1 for _ in exposed_files(ROOT / "data"))
        figures["passed"] = outcome(review) is Outcome.KEPT
    return review


def outcome(review: Review) -> Outcome:
    """Whoever was refused got nothing; whoever is not approved should have got nothing."""
    others = any(
        (reader.sets or reader.requests) and not reader.approved for reader in review.readers
    )
    return Outcome.BROKEN if others else Outcome.KEPT


def _readers(contract: Contract, attempts: list[Record]) -> tuple[Reader, ...]:
    """The attempts by consumer, each by the name the contract has for it."""
    approved = {name.casefold(): name for name in contract.privacy.consumers}
    attempts_of: dict[str, list[Record]] = defaultdict(list)
    for attempt in attempts:
        named = str(attempt.figures.get("consumer", "nobody named"))
        attempts_of[approved.get(named.casefold(), named)].append(attempt)
    return tuple(
        _reader(name, name in approved.values(), tried)
        for name, tried in sorted(attempts_of.items())
    )


def _reader(name: str, approved: bool, attempts: list[Record]) -> Reader:
    built = [a for a in attempts if a.job != _ONLINE]
    sets = [attempt.figures for attempt in built if attempt.passed]
    online = [attempt.figures for attempt in attempts if attempt.job == _ONLINE]
    return Reader(
        name,
        approved,
        sets=len(sets),
        requests=sum(figures["requests"] for figures in online),
        rows=sum(figures.get("rows", 0) for figures in (*sets, *online)),
        paths=tuple(sorted({figures["path"] for figures in sets if "path" in figures})),
        refused=len(built) - len(sets) + sum(figures["refused"] for figures in online),
        first=attempts[0].at,
        last=attempts[-1].at,
    )
