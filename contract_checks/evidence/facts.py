"""What checks look at: facts gathered once, before any check runs, and never changed by one.

Evidence that could not be gathered is a reason, not a hole: reading it raises `MissingEvidence`,
and the clause that asked is *unknown*. Missing evidence never counts as kept.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

from contract_checks.evidence.probes import Probe

_Fact = TypeVar("_Fact")


class MissingEvidence(Exception):  # noqa: N818  (not an error: the answer is "unknown")
    """A fact that could not be gathered; the message says why and what to do."""


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
class RegisteredField:
    """A feature as the registry declares it."""

    name: str
    dtype: str
    default: str | None


@dataclass(frozen=True)
class RegisteredEntity:
    """An entity as the registry declares it."""

    name: str
    join_keys: tuple[str, ...]
    dtype: str


@dataclass(frozen=True)
class RegisteredView:
    """A feature view as the registry declares it, and how far it was materialized."""

    name: str
    entities: tuple[RegisteredEntity, ...]
    ttl: timedelta
    owner: str
    description: str
    tags: Mapping[str, str]
    fields: tuple[RegisteredField, ...]
    online: bool
    source: str
    source_path: str
    source_owner: str
    timestamp_field: str
    materialized_to: datetime | None


@dataclass(frozen=True)
class Registry:
    """The registry's objects by name; a service is the names of its views' features."""

    project: str
    entities: Mapping[str, RegisteredEntity]
    views: Mapping[str, RegisteredView]
    services: Mapping[str, Mapping[str, tuple[str, ...]]]


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


@dataclass(frozen=True)
class Evidence:
    """Everything gathered for one judgement, or why it could not be."""

    as_of: datetime
    gathered_registry: Registry | MissingEvidence
    gathered_offline: OfflineStore | MissingEvidence
    gathered_join: Join | MissingEvidence
    gathered_probes: ProbeRun | MissingEvidence
    gathered_parity: Parity | MissingEvidence

    @property
    def registry(self) -> Registry:
        """The registry's objects."""
        return _present(self.gathered_registry)

    @property
    def offline(self) -> OfflineStore:
        """The offline feature table."""
        return _present(self.gathered_offline)

    @property
    def join(self) -> Join:
        """The join of active entities to features."""
        return _present(self.gathered_join)

    @property
    def probes(self) -> ProbeRun:
        """What the code answered to the contract's probes."""
        return _present(self.gathered_probes)

    @property
    def parity(self) -> Parity:
        """What the online store serves, against the offline one."""
        return _present(self.gathered_parity)

    def view(self, name: str) -> RegisteredView:
        """The feature view of that name.

        Raises:
            MissingEvidence: it is not registered, so nothing can be said about it.
        """
        view = self.registry.views.get(name)
        if view is None:
            raise MissingEvidence(f"feature view {name} is not registered: run `feast apply`")
        return view


def _present(gathered: _Fact | MissingEvidence) -> _Fact:
    if isinstance(gathered, MissingEvidence):
        raise gathered
    return gathered
