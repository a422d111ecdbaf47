"""Online reads that keep the contract: defaults for the unknown, an error for an empty store.

Stock Feast answers a customer it does not know with a null, and cannot tell "unknown" from "the
store was flushed". Filling nulls alone would turn an outage into plausible zeros. So every write
leaves a heartbeat row beside the customers' rows, and every read asks for it in the same round
trip: with it, a missing customer is unknown and gets the declared defaults (contract §2, §5.2);
without it, the store is empty and the read fails.

A default is recognisable in a response: its event timestamp is 1970-01-01.
"""

import sqlite3
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Literal

from feast import FeatureView, RepoConfig
from feast.infra.online_stores.sqlite import SqliteOnlineStore, SqliteOnlineStoreConfig
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value

from feature_access.defaults import default_proto

OnlineRow = tuple[datetime | None, dict[str, Value] | None]
WriteRow = tuple[EntityKey, dict[str, Value], datetime, datetime | None]


class OnlineStoreEmptyError(RuntimeError):
    """The online store holds nothing of a view: never materialized, flushed or expired."""


class DefaultingSqliteOnlineStoreConfig(SqliteOnlineStoreConfig):  # type: ignore[misc]
    """Options of Feast's SQLite store; only the type's name differs."""

    type: Literal["feature_access.online_store.DefaultingSqliteOnlineStore"]


class DefaultingSqliteOnlineStore(SqliteOnlineStore):  # type: ignore[misc]
    """Feast's SQLite online store with declared defaults and a heartbeat."""

    def online_write_batch(
        self,
        config: RepoConfig,
        table: FeatureView,
        data: list[WriteRow],
        progress: Callable[[int], Any] | None,
    ) -> None:
        """Write the rows and, in the same transaction, the heartbeat."""
        if data:
            data = [*data, _heartbeat(table, at=max(row[2] for row in data))]
        super().online_write_batch(config, table, data, progress)

    def online_read(
        self,
        config: RepoConfig,
        table: FeatureView,
        entity_keys: list[EntityKey],
        requested_features: list[str] | None = None,
    ) -> list[OnlineRow]:
        """One row per key, in order, with defaults for what the store does not hold.

        Raises:
            OnlineStoreEmptyError: the view's heartbeat is not there.
        """
        keys = [*entity_keys, _heartbeat_key(table)]
        try:
            *rows, heartbeat = super().online_read(config, table, keys, requested_features)
        except sqlite3.OperationalError as error:
            if "no such table" not in str(error):
                raise
            raise _empty(table) from error  # the file is gone, and SQLite made a new one
        if heartbeat[1] is None:
            raise _empty(table)
        return with_defaults(table, rows)


def _empty(table: FeatureView) -> OnlineStoreEmptyError:
    return OnlineStoreEmptyError(
        f"the online store holds nothing of {table.name}: it was never materialized, or was "
        "flushed; run `feast apply` and scripts/refresh.py before serving it"
    )


def with_defaults(table: FeatureView, rows: Sequence[OnlineRow]) -> list[OnlineRow]:
    """The rows with every value that is absent or null replaced by its field's default."""
    defaults = {field.name: default_proto(field) for field in table.features}
    return [(at, {**defaults, **_present(values)}) for at, values in rows]


def _present(values: dict[str, Value] | None) -> dict[str, Value]:
    return {name: v for name, v in (values or {}).items() if v.WhichOneof("val") is not None}


def _heartbeat_key(table: FeatureView) -> EntityKey:
    # Its join key is no entity's, so it can never be a customer's key.
    return EntityKey(join_keys=["__heartbeat__"], entity_values=[Value(string_val=table.name)])


def _heartbeat(table: FeatureView, at: datetime) -> WriteRow:
    values = {field.name: default_proto(field) for field in table.features}
    return _heartbeat_key(table), values, at, None
