"""Online rows leave: all that are too old (contract §9), or all of one customer.

A store is asked as a whole, canaries and retired views included; heartbeats are no customer's and
stay. What a row held is overwritten, not only unlinked: nothing of it lingers in the file.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from feast import FeatureView, RepoConfig
from feast.infra.key_encoding_utils import serialize_entity_key
from feast.infra.online_stores.helpers import _mmh3, compute_table_id
from feast.infra.online_stores.online_store import OnlineStore
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from google.protobuf.timestamp_pb2 import Timestamp

from feature_access.redis_layout import RedisLayout
from feature_access.row_time import CREATED

_HEARTBEAT = b"__heartbeat__"
_STAMP = b"_ts:"


class ForgetfulOnlineStore(OnlineStore):  # type: ignore[misc]
    """What a store that keeps to a retention has to be able to do."""

    def older(self, config: RepoConfig, cutoff: datetime) -> int:
        """Entities' rows, one per view, that are stamped before the cutoff."""
        raise NotImplementedError

    def forget_older(
        self, config: RepoConfig, views: Iterable[FeatureView], cutoff: datetime
    ) -> int:
        """Remove them, and say how many they were."""
        raise NotImplementedError

    def held(self, config: RepoConfig, keys: Sequence[EntityKey]) -> int:
        """Rows under those keys, one per view, of whatever project."""
        raise NotImplementedError

    def forget(self, config: RepoConfig, keys: Sequence[EntityKey]) -> int:
        """Remove them, and say how many they were."""
        raise NotImplementedError

    def forget_view(self, config: RepoConfig, view: FeatureView) -> None:
        """Remove all of the view, its heartbeat first, so that nobody is given a default since."""
        raise NotImplementedError


def bytes_of(config: RepoConfig, key: EntityKey) -> bytes:
    """What an entity is called in the store: in no other entity's name, and in no value."""
    serialized: bytes = serialize_entity_key(key, config.entity_key_serialization_version)
    return serialized


class ForgetfulSqliteStore(ForgetfulOnlineStore):
    """Over the tables of Feast's SQLite store; a subclass names this one before Feast's."""

    def older(self, config: RepoConfig, cutoff: datetime) -> int:
        """See the base class."""
        return self._count(config, _OLD, (_HEARTBEAT, _kept(cutoff)))

    def forget_older(
        self, config: RepoConfig, views: Iterable[FeatureView], cutoff: datetime
    ) -> int:
        """See the base class; whole seconds are what the store keeps of a stamp."""
        return self._remove(config, _OLD, (_HEARTBEAT, _kept(cutoff)))

    def held(self, config: RepoConfig, keys: Sequence[EntityKey]) -> int:
        """See the base class."""
        return self._count(config, *_under(config, keys))

    def forget(self, config: RepoConfig, keys: Sequence[EntityKey]) -> int:
        """See the base class."""
        return self._remove(config, *_under(config, keys))

    def forget_view(self, config: RepoConfig, view: FeatureView) -> None:
        """See the base class; readers see all of it or nothing."""
        versioned = config.registry.enable_online_feature_view_versioning
        table = compute_table_id(config.project, view, versioned).replace('"', '""')
        with self._get_conn(config) as connection:
            connection.execute(f'DELETE FROM "{table}"')

    def _count(self, config: RepoConfig, where: str, values: tuple[Any, ...]) -> int:
        connection = self._get_conn(config)
        return sum(
            connection.execute(
                f"SELECT count(DISTINCT entity_key) FROM {table} WHERE {where}", values
            ).fetchone()[0]
            for table in _tables(connection)
        )

    def _remove(self, config: RepoConfig, where: str, values: tuple[Any, ...]) -> int:
        rows, connection = self._count(config, where, values), self._get_conn(config)
        connection.execute("PRAGMA secure_delete = ON")
        with connection:
            for table in _tables(connection):
                connection.execute(f"DELETE FROM {table} WHERE {where}", values)
        connection.execute("VACUUM")  # of what earlier updates left in free pages
        return rows


_OLD = "instr(entity_key, ?) = 0 AND event_ts < ?"


