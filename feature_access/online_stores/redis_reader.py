"""Reads of one view from Redis: keys, fields and defaults are worked out once."""

from collections.abc import Sequence
from typing import Any

from feast import FeatureView, RepoConfig
from feast.protos.feast.types.Value_pb2 import Value

from feature_access.defaults import default_proto
from feature_access.online_stores.freshness import note
from feature_access.online_stores.online_rows import Row, refuse_other_than_scalars, scalar
from feature_access.online_stores.redis_hashes import FieldsOf, Hash
from feature_access.online_stores.redis_layout import HashNames, RedisLayout, stamped
from feature_access.online_stores.testimony import heartbeat_key, named
from feature_access.online_stores.view_reader import Entities, FeastReader


class RedisReader:
    """One view in Redis, ready to be read; the heartbeat comes with the rows.

    Where it does not testify to all that is asked, the store's own read knows what that means.
    """

    def __init__(
        self, store: Any, config: RepoConfig, view: FeatureView, features: Sequence[str]
    ) -> None:
        refuse_other_than_scalars(view)
        layout = RedisLayout(config, view)
        self._store, self._options, self._view = store, config.online_store, view
        self._names = HashNames(layout, view)
        self._heartbeat = layout.key(heartbeat_key(view))
        self._question = FieldsOf([*(layout.field(name) for name in features), layout.stamp])
        declared = {field.name: field for field in view.features}
        self._defaults = tuple(scalar(default_proto(declared[name])) for name in features)
        self._named = [named(declared[name]).SerializeToString() for name in features]
        self._otherwise = FeastReader(store, config, view, features)

    def read(self, entities: Entities) -> list[Row]:
        """See `ViewReader`."""
        keys = [*self._names.of(entities), self._heartbeat]
        hashes = self._store.asked(
            self._view, lambda: self._question.ask(self._store.hasty_client(self._options), keys)
        )
        rows = self._judged(hashes)
        return self._otherwise.read(entities) if rows is None else rows

    async def read_async(self, entities: Entities) -> list[Row]:
        """See `ViewReader`."""
        keys = [*self._names.of(entities), self._heartbeat]

        async def ask() -> list[Hash]:
            client = await self._store._get_client_async(self._options)
            return await self._question.ask_async(client, keys)

        rows = self._judged(await self._store.asked_async(self._view, ask))
        return await self._otherwise.read_async(entities) if rows is None else rows

    def _judged(self, hashes: list[Hash]) -> list[Row] | None:
        """The rows, once the heartbeat that comes last says they count; None where it does not."""
        *said, stamp = hashes.pop()
        until = stamped(stamp)
        if until is None or said != self._named:
            return None
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
