"""Online reads for a model: typed, in a fixed order, and never older than the contract allows.

Service and view are looked up once, when it is opened. A read is one round trip to the store and
touches no registry; whoever is to follow a moved pointer opens anew.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from feast import FeatureStore
from feast.errors import FeatureServiceNotFoundException
from feast.feature_view_projection import FeatureViewProjection

from feature_access.online_stores.freshness import Reading, fresh_within
from feature_access.online_stores.online_rows import Row as Row
from feature_access.online_stores.online_rows import Scalar as Scalar
from feature_access.online_stores.view_reader import ViewReader, with_keys_called
from feature_access.registry import open_store
from feature_access.terms import Terms
from storage.errors import RefusedError


@dataclass(frozen=True)
class Answer:
    """The rows asked for, in the order of the keys."""

    features: tuple[str, ...]
    """In the order in which the view declares them, the same in every process."""
    rows: tuple[Row, ...]
    materialized_to: datetime
    """Every change up to this instant is in the rows."""
    age: timedelta
    """The time of the read less `materialized_to`; negative where the clocks differ a little."""

    def named(self) -> list[dict[str, Scalar]]:
        """The rows as features by name."""
        return [dict(zip(self.features, row.values, strict=True)) for row in self.rows]


class OnlineFeatures:
    """One feature service, open for reading by one consumer."""

    def __init__(self, store: FeatureStore, service: str, consumer: str, terms: Terms) -> None:
        """See `open`."""
        terms.refuse_stranger(consumer)
        projection = _projection(store, service, terms)
        view = store.get_feature_view(projection.name)
        self.features: tuple[str, ...] = tuple(field.name for field in projection.features)
        online_store = store._get_provider().online_store
        self._reader: ViewReader = with_keys_called(
            projection.join_key_map or {}, online_store.reader(store.config, view, self.features)
        )
        self._max_age = terms.max_age

    @classmethod
    def open(
        cls, repository: Path, *, service: str, consumer: str, terms: Terms
    ) -> "OnlineFeatures":
        """The service as the registry of `repository` has it now.

        Raises:
            RefusedError: the terms do not approve the consumer, there is no such service, or it
                serves something else than the view of the terms.
        """
        return cls(open_store(repository), service, consumer, terms)

    def read(self, keys: Sequence[Mapping[str, object]], *, at: datetime) -> Answer:
        """The features of each entity, such as `{"customer_id": 1}`, where the present is `at`.

        Raises:
            UnusableKeysError: a key is not one.
            OnlineStoreUnavailableError: the store is down, hung, empty, in the future or staler
                than allowed.
        """
        with fresh_within(self._max_age, at) as reading:
            rows = self._reader.read(keys)
        return self._answer(rows, reading)

    async def read_async(self, keys: Sequence[Mapping[str, object]], *, at: datetime) -> Answer:
        """See `read`; a store that knows no asynchronous reads is read in a thread."""
        with fresh_within(self._max_age, at) as reading:
            rows = await self._reader.read_async(keys)
        return self._answer(rows, reading)

    def _answer(self, rows: Sequence[Row], reading: Reading) -> Answer:
        until = reading.materialized_to
        assert until is not None  # noqa: S101  (a store that answered had a heartbeat)
        return Answer(self.features, tuple(rows), until, reading.at - until)


def _projection(store: FeatureStore, service: str, terms: Terms) -> FeatureViewProjection:
    """The one view of the service, as the service shows it."""
    try:
        projections = store.get_feature_service(service).feature_view_projections
    except FeatureServiceNotFoundException as error:
        known = ", ".join(sorted(s.name for s in store.list_feature_services()))
        raise RefusedError(f"no feature service {service}: name one of {known}") from error
    if [projection.name for projection in projections] != [terms.view]:
        shown = ", ".join(projection.name for projection in projections)
        raise RefusedError(
            f"service {service} serves {shown}, and the terms are of {terms.view}: read it under "
            "its own contract"
        )
    return projections[0]