def _under(config: RepoConfig, keys: Sequence[EntityKey]) -> tuple[str, tuple[bytes, ...]]:
    named = tuple(bytes_of(config, key) for key in keys)
    return f"entity_key IN ({', '.join('?' * len(named))})", named


def _kept(cutoff: datetime) -> float:
    # As Feast's adapter reckons it, which takes the machine's zone for UTC when it writes.
    return cutoff.astimezone(UTC).replace(tzinfo=None).timestamp()


def _tables(connection: sqlite3.Connection) -> list[str]:
    named = connection.execute(
        """SELECT DISTINCT tables.name FROM sqlite_master AS tables, pragma_table_info(tables.name)
        AS columns WHERE tables.type = 'table' AND columns.name = 'entity_key' ORDER BY 1"""
    ).fetchall()
    return ['"' + str(name).replace('"', '""') + '"' for (name,) in named]


class ForgetfulRedisStore(ForgetfulOnlineStore):
    """Over the hashes of Feast's Redis store; a subclass names this one before Feast's."""

    def older(self, config: RepoConfig, cutoff: datetime) -> int:
        """See the base class."""
        return sum(len(views) for _, views in self._old(config, cutoff))

    def forget_older(
        self, config: RepoConfig, views: Iterable[FeatureView], cutoff: datetime
    ) -> int:
        """See the base class."""
        fields = {
            view.name: [
                *(_mmh3(f"{view.name}:{f.name}") for f in view.features),
                _mmh3(f"{view.name}:{CREATED}"),
            ]
            for view in views
        }
        rows = 0
        client = self._get_client(config.online_store)
        for key, old in self._old(config, cutoff):
            gone = [field for view in old for field in (*fields.get(view, ()), f"_ts:{view}")]
            client.hdel(key, *gone)  # a hash without fields is none
            rows += len(old)
        return rows

    def held(self, config: RepoConfig, keys: Sequence[EntityKey]) -> int:
        """See the base class."""
        client = self._get_client(config.online_store)
        return sum(
            len([field for field in client.hkeys(name) if field.startswith(_STAMP)])
            for name in self._names(config, keys)
        )

    def forget(self, config: RepoConfig, keys: Sequence[EntityKey]) -> int:
        """See the base class."""
        rows = self.held(config, keys)
        if names := list(self._names(config, keys)):
            self._get_client(config.online_store).delete(*names)
        return rows

    def forget_view(self, config: RepoConfig, view: FeatureView) -> None:
        """See the base class; what other views have in the same hashes stays."""
        layout, client = RedisLayout(config, view), self._get_client(config.online_store)
        names = [*(feature.name for feature in view.features), CREATED]
        fields = [layout.stamp, *map(layout.field, names)]
        for of_heartbeats in (True, False):
            for name in client.scan_iter(count=10_000):
                if (_HEARTBEAT in name) is of_heartbeats and name.endswith(config.project.encode()):
                    client.hdel(name, *fields)  # a hash without fields is none

    def _names(self, config: RepoConfig, keys: Sequence[EntityKey]) -> Iterator[bytes]:
        """The hashes under those keys, one a project."""
        beginnings = tuple(bytes_of(config, key) for key in keys)
        for name in self._get_client(config.online_store).scan_iter(count=10_000):
            if name.startswith(beginnings):
                yield name

    def _old(self, config: RepoConfig, cutoff: datetime) -> Iterator[tuple[bytes, list[str]]]:
        """The hashes of this project with views whose stamp is before the cutoff."""
        client = self._get_client(config.online_store)
        for name in client.scan_iter(count=10_000):
            if _HEARTBEAT in name or not name.endswith(config.project.encode()):
                continue
            stamps = {f: v for f, v in client.hgetall(name).items() if f.startswith(_STAMP)}
            old = [f.removeprefix(_STAMP).decode() for f, v in stamps.items() if _at(v) < cutoff]
            if old:
                yield name, old


def _at(stamp: bytes) -> datetime:
    read = Timestamp()
    read.ParseFromString(stamp)
    at: datetime = read.ToDatetime(tzinfo=UTC)
    return at
