"""The production online store: Feast's Redis store with declared defaults and a heartbeat.

A reader waits for Redis no longer than 25 ms to connect and 70 ms for an answer, so that one that
hangs costs a caller less than 100 ms; Feast's own client would wait for ever, and try a refused
connection again for ten seconds. Jobs, which write thousands of rows, are more patient. A time-out
that the `connection_string` names goes before either.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Literal

import pyarrow as pa
from feast import Entity, FeatureView, RepoConfig
from feast.infra.online_stores.online_store import OnlineStore
from feast.infra.online_stores.redis import RedisOnlineStore, RedisOnlineStoreConfig
from pydantic import ConfigDict, model_validator
from redis import Redis
from redis.exceptions import AuthenticationError, RedisError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from feature_access.errors import (
    OnlineStoreDownError,
    OnlineStoreEvictsError,
    OnlineStoreHungError,
    OnlineStoreUnavailableError,
)
from feature_access.online_stores.heartbeat import HeartbeatOnlineStore
from feature_access.online_stores.redis_columns import as_declared, writes_of_columns
from feature_access.online_stores.redis_hashes import FieldsOf, Hash
from feature_access.online_stores.redis_layout import RedisLayout
from feature_access.online_stores.redis_memory import Untold, may_lose
from feature_access.online_stores.redis_reader import RedisReader
from feature_access.online_stores.redis_row_deletion import RowDeletingRedisStore
from feature_access.online_stores.redis_rows import ForwardRedisStore
from storage.profile import refuse_unset

_HASTY = "socket_connect_timeout=0.025,socket_timeout=0.07,retry=null"
_ONCE = "socket_connect_timeout=5,socket_timeout=5,retry=null"
_PATIENT = "socket_connect_timeout=5,socket_timeout=30"


class DefaultingRedisOnlineStoreConfig(RedisOnlineStoreConfig):  # type: ignore[misc]
    """Options of Feast's Redis store, of whose clients only redis-py keeps the time limits."""

    model_config = ConfigDict(hide_input_in_errors=True)  # the connection_string holds a password

    type: Literal["feature_access.online_stores.redis_store.DefaultingRedisOnlineStore"]
    client: Literal["redis"] = "redis"

    _all_set = model_validator(mode="before")(refuse_unset)


