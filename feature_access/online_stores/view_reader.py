"""Reads of one view, prepared once: what never changes from read to read is worked out here."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from feast import FeatureView, RepoConfig
from feast.protos.feast.types.Value_pb2 import Value

from feature_access.entities.keys import EntityKeys, UnusableKeysError
from feature_access.online_stores.online_rows import Row, refuse_other_than_scalars, scalar
from feature_access.online_stores.testimony import real

Entities = Sequence[Mapping[str, object]]


class ViewReader(Protocol):
    """One view, ready to be read.

    Both ways raise `UnusableKeysError` where a key is not one, and `OnlineStoreUnavailableError`
    where the store does not answer, is empty, or is staler than the caller takes (`fresh_within`).
    """

    def read(self, entities: Entities) -> list[Row]:
        """The entities' rows, in order."""

    async def read_async(self, entities: Entities) -> list[Row]:
        """See `read`."""


class FeastReader:
    """Through the store's own `online_read`, whatever the store is."""

    def __init__(
        self, store: Any, config: RepoConfig, view: FeatureView, features: Sequence[str]
    ) -> None:
        refuse_other_than_scalars(view)
        self._store, self._config, self._view = store, config, view
        self._features = list(features)
        self._keys = EntityKeys(view)

    def read(self, entities: Entities) -> list[Row]:
        """See the protocol."""
        keys = self._keys.of(entities)
        rows = self._store.online_read(self._config, self._view, keys, list(self._features))
        nothing = Value()
        return [
            Row(
                tuple(scalar((values or {}).get(name, nothing)) for name in self._features),
                real(at) is not None,
                real(at),
            )
            for at, values in rows
        ]

    async def read_async(self, entities: Entities) -> list[Row]:
        """See the protocol; the store is read in a thread."""
        return await asyncio.to_thread(self.read, entities)


class _Renaming:
    """A reader whose entities are named otherwise than the view names them."""

    def __init__(self, called: Mapping[str, str], reader: ViewReader) -> None:
        self._own = {other: name for name, other in called.items()}
        self._reader = reader

    def read(self, entities: Entities) -> list[Row]:
        """See the protocol."""
        return self._reader.read(self._renamed(entities))

    async def read_async(self, entities: Entities) -> list[Row]:
        """See the protocol."""
        return await self._reader.read_async(self._renamed(entities))

    def _renamed(self, entities: Entities) -> Entities:
        expected = self._own.keys()
        if any(expected - entity.keys() for entity in entities):
            raise UnusableKeysError(f"the service names its entities by {', '.join(expected)}")
        return [{self._own.get(n, n): value for n, value in e.items()} for e in entities]


def with_keys_called(called: Mapping[str, str], reader: ViewReader) -> ViewReader:
    """The reader, asked by the names that a service's `join_key_map` gives the join keys."""
    return _Renaming(called, reader) if called else reader
