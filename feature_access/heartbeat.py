"""Online reads that keep the contract: defaults for the unknown, an error for an empty store.

Stock Feast answers a customer it does not know with a null, and cannot tell "unknown" from "the
store was flushed". Filling nulls alone would turn an outage into plausible zeros. So a view's
materialization up to T, once all of it is written, leaves a heartbeat row stamped T, and every read
asks for it in the same round trip: with it, a missing customer is unknown and gets the declared
defaults (contract §2, §5.2), and the answer's age is known; without it, the store is empty and the
read fails.

A default is recognisable in a response: its event timestamp is 1970-01-01.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from feast import FeatureView, RepoConfig
from feast.infra.online_stores.online_store import OnlineStore
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value

from feature_access.defaults import default_proto
from feature_access.freshness import note
from feature_access.unavailable import OnlineStoreUnavailableError, empty
from feature_access.view_reader import FeastReader, ViewReader

_T = TypeVar("_T")

OnlineRow = tuple[datetime | None, dict[str, Value] | None]

PROVIDER = "feature_access.provider.HeartbeatProvider"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class HeartbeatOnlineStore(OnlineStore):  # type: ignore[misc]
    """Defaults and heartbeat for any Feast online store: a subclass names this one before it."""

    failures: tuple[type[Exception], ...] = ()
    """What the store's client raises where it gets no answer."""
    worth_asking_again: tuple[type[Exception], ...] = ()
    """Those of them that one more question, at once, may mend."""

    def fault(self, view: str, error: Exception) -> OnlineStoreUnavailableError:
        """What one of the failures means to whoever reads the view."""
        raise NotImplementedError

    def update(self, config: RepoConfig, *views: Any, **options: Any) -> None:
        """As Feast, when a repository is applied.

        Raises:
            ValueError: the provider is one that would leave no heartbeat.
        """
        if config.provider != PROVIDER:
            raise ValueError(
                f"provider {config.provider} leaves no heartbeat, without which nothing can be "
                f"read: set `provider: {PROVIDER}` in feature_store.yaml"
            )
        super().update(config, *views, **options)

    def begin(self, config: RepoConfig, table: FeatureView, until: datetime) -> None:
        """Leave a mark that is gone with the rows, should the store be flushed amid a write."""
        self._testify(config, table, writing_key(table), until)

    def beat(self, config: RepoConfig, table: FeatureView, until: datetime) -> None:
        """Testify that everything of the view up to `until` has been written."""
        self._testify(config, table, heartbeat_key(table), until)

    def _testify(
        self, config: RepoConfig, table: FeatureView, key: EntityKey, until: datetime
    ) -> None:
        values = {field.name: default_proto(field) for field in table.features}
        super().online_write_batch(config, table, [(key, values, until, None)], None)

    def materialized_to(self, config: RepoConfig, table: FeatureView) -> datetime | None:
        """The instant of the view's heartbeat, None without one.

        Raises:
            OnlineStoreUnavailableError: the store does not answer.
        """
        return self.testimony(config, table)[0]

    def testimony(self, config: RepoConfig, table: FeatureView) -> tuple[datetime | None, ...]:
        """The instants of the view's heartbeat and of its mark of a write, None without one.

        Raises:
            OnlineStoreUnavailableError: the store does not answer.
        """
        keys = [heartbeat_key(table), writing_key(table)]
        return tuple(_real(stamp) for stamp, _ in self._answered(config, table, keys, None))

    def reader(self, config: RepoConfig, table: FeatureView, features: Sequence[str]) -> ViewReader:
        """Those features of the view, ready to be read often."""
        return FeastReader(self, config, table, features)

    def online_read(
        self,
        config: RepoConfig,
        table: FeatureView,
        entity_keys: list[EntityKey],
        requested_features: list[str] | None = None,
    ) -> list[OnlineRow]:
        """One row per key, in order, with defaults for what the store does not hold.

        Raises:
            OnlineStoreUnavailableError: the store does not answer, has no heartbeat of the view, or
                is staler than the caller takes (see `fresh_within`).
        """
        keys = [*entity_keys, heartbeat_key(table)]
        return _judged(table, self._answered(config, table, keys, requested_features))

    async def online_read_async(
        self,
        config: RepoConfig,
        table: FeatureView,
        entity_keys: list[EntityKey],
        requested_features: list[str] | None = None,
    ) -> list[OnlineRow]:
        """See `online_read`."""
        keys = [*entity_keys, heartbeat_key(table)]
        return _judged(table, await self._answered_async(config, table, keys, requested_features))

    def _answered(
        self, config: RepoConfig, table: FeatureView, keys: list[EntityKey], of: list[str] | None
    ) -> list[OnlineRow]:
        ask_feast = super().online_read

        # A copy each time: Feast's Redis store adds to the list.
        return self.asked(table.name, lambda: ask_feast(config, table, keys, of and list(of)))

    def asked(self, view: str, ask: Callable[[], _T]) -> _T:
        """What the store's client answers for the view, asked once more where that may help.

        Raises:
            OnlineStoreUnavailableError: it answered nothing.
        """
        try:
            try:
                return ask()
            except self.worth_asking_again:
                return ask()
        except self.failures as error:
            raise self.fault(view, error) from error

    async def _answered_async(
        self, config: RepoConfig, table: FeatureView, keys: list[EntityKey], of: list[str] | None
    ) -> list[OnlineRow]:
        ask_feast = super().online_read_async

        return await self.asked_async(
            table.name, lambda: ask_feast(config, table, keys, of and list(of))
        )

    async def asked_async(self, view: str, ask: Callable[[], Awaitable[_T]]) -> _T:
        """See `asked`."""
        try:
            try:
                return await ask()
            except self.worth_asking_again:
                return await ask()
        except self.failures as error:
            raise self.fault(view, error) from error


def heartbeat_key(table: FeatureView) -> EntityKey:
    """Where the view's heartbeat lies: its join key is no entity's, so it is no customer's key."""
    return EntityKey(join_keys=["__heartbeat__"], entity_values=[Value(string_val=table.name)])


def writing_key(table: FeatureView) -> EntityKey:
    """Where the mark of a write lies, beside the heartbeat; no view's name ends like it."""
    name = f"{table.name} being written"
    return EntityKey(join_keys=["__heartbeat__"], entity_values=[Value(string_val=name)])


def _judged(table: FeatureView, answered: Sequence[OnlineRow]) -> list[OnlineRow]:
    """The customers' rows, with defaults, once the heartbeat that comes last says they count."""
    *rows, (stamp, _) = answered
    until = _real(stamp)
    if until is None:
        raise empty(table.name)
    defaulted = with_defaults(table, rows)
    note(table.name, until, unknown=sum(at is None for at, _ in defaulted))
    return defaulted


def with_defaults(table: FeatureView, rows: Sequence[OnlineRow]) -> list[OnlineRow]:
    """The rows with every value that is absent or null replaced by its field's default.

    A row that the store does not hold has no time.
    """
    defaults = {field.name: default_proto(field) for field in table.features}
    return [(_real(at), {**defaults, **_present(values)}) for at, values in rows]


def _real(stamp: datetime | None) -> datetime | None:
    """Feast's Redis store dates what it does not hold 1970."""
    return stamp if stamp is not None and stamp > _EPOCH else None


def _present(values: dict[str, Value] | None) -> dict[str, Value]:
    return {name: v for name, v in (values or {}).items() if v.WhichOneof("val") is not None}
