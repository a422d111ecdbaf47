"""Reads of one view from Redis: keys, fields and defaults are worked out once."""

import struct
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from feast import FeatureView, RepoConfig
from feast.infra.online_stores.helpers import _mmh3, _redis_key, compute_versioned_name
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.types import Int64
from google.protobuf.timestamp_pb2 import Timestamp

from feature_access.defaults import default_proto
from feature_access.entity_keys import EntityKeys
from feature_access.freshness import note
from feature_access.redis_hashes import FieldsOf, Hash
from feature_access.rows import Row, refuse_other_than_scalars, scalar
from feature_access.unavailable import empty
from feature_access.view_reader import Entities

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class RedisLayout:
    """Where Feast's Redis store keeps a view: a hash an entity, in it a field a feature."""

    def __init__(self, config: RepoConfig, view: FeatureView) -> None:
        self._project = config.project
        self._version = config.entity_key_serialization_version
        versioned = compute_versioned_name(
            view, config.registry.enable_online_feature_view_versioning
        )
        self.stamp = f"_ts:{versioned}".encode()
        self.fields: dict[str, bytes] = {
            field.name: _mmh3(f"{versioned}:{field.name}") for field in view.features
        }

    def key(self, entity: EntityKey) -> bytes:
        """The entity's hash."""
        key: bytes = _redis_key(self._project, entity, self._version)
        return key


def stamped(raw: bytes | None) -> datetime | None:
    """The instant that a stamp field holds; None where there is none."""
    if not raw:
        return None
    stamp = Timestamp.FromString(raw)
    at = _EPOCH + timedelta(seconds=stamp.seconds, microseconds=stamp.nanos // 1_000)
    return at if at > _EPOCH else None


class HashNames:
    """The names of entities' hashes; of one int64, its bytes between two constants."""

    def __init__(self, layout: RedisLayout, view: FeatureView) -> None:
        self._layout = layout
        self._keys = EntityKeys(view)
        self._name = self._keys.names[0]
        self._pack: Callable[[int], bytes] | None = None
        if self._keys.types == (Int64,):
            probe = layout.key(self._keys.of([{self._name: _PROBE}])[0])
            before, _, after = probe.partition(struct.pack("<q", _PROBE))
            pack = struct.Struct(f"<{len(before)}sq{len(after)}s").pack
            self._pack = lambda value: pack(before, value, after)

    def of(self, entities: Entities) -> list[bytes]:
        """The hash of each entity, in order.

        Raises:
            UnusableKeysError: see `EntityKeys.of`.
        """
        plain = self._pack and self._packed(self._pack, entities)
        return plain or [self._layout.key(key) for key in self._keys.of(entities)]

    def _packed(self, pack: Callable[[int], bytes], entities: Entities) -> list[bytes] | None:
        """None where something is no plain key: whether it is one at all is decided elsewhere."""
        name, packed = self._name, []
        for entity in entities:
            value = entity.get(name)
            if type(value) is not int or len(entity) != 1:
                return None
            try:
                packed.append(pack(value))
            except struct.error:  # it has more than 64 bits
                return None
        return packed


_PROBE = 0x1122334455667788


class RedisReader:
    """One view in Redis, ready to be read; the heartbeat comes with the rows."""

    def __init__(
        self,
        store: Any,
        config: RepoConfig,
        view: FeatureView,
        features: Sequence[str],
        heartbeat: EntityKey,
    ) -> None:
        refuse_other_than_scalars(view)
        layout = RedisLayout(config, view)
        self._store, self._options, self._view = store, config.online_store, view
        self._names = HashNames(layout, view)
        self._heartbeat = layout.key(heartbeat)
        self._question = FieldsOf([*(layout.fields[name] for name in features), layout.stamp])
        declared = {field.name: field for field in view.features}
        self._defaults = tuple(scalar(default_proto(declared[name])) for name in features)

    def read(self, entities: Entities) -> list[Row]:
        """See `ViewReader`."""
        keys = [*self._names.of(entities), self._heartbeat]
        return self._judged(
            self._store.asked(
                self._view.name,
                lambda: self._question.ask(self._store.hasty_client(self._options), keys),
            )
        )

    async def read_async(self, entities: Entities) -> list[Row]:
        """See `ViewReader`."""
        keys = [*self._names.of(entities), self._heartbeat]

        async def ask() -> list[Hash]:
            client = await self._store._get_client_async(self._options)
            return await self._question.ask_async(client, keys)

        return self._judged(await self._store.asked_async(self._view.name, ask))

    def _judged(self, hashes: list[Hash]) -> list[Row]:
        """The rows, once the heartbeat that comes last says they count."""
        until = stamped(hashes.pop()[-1])
        if until is None:
            raise empty(self._view.name)
        rows = self._rows(hashes)
        note(self._view.name, until, unknown=sum(not row.known for row in rows))
        return rows

    def _rows(self, hashes: list[Hash]) -> list[Row]:
        parse, defaults, unknown = (
            Value.FromString,
            self._defaults,
            Row(self._defaults, False, None),
        )
        rows = []
        for *raw, stamp in hashes:
            if stamp is None and not any(raw):
                rows.append(unknown)
                continue
            values = tuple(
                [
                    default if value is None else scalar(parse(value), default)
                    for value, default in zip(raw, defaults, strict=True)
                ]
            )
            at = stamped(stamp)
            rows.append(Row(values, at is not None, at))
        return rows
