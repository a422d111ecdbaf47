"""Rows leave Redis: each view's fields with its stamp, and no other's from the same hash."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any, NamedTuple

from feast import FeatureView, RepoConfig
from feast.infra.online_stores.helpers import _mmh3, _redis_key, _redis_key_prefix
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from google.protobuf.timestamp_pb2 import Timestamp

from feature_access.online_stores.redis_layout import RedisLayout
from feature_access.online_stores.redis_names import answered, names_in, own_projects
from feature_access.online_stores.row_deletion import HEARTBEAT, RowDeletingOnlineStore, Whose
from feature_access.online_stores.row_time import CREATED
from feature_access.online_stores.testimony import heartbeat_key_of, reserved_keys
from storage.errors import RefusedError

_STAMP = b"_ts:"
_FieldsOf = Callable[[bytes], frozenset[bytes]]


class _Old(NamedTuple):
    """A hash with rows that are too old."""

    name: bytes
    fields: frozenset[bytes]
    """All it holds."""
    stamps: frozenset[bytes]
    """The stamps of the rows that are to go; none where no stamp dates what the hash holds."""

    @property
    def rows(self) -> int:
        return len(self.stamps) or 1


class RowDeletingRedisStore(RowDeletingOnlineStore):
    """Over the hashes of Feast's Redis store; a subclass names this one before Feast's."""

    def older(self, config: RepoConfig, whose: Whose, cutoff: datetime) -> int:
        """See the base class."""
        return sum(old.rows for old in self._old(config, whose, cutoff))

    def forget_older(
        self, config: RepoConfig, views: Iterable[FeatureView], whose: Whose, cutoff: datetime
    ) -> int:
        """See the base class.

        The fields of a view that is not registered any more are those that its heartbeat names; or
        else what no other row of the hash explains.

        Raises:
            RefusedError: two such views share a hash, and nothing tells whose its values are.
        """
        client = self._get_client(config.online_store)
        fields_of, rows, unclear = self._fields(config, views), 0, 0
        for old in self._old(config, whose, cutoff):
            leaving = _leaving(old, fields_of)
            if leaving is None:
                unclear += 1
                continue
            client.hdel(old.name, *leaving)  # a hash without fields is none
            rows += old.rows
        if unclear:
            raise RefusedError(
                f"{unclear:,} entities of project {config.project} have online rows of several "
                "views that are not registered: nothing tells whose values are whose, and they "
                "stay. Register those still in use (feast apply), and run again"
            )
        return rows

    def held(self, config: RepoConfig, keys: Sequence[EntityKey]) -> int:
        """See the base class."""
        client = self._get_client(config.online_store)
        return sum(
            len([field for field in client.hkeys(name) if field.startswith(_STAMP)])
            for name in _names(config, keys)
        )

    def forget(self, config: RepoConfig, keys: Sequence[EntityKey]) -> int:
        """See the base class."""
        rows, client = self.held(config, keys), self._get_client(config.online_store)
        for name in _names(config, keys):
            client.delete(name)
        return rows

    def forget_view(self, config: RepoConfig, view: FeatureView) -> None:
        """See the base class; what other views have in the same hashes stays."""
        self.forget_testimony(config, [view])
        self.delete_table(config, view)

    def forget_testimony(self, config: RepoConfig, views: Iterable[FeatureView]) -> None:
        """Remove the views' heartbeats and marks."""
        client = self._get_client(config.online_store)
        version = config.entity_key_serialization_version
        for view in views:
            for key in reserved_keys(view):
                client.delete(_redis_key(config.project, key, version))

    def delete_table(self, config: RepoConfig, table: FeatureView) -> None:
        """Remove the view's rows of this project; created times too, of which Feast knows nothing.

        Feast's own scan takes rows of every project whose name ends in this one's.
        """
        layout, client = RedisLayout(config, table), self._get_client(config.online_store)
        fields = _declared(layout, table)
        names = names_in(client, [config.project], _redis_key_prefix(table.join_keys))
        # A hash without fields is none.
        deque(answered(client, names, lambda pipe, name: pipe.hdel(name, *fields)), maxlen=0)

    def delete_entity_values(self, config: RepoConfig, join_keys: list[str]) -> None:
        """Remove whatever this project holds of these entities; see `delete_table`."""
        client = self._get_client(config.online_store)
        names = names_in(client, [config.project], _redis_key_prefix(join_keys))
        deque(answered(client, names, lambda pipe, name: pipe.delete(name)), maxlen=0)

    def _old(self, config: RepoConfig, whose: Whose, cutoff: datetime) -> Iterator[_Old]:
        client = self._get_client(config.online_store)
        rows = (n for n in names_in(client, own_projects(config)) if HEARTBEAT not in n)
        for name, held in answered(client, rows, lambda pipe, name: pipe.hgetall(name)):
            stamps = {field: at for field, at in held.items() if field.startswith(_STAMP)}
            old = {f for f, at in stamps.items() if whose(_view(f)) and _at(at) < cutoff}
            if old or (held and not stamps):
                yield _Old(name, frozenset(held), frozenset(old))

    def _fields(self, config: RepoConfig, views: Iterable[FeatureView]) -> _FieldsOf:
        """Every field of the view with that stamp; none where nobody can tell."""
        client, version = (
            self._get_client(config.online_store),
            config.entity_key_serialization_version,
        )
        layouts = [(RedisLayout(config, view), view) for view in views]
        declared: Mapping[bytes, frozenset[bytes]] = {
            layout.stamp: _declared(layout, view) for layout, view in layouts
        }

        @cache
        def fields_of(stamp: bytes) -> frozenset[bytes]:
            if stamp in declared:
                return declared[stamp]
            beat = _redis_key(config.project, heartbeat_key_of(_view(stamp)), version)
            named = frozenset(client.hkeys(beat))
            return named and named | {stamp, _mmh3(f"{_view(stamp)}:{CREATED}")}

        return fields_of


def _leaving(old: _Old, fields_of: _FieldsOf) -> frozenset[bytes] | None:
    """The fields that go with the old stamps; None where nobody can tell."""
    if old.stamps and all(map(fields_of, old.stamps)):
        return frozenset().union(*map(fields_of, old.stamps))
    staying = {field for field in old.fields - old.stamps if field.startswith(_STAMP)}
    if not all(map(fields_of, staying)):
        return None
    return old.fields.difference(*map(fields_of, staying))


def _declared(layout: RedisLayout, view: FeatureView) -> frozenset[bytes]:
    names = [*(feature.name for feature in view.features), CREATED]
    return frozenset([layout.stamp, *map(layout.field, names)])


def _names(config: RepoConfig, keys: Sequence[EntityKey]) -> list[bytes]:
    """The hashes of those keys in this project and its canary's; no other project's."""
    version = config.entity_key_serialization_version
    return [_redis_key(p, key, version) for p in own_projects(config) for key in keys]


def _view(stamp: bytes) -> str:
    return stamp.removeprefix(_STAMP).decode()


def _at(stamp: bytes) -> datetime:
    read: Any = Timestamp()
    read.ParseFromString(stamp)
    at: datetime = read.ToDatetime(tzinfo=UTC)
    return at
