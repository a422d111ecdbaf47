"""Where Feast's Redis store keeps a view: a hash an entity, in it a field a feature."""

import struct
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from feast import FeatureView, RepoConfig
from feast.infra.online_stores.helpers import _mmh3, _redis_key, compute_versioned_name
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.types import Int64
from google.protobuf.timestamp_pb2 import Timestamp

from feature_access.entities.keys import EntityKeys
from feature_access.online_stores.row_time import CREATED
from feature_access.online_stores.view_reader import Entities

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PROBE = 0x1122334455667788
_Pack = Callable[[int], bytes]


class RedisLayout:
    """The names of a view's hashes and fields."""

    def __init__(self, config: RepoConfig, view: FeatureView) -> None:
        self._project = config.project
        self._version = config.entity_key_serialization_version
        self._view = compute_versioned_name(
            view, config.registry.enable_online_feature_view_versioning
        )
        self.stamp = f"_ts:{self._view}".encode()
        self.created = self.field(CREATED) if _created_column(view) else None
        """Where a row's created time lies, which Feast keeps nowhere; None without one."""
        self._join_key, self.pack = self._packing(view)

    def field(self, feature: str) -> bytes:
        """Where a feature's value lies in a hash."""
        field: bytes = _mmh3(f"{self._view}:{feature}")
        return field

    def key(self, entity: EntityKey) -> bytes:
        """The entity's hash."""
        key: bytes = _redis_key(self._project, entity, self._version)
        return key

    def keys(self, entities: Sequence[EntityKey]) -> list[bytes]:
        """The hash of each entity, in order."""
        pack, name = self.pack, self._join_key
        if pack is None:
            return [self.key(entity) for entity in entities]
        keys = []
        for entity in entities:
            (value, *others) = entity.entity_values
            plain = not others and value.HasField("int64_val") and entity.join_keys[0] == name
            keys.append(pack(value.int64_val) if plain else self.key(entity))
        return keys

    def _packing(self, view: FeatureView) -> tuple[str, _Pack | None]:
        """The join key, and how to name a hash of one int64: its bytes between two constants."""
        (column, *others) = view.entity_columns or [None]
        if others or column is None or column.dtype != Int64:
            return "", None
        probe = EntityKey(join_keys=[column.name], entity_values=[Value(int64_val=_PROBE)])
        before, _, after = self.key(probe).partition(struct.pack("<q", _PROBE))
        pack = struct.Struct(f"<{len(before)}sq{len(after)}s").pack
        return column.name, lambda value: pack(before, value, after)


class HashNames:
    """The hashes of entities as a caller names them."""

    def __init__(self, layout: RedisLayout, view: FeatureView) -> None:
        self._layout = layout
        self._keys = EntityKeys(view)

    def of(self, entities: Entities) -> list[bytes]:
        """The hash of each entity, in order.

        Raises:
            UnusableKeysError: see `EntityKeys.of`.
        """
        return self._plain(entities) or self._layout.keys(self._keys.of(entities))

    def _plain(self, entities: Entities) -> list[bytes] | None:
        """None where something is no plain key: whether it is one at all is decided elsewhere."""
        pack, (name, *_) = self._layout.pack, self._keys.names
        if pack is None:
            return None
        packed = []
        for entity in entities:
            value = entity.get(name)
            if type(value) is not int or len(entity) != 1:
                return None
            try:
                packed.append(pack(value))
            except struct.error:  # it has more than 64 bits
                return None
        return packed


def _created_column(view: FeatureView) -> str | None:
    # An on-demand view that is written online has no batch source.
    source = getattr(view, "batch_source", None)
    return source and (source.created_timestamp_column or None)


def stamped(raw: bytes | None) -> datetime | None:
    """The instant that a stamp field holds; None where there is none."""
    if not raw:
        return None
    stamp = Timestamp.FromString(raw)
    at = _EPOCH + timedelta(seconds=stamp.seconds, microseconds=stamp.nanos // 1_000)
    return at if at > _EPOCH else None
