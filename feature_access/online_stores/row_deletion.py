"""Online rows leave: all that are too old (contract §9), or all of one customer.

Old rows are a feature's: those of its versions, retired ones and canaries included, and no other
view's. A customer's are all of the project's. Heartbeats are no customer's and stay. What a row
held is overwritten, not only unlinked: nothing of it lingers in the file.
"""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from feast import FeatureView, RepoConfig
from feast.infra.key_encoding_utils import serialize_entity_key
from feast.infra.online_stores.helpers import compute_table_id
from feast.infra.online_stores.online_store import OnlineStore
from feast.protos.feast.types.EntityKey_pb2 import EntityKey

HEARTBEAT = b"__heartbeat__"

Whose = Callable[[str], bool]
"""Whether a view, by its name, is one of those meant; it need not be registered any more."""


class RowDeletingOnlineStore(OnlineStore):  # type: ignore[misc]
    """What a store that keeps to a retention has to be able to do."""

    def older(self, config: RepoConfig, whose: Whose, cutoff: datetime) -> int:
        """Entities' rows, one per view of those meant, that are stamped before the cutoff."""
        raise NotImplementedError

    def forget_older(
        self, config: RepoConfig, views: Iterable[FeatureView], whose: Whose, cutoff: datetime
    ) -> int:
        """Remove them, and say how many they were; `views` are all that are registered."""
        raise NotImplementedError

    def held(self, config: RepoConfig, keys: Sequence[EntityKey]) -> int:
        """Rows under those keys, one per view, of this project and its canary's."""
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


class RowDeletingSqliteStore(RowDeletingOnlineStore):
    """Over the tables of Feast's SQLite store; a subclass names this one before Feast's."""

    def older(self, config: RepoConfig, whose: Whose, cutoff: datetime) -> int:
        """See the base class."""
        return self._count(config, whose, _OLD, (HEARTBEAT, _kept(cutoff)))

    def forget_older(
        self, config: RepoConfig, views: Iterable[FeatureView], whose: Whose, cutoff: datetime
    ) -> int:
        """See the base class; whole seconds are what the store keeps of a stamp."""
        return self._remove(config, whose, _OLD, (HEARTBEAT, _kept(cutoff)))

    def held(self, config: RepoConfig, keys: Sequence[EntityKey]) -> int:
        """See the base class."""
        return self._count(config, _anyone, *_under(config, keys))

    def forget(self, config: RepoConfig, keys: Sequence[EntityKey]) -> int:
        """See the base class."""
        return self._remove(config, _anyone, *_under(config, keys))

    def forget_view(self, config: RepoConfig, view: FeatureView) -> None:
        """See the base class; readers see all of it or nothing."""
        versioned = config.registry.enable_online_feature_view_versioning
        table = compute_table_id(config.project, view, versioned).replace('"', '""')
        with self._get_conn(config) as connection:
            connection.execute(f'DELETE FROM "{table}"')

    def _count(self, config: RepoConfig, whose: Whose, where: str, values: tuple[Any, ...]) -> int:
        connection = self._get_conn(config)
        return sum(
            connection.execute(
                f"SELECT count(DISTINCT entity_key) FROM {table} WHERE {where}", values
            ).fetchone()[0]
            for table in _tables(connection, config.project, whose)
        )

    def _remove(self, config: RepoConfig, whose: Whose, where: str, values: tuple[Any, ...]) -> int:
        rows, connection = self._count(config, whose, where, values), self._get_conn(config)
        connection.execute("PRAGMA secure_delete = ON")
        with connection:
            for table in _tables(connection, config.project, whose):
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


def _anyone(view: str) -> bool:
    return True


def _tables(connection: sqlite3.Connection, project: str, whose: Whose) -> list[str]:
    """The tables of those views in the project, or in its canary's, which is named after it."""
    named = connection.execute(
        """SELECT DISTINCT tables.name FROM sqlite_master AS tables, pragma_table_info(tables.name)
        AS columns WHERE tables.type = 'table' AND columns.name = 'entity_key' ORDER BY 1"""
    ).fetchall()
    own = [str(name) for (name,) in named if str(name).startswith(f"{project}_")]
    views = {name: name.removeprefix(f"{project}_") for name in own}
    meant = [name for name in own if whose(views[name].removeprefix("canary_"))]
    return ['"' + name.replace('"', '""') + '"' for name in meant]