class DefaultingRedisOnlineStore(
    HeartbeatOnlineStore,
    RowDeletingRedisStore,
    ForwardRedisStore,
):
    """Feast's Redis online store with declared defaults, a heartbeat and time limits."""

    failures = (RedisError, OSError)
    # The server restarted and left a dead connection in the pool: a new one may do. It is never
    # asked again after a time-out, which would make the caller wait twice.
    worth_asking_again = (RedisConnectionError,)

    # Feast reads all views in one pipeline of its own; this way each view's heartbeat is in the
    # pipeline that reads the view.
    _read_features_per_fv = OnlineStore._read_features_per_fv
    _read_features_per_fv_async = OnlineStore._read_features_per_fv_async

    def __init__(self) -> None:
        super().__init__()
        self._hasty: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def fault(self, view: FeatureView, error: Exception) -> OnlineStoreUnavailableError:
        """A time-out is a hung store, anything else one that is down."""
        if isinstance(error, RedisTimeoutError | TimeoutError):
            return OnlineStoreHungError(
                f"the online store did not answer a read of {view.name} in time: see whether "
                "Redis is hung, overloaded or out of reach"
            )
        return OnlineStoreDownError(
            f"the online store cannot be read for {view.name}: {error}; see whether Redis is "
            "running and the connection_string of feature_store.yaml is right"
        )

    def update(
        self,
        config: RepoConfig,
        tables_to_delete: Sequence[FeatureView],
        tables_to_keep: Sequence[FeatureView],
        entities_to_delete: Sequence[Entity],
        entities_to_keep: Sequence[Entity],
        partial: bool,
    ) -> None:
        """As Feast; a view that goes takes its heartbeat along, which Feast's scan would not find.

        Raises:
            ValueError: see `_refuse_to_expire`.
        """
        _refuse_to_expire(config, tables_to_keep)
        super().update(
            config, tables_to_delete, tables_to_keep, entities_to_delete, entities_to_keep, partial
        )
        self.forget_testimony(config, tables_to_delete)

    def refuse_unusable(self, config: RepoConfig, views: Sequence[FeatureView]) -> None:
        """Make sure that the views can be served from here; a server that is down may come up.

        Raises:
            ValueError: see `_refuse_to_expire`; also when the server refuses the login.
        """
        _refuse_to_expire(config, views)
        try:
            RedisOnlineStore()._get_client(_within(_ONCE, config.online_store)).ping()
        except AuthenticationError:
            raise ValueError(
                "the online store does not let this login in: see the password in its "
                "connection_string"
            ) from None
        except (RedisError, OSError):
            return

    def teardown(
        self, config: RepoConfig, tables: Sequence[FeatureView], entities: Sequence[Entity]
    ) -> None:
        """As Feast, heartbeats included."""
        super().teardown(config, tables, entities)
        self.forget_testimony(config, tables)

    def refuse_to_lose(self, config: RepoConfig, table: FeatureView) -> None:
        """Ask the server whether it evicts, or has; where it does not tell, `untold` says so.

        Raises:
            OnlineStoreEvictsError: it does, or has.
        """
        why = self.asked(table, lambda: self._may_lose(config))
        if isinstance(why, str):
            raise OnlineStoreEvictsError(
                f"the online store may have lost rows of {table.name}: {why}"
            )

    def untold(self, config: RepoConfig) -> str | None:
        """See the base class."""
        why = self._may_lose(config)
        return (
            f"Redis does not tell whether it evicts rows ({why.why})"
            if isinstance(why, Untold)
            else None
        )

    def _may_lose(self, config: RepoConfig) -> str | Untold | None:
        options = config.online_store
        return may_lose(self.hasty_client(options), expiring=bool(options.key_ttl_seconds))

    def reader(
        self, config: RepoConfig, table: FeatureView, features: Sequence[str]
    ) -> RedisReader:
        """A reader of those features of the view, for many reads."""
        return RedisReader(self, config, table, features)

    def write_columns(self, config: RepoConfig, view: FeatureView, table: pa.Table) -> bool:
        """Write the rows of an offline table, where nothing asks for Feast's own way.

        It is asked for by `skip_dedup`, and by a column that is not as declared; then nothing is
        written, and the answer is False.

        Raises:
            OnlineStoreDownError: not all of it was written.
        """
        if config.online_store.skip_dedup or not as_declared(view, table):
            return False
        layout = RedisLayout(config, view)
        try:
            self.writer(config, layout).write(writes_of_columns(layout, view, table), None)
        except self.failures as error:
            raise OnlineStoreDownError(
                f"the online store failed while {view.name} was written: {error}; what was written "
                "stays, and the next refresh writes the rest"
            ) from error
        return True

    def hasty_client(self, online_store_config: RedisOnlineStoreConfig) -> Any:
        """Redis, for a caller who will not wait."""
        if self._hasty is None:
            self._hasty = RedisOnlineStore()._get_client(_within(_HASTY, online_store_config))
        return self._hasty

    def _read_hash_fields(
        self, config: RepoConfig, commands: Sequence[tuple[bytes, Sequence[str | bytes]]]
    ) -> list[Hash]:
        """Feast asks the same fields of every key."""
        fields = [f if isinstance(f, bytes) else f.encode() for f in commands[0][1]]
        keys = [key for key, _ in commands]
        return FieldsOf(fields).ask(self.hasty_client(config.online_store), keys)

    def _get_client(self, online_store_config: RedisOnlineStoreConfig) -> Any:
        client = super()._get_client(_within(_PATIENT, online_store_config))
        if isinstance(client, Redis) and (retry := client.get_retry()):
            # Who has not answered within the limit hangs: to ask again would multiply it.
            again = (RedisConnectionError,)
            client.set_retry(Retry(retry._backoff, retry._retries, supported_errors=again))
        return client

    async def _get_client_async(self, online_store_config: RedisOnlineStoreConfig) -> Any:
        loop = asyncio.get_running_loop()
        if self._loop is not loop:  # connections belong to the loop they were opened in
            self._client_async, self._loop = None, loop
        return await super()._get_client_async(_within(_HASTY, online_store_config))


def _within(limits: str, options: RedisOnlineStoreConfig) -> RedisOnlineStoreConfig:
    """The options with those limits; what the connection string itself says wins, coming later."""
    connection = f"{limits},{options.connection_string}"
    return options.model_copy(update={"connection_string": connection})


def _refuse_to_expire(config: RepoConfig, views: Sequence[FeatureView]) -> None:
    """Make sure that no row expires while it still counts.

    Raises:
        ValueError: rows of a view would.
    """
    expiry = config.online_store.key_ttl_seconds
    for view in views:
        if expiry and view.ttl and timedelta(seconds=expiry) < view.ttl:
            raise ValueError(
                f"key_ttl_seconds {expiry} is less than the ttl {view.ttl} of {view.name}: "
                "customers would turn into defaults while they are active; make it longer"
            )
