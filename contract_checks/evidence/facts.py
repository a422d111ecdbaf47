"""What checks look at: facts gathered once, before any check runs, and never changed by one.

Evidence that could not be gathered is a reason, not a hole: reading it raises `MissingEvidence`,
and the clause that asked is *unknown*. Missing evidence never counts as kept.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, TypeVar

from contract_checks.evidence.probes import Probe
from contract_checks.operations.log import Record


class MissingEvidence(Exception):  # noqa: N818  (not an error: the answer is "unknown")
    """A fact that could not be gathered; the message says why and what to do."""


_Fact = TypeVar("_Fact")


def there(evidence: _Fact | MissingEvidence) -> _Fact:
    """The evidence.

    Raises:
        MissingEvidence: it is missing.
    """
    if isinstance(evidence, MissingEvidence):
        raise evidence
    return evidence


class Table(Protocol):
    """A frozen table that counts and shows the rows a predicate (SQL) finds."""

    @property
    def columns(self) -> Mapping[str, str]:
        """Column name to type, in the engine's words."""

    def count(self, where: str = "true") -> int:
        """Rows that satisfy the predicate."""

    def sample(self, where: str, columns: tuple[str, ...]) -> tuple[str, ...]:
        """The first few such rows, in a stable order, readable."""

    def value(self, expression: str) -> object:
        """An aggregate over all rows."""


@dataclass(frozen=True)
class OfflineStore:
    """The offline feature table, as known at the as-of time."""

    path: str
    history: Table
    """Every row stamped up to the as-of time."""
    duplicates: Table
    """Keys of `history` with `rows` > 1 records at one timestamp."""
    newest: datetime | None
    """Stamp of the newest row."""


@dataclass(frozen=True)
class OnlineStore:
    """Stamps of rows the online store serves; None where it serves none."""

    oldest: datetime | None
    newest: datetime | None
    newest_to_serve: datetime | None
    """The newest offline row within the ttl when it was last materialized."""
    heartbeat: datetime | None = None
    """Up to when the store itself testifies to the view; None where it keeps no such thing."""


@dataclass(frozen=True)
class Join:
    """What a left join of the active entities to the features returns, before defaults."""

    entity_rows: int
    """Entities with an event in the look-back window, as far as it had arrived."""
    matched: int
    joined_rows: int
    """Rows the join returns for the matched ones."""
    unmatched_sample: tuple[str, ...]


@dataclass(frozen=True)
class ProbeAnswer:
    """What the real aggregation and the real point-in-time join made of one probe."""

    probe: Probe
    got: Mapping[str, object]


@dataclass(frozen=True)
class ProbeRun:
    """The answers to every probe, read in one join of one entity row each."""

    answers: tuple[ProbeAnswer, ...]
    asked: tuple[str, ...]
    """Join keys of the entity rows, in the order asked: a doubled and an unknown one among them."""
    returned: tuple[str, ...]
    """Join keys of the rows returned, in their order."""


@dataclass(frozen=True)
class Parity:
    """Online values beside the offline ones of the last materialization."""

    compared: int
    """Entities looked up in both stores."""
    differing: Mapping[str, int]
    """Feature to the number of entities whose two values differ."""
    sample: tuple[str, ...]
    pairs: Mapping[str, tuple[tuple[float, float], ...]] = field(default_factory=dict)
    """Feature to a few hundred entities' values, offline and online; whose they are is left out."""
    entities: int | None = None
    """All that the offline table knows; None where all were compared."""
    strangers: Mapping[str, int] = field(default_factory=dict)
    """Feature to the number of unknown entities that were served another value than its default."""


@dataclass(frozen=True)
class Distribution:
    """How one feature's values spread over the baseline's bins, then and now."""

    bins: tuple[str, ...]
    """What each bin holds, in words, in the order of their values; the last holds nulls."""
    baseline: tuple[int, ...]
    """Entities per bin in the baseline."""
    current: tuple[int, ...]
    """Entities per bin at the as-of time."""
    psi: float
    """Population stability index of the two."""
    noise: float
    """The PSI that two samples of these sizes from one population stay below 95 times of 100."""


@dataclass(frozen=True)
class Drift:
    """The features at the as-of time against the frozen baseline."""

    baseline_from: datetime
    baseline_to: datetime
    features: Mapping[str, Distribution]
    baseline_match_rate: float
    baseline_fanout_ratio: float
    intact: bool
    """Whether the baseline on record is, byte for byte, the one that was frozen."""


@dataclass(frozen=True)
class TrainingSet:
    """A training set on record, as it lies there now."""

    path: str
    rows: int
    unmasked: Mapping[str, int]
    """Join key to the number of rows in which it is no hash."""
    as_built: bool = True
    """Whether it is, byte for byte, the one that was built."""
    oldest: datetime | None = None
    """Its first event timestamp."""


@dataclass(frozen=True)
class Operations:
    """What ran up to the as-of time, oldest first."""

    records: tuple[Record, ...]
    changed_files: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    """By job and subject, the files its last record names that are gone or different now."""

    def of(self, job: str, subject: str | None = None) -> tuple[Record, ...]:
        """The runs of one job, on one subject or on any."""
        return tuple(r for r in self.records if r.job == job and subject in (None, r.subject))

    def last(self, job: str, subject: str) -> Record:
        """The newest run.

        Raises:
            MissingEvidence: there is none on record.
        """
        runs = self.of(job, subject)
        if not runs:
            raise MissingEvidence(f"no {job} of {subject} is on record: see docs/operations.md")
        return runs[-1]
