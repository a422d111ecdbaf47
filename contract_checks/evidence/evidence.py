"""Everything gathered for one judgement, or why it could not be."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from contract_checks.evidence.declared import RegisteredView, Registry
from contract_checks.evidence.facts import (
    Drift,
    Join,
    MissingEvidence,
    OfflineStore,
    OnlineStore,
    Operations,
    Parity,
    ProbeRun,
    TrainingSet,
)
from contract_checks.language.signing import Signature

_Fact = TypeVar("_Fact")


class _Present(Generic[_Fact]):
    """Reads the fact gathered under the attribute's name; raises where it is missing."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = f"gathered_{name}"

    def __get__(self, evidence: object, owner: type) -> _Fact:
        gathered: _Fact | MissingEvidence = getattr(evidence, self._name)
        if isinstance(gathered, MissingEvidence):
            raise gathered
        return gathered


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What the checks look at; reading a fact that is missing raises `MissingEvidence`."""

    as_of: datetime
    gathered_registry: Registry | MissingEvidence
    gathered_offline: OfflineStore | MissingEvidence
    gathered_online: OnlineStore | MissingEvidence
    gathered_join: Join | MissingEvidence
    gathered_probes: ProbeRun | MissingEvidence
    gathered_parity: Parity | MissingEvidence
    gathered_operations: Operations | MissingEvidence
    gathered_drift: Drift | MissingEvidence
    gathered_training_sets: tuple[TrainingSet, ...] | MissingEvidence
    gathered_oldest: Mapping[str, datetime] | MissingEvidence
    gathered_signatures: Mapping[str, Signature] | MissingEvidence

    registry = _Present[Registry]()
    offline = _Present[OfflineStore]()
    online = _Present[OnlineStore]()
    join = _Present[Join]()
    """The join of the active entities to their features, before defaults."""
    probes = _Present[ProbeRun]()
    parity = _Present[Parity]()
    """What the online store serves, against the offline one."""
    operations = _Present[Operations]()
    drift = _Present[Drift]()
    training_sets = _Present[tuple[TrainingSet, ...]]()
    oldest = _Present[Mapping[str, datetime]]()
    """The oldest instant that each store, log and baseline holds; empty ones are left out."""
    signatures = _Present[Mapping[str, Signature]]()
    """By the clause of the approval, such as `§12 platform approval`."""

    def view(self, name: str) -> RegisteredView:
        """The feature view of that name.

        Raises:
            MissingEvidence: it is not registered, so nothing can be said about it.
        """
        view = self.registry.views.get(name)
        if view is None:
            raise MissingEvidence(f"feature view {name} is not registered: run `feast apply`")
        return view
