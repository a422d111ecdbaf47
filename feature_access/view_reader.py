"""Reads of one view, prepared once: what never changes from read to read is worked out here."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from feast import FeatureView, RepoConfig

from feature_access.entity_keys import EntityKeys
from feature_access.rows import Row, refuse_other_than_scalars, scalar

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
        return [
            Row(tuple(scalar(values[name]) for name in self._features), at is not None, at)
            for at, values in rows
        ]

    async def read_async(self, entities: Entities) -> list[Row]:
        """See the protocol; the store is read in a thread."""
        return await asyncio.to_thread(self.read, entities)
