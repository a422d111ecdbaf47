"""Online reads that keep the contract: defaults for the unknown, an error for an empty store.

Stock Feast answers a customer it does not know with a null, and cannot tell "unknown" from "the
store was flushed". Filling nulls alone would turn an outage into plausible zeros. So a view's
materialization up to T, once all of it is written, leaves a heartbeat row stamped T, and every read
asks for it in the same round trip: with it, a missing customer is unknown and gets the declared
defaults (contract §2, §5.2), and the answer's age is known; without it, the store is empty and the
read fails. What it says of which fields, and of views that are pushed: see `testimony`.

A default is recognisable in a response: its event timestamp is 1970-01-01.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

from feast import FeatureView, RepoConfig
from feast.infra.online_stores.online_store import OnlineStore
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value

from feature_access.errors import OnlineStoreUnavailableError, empty
from feature_access.online_stores.row_time import OnlineWrite, microseconds
from feature_access.online_stores.testimony import (
    OnlineRow,
    Testimony,
    heartbeat_key,
    judged,
    named_fields,
    old_heartbeat_key,
    older_heartbeat_keys,
    pushed_key,
    real,
    testifies_to_all,
    without_heartbeat,
    writing_key,
)
from feature_access.online_stores.view_reader import FeastReader, ViewReader

_T = TypeVar("_T")

PROVIDER = "feature_access.provider.HeartbeatProvider"


class HeartbeatOnlineStore(OnlineStore):  # type: ignore[misc]
    """Defaults and heartbeat for any Feast online store: a subclass names this one before it."""

    failures: tuple[type[Exception], ...] = ()
    """What the store's client raises where it gets no answer."""
    worth_asking_again: tuple[type[Exception], ...] = ()
    """Failures that one more question, at once, may mend."""

    def fault(self, view: FeatureView, error: Exception) -> OnlineStoreUnavailableError:
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
        self._leave(config, table, writing_key(table), {}, until)

    def beat(self, config: RepoConfig, table: FeatureView, until: datetime) -> None:
        """Testify that everything of the view up to `until` has been written, as it is declared.

        A heartbeat goes forward as rows do: of a past end it says nothing.
        """
        self._leave(config, table, heartbeat_key(table), named_fields(table), until)

    def online_write_batch(
        self,
        config: RepoConfig,
        table: FeatureView,
        data: Sequence[OnlineWrite],
        progress: Callable[[int], Any] | None,
    ) -> None:
        """As Feast, with a mark that rows were written, which counts where none was begun."""
        super().online_write_batch(config, table, data, progress)
        if data:
            newest = max((at for _, _, at, _ in data), key=microseconds)
            self._leave(config, table, pushed_key(table), {}, newest)

    async def online_write_batch_async(
        self,
        config: RepoConfig,
        table: FeatureView,
        data: Sequence[OnlineWrite],
        progress: Callable[[int], Any] | None,
    ) -> None:
        """See `online_write_batch`; in a thread, for not every store can do otherwise."""
        await asyncio.to_thread(self.online_write_batch, config, table, data, progress)

    def _leave(
        self,
        config: RepoConfig,
        table: FeatureView,
        key: EntityKey,
        values: dict[str, Value],
        at: datetime,
    ) -> None:
        super().online_write_batch(config, table, [(key, values, at, None)], None)

    def materialized_to(self, config: RepoConfig, table: FeatureView) -> datetime | None:
        """The instant of the view's heartbeat, None without one.

        Raises:
            OnlineStoreUnavailableError: the store does not answer.
        """
        return self.testimony(config, table).until

    def stands_at(self, config: RepoConfig, table: FeatureView) -> datetime:
        """The instant up to which every feature of the view can be read, were it to be.

        Raises:
            OnlineStoreUnavailableError: see `online_read`, of which this is one of no entity, and
                `refuse_to_lose`.
        """
        self.refuse_to_lose(config, table)
        until = self.testimony(config, table).until
        if until is None:
            raise empty(table)
        self.online_read(config, table, [])
        return until

    def refuse_to_lose(self, config: RepoConfig, table: FeatureView) -> None:
        """Make sure that what was written is still there; a store on a disk drops nothing.

        Raises:
            OnlineStoreEvictsError: rows may have been dropped to make room.
        """

    def untold(self, config: RepoConfig) -> str | None:
        """What the store's server will not tell of that; None where all is told."""
        return None

    def testimony(self, config: RepoConfig, table: FeatureView) -> Testimony:
        """What the view's heartbeat says, of either kind, and the mark of a write.

        Raises:
            OnlineStoreUnavailableError: the store does not answer.
        """
        keys = [heartbeat_key(table), old_heartbeat_key(table), writing_key(table)]
        beat, old, mark = self._answered(config, table, keys, None)
        return Testimony(
            until=real(beat[0]) or real(old[0]),
            begun=real(mark[0]),
            whole=testifies_to_all(table, beat),
        )

    def reader(self, config: RepoConfig, table: FeatureView, features: Sequence[str]) -> ViewReader:
        """A reader of those features of the view, for many reads."""
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
        *rows, beat = self._answered(
            config, table, [*entity_keys, heartbeat_key(table)], requested_features
        )
        if real(beat[0]):
            return judged(table, requested_features, rows, beat)
        others = self._answered(config, table, older_heartbeat_keys(table), requested_features)
        return without_heartbeat(table, requested_features, rows, *others)

    async def online_read_async(
        self,
        config: RepoConfig,
        table: FeatureView,
        entity_keys: list[EntityKey],
        requested_features: list[str] | None = None,
    ) -> list[OnlineRow]:
        """See `online_read`."""
        *rows, beat = await self._answered_async(
            config, table, [*entity_keys, heartbeat_key(table)], requested_features
        )
        if real(beat[0]):
            return judged(table, requested_features, rows, beat)
        others = await self._answered_async(
            config, table, older_heartbeat_keys(table), requested_features
        )
        return without_heartbeat(table, requested_features, rows, *others)

    def _answered(
        self, config: RepoConfig, table: FeatureView, keys: list[EntityKey], of: list[str] | None
    ) -> list[OnlineRow]:
        ask_feast = super().online_read

        # A copy each time: Feast's Redis store adds to the list.
        return self.asked(table, lambda: ask_feast(config, table, keys, of and list(of)))

    def asked(self, view: FeatureView, ask: Callable[[], _T]) -> _T:
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
            table, lambda: ask_feast(config, table, keys, of and list(of))
        )

    async def asked_async(self, view: FeatureView, ask: Callable[[], Awaitable[_T]]) -> _T:
        """See `asked`."""
        try:
            try:
                return await ask()
            except self.worth_asking_again:
                return await ask()
        except self.failures as error:
            raise self.fault(view, error) from error
