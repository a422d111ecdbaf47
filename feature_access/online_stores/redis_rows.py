"""Rows of Feast's Redis store that only move forward, of equal times to the later created."""

from collections.abc import Callable, Sequence
from typing import Any

from feast import FeatureView, RepoConfig
from feast.infra.online_stores.redis import RedisOnlineStore

from feature_access.online_stores.redis_layout import RedisLayout
from feature_access.online_stores.redis_writer import RedisWriter, writes_of
from feature_access.online_stores.row_time import OnlineWrite


class ForwardRedisStore(RedisOnlineStore):  # type: ignore[misc]
    """Feast's Redis store, in which no row gives way to an older one (see `row_time`)."""

    def online_write_batch(
        self,
        config: RepoConfig,
        table: FeatureView,
        data: Sequence[OnlineWrite],
        progress: Callable[[int], Any] | None,
    ) -> None:
        """As Feast, of those rows that are not older; by Feast itself where told `skip_dedup`."""
        if config.online_store.skip_dedup:
            super().online_write_batch(config, table, data, progress)
        else:
            layout = RedisLayout(config, table)
            self.writer(config, layout).write(writes_of(layout, data), progress)

    def writer(self, config: RepoConfig, layout: RedisLayout) -> RedisWriter:
        """What writes the rows of one view."""
        options = config.online_store
        return RedisWriter(self._get_client(options), layout, options.key_ttl_seconds or None)
