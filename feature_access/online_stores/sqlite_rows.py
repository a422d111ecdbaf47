"""Rows of Feast's SQLite store that only move forward, to the microsecond.

Feast overwrites a newer row with an older one, and keeps whole seconds, reckoned in the machine's
own zone. Beside an entity's features lies the exact time of its row, like one feature more.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from threading import Lock
from typing import Any

from feast import FeatureView, RepoConfig
from feast.infra.online_stores.helpers import compute_table_id
from feast.infra.online_stores.sqlite import SqliteOnlineStore
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value

from feature_access.online_stores.row_deletion import bytes_of
from feature_access.online_stores.row_time import (
    NEVER,
    OnlineWrite,
    RowTime,
    microseconds,
    row_time,
)

_ROW_TIME = "__row_time__"
_ASKED_AT_ONCE = 10_000
_OLDEST = RowTime(NEVER, NEVER)

_Row = tuple[datetime | None, dict[str, Value] | None]


class ForwardSqliteStore(SqliteOnlineStore):  # type: ignore[misc]
    """Feast's SQLite store, in which no row gives way to an older one (see `row_time`)."""

    def __init__(self) -> None:
        super().__init__()
        self._writing = Lock()  # threads share the one connection

    def online_write_batch(
        self,
        config: RepoConfig,
        table: FeatureView,
        data: Sequence[OnlineWrite],
        progress: Callable[[int], Any] | None,
    ) -> None:
        """As Feast, in one transaction, of those rows that are not older than what is there."""
        newest = _newest(config, data)
        connection = self._get_conn(config)
        with self._writing:
            connection.execute("BEGIN IMMEDIATE")  # or another process writes between
            try:
                held = dict(self._held(config, table, [*newest]))
                rows = [
                    _timed(row, time)
                    for key, (time, row) in newest.items()
                    if time >= held.get(key, _OLDEST)
                ]
                super().online_write_batch(config, table, rows, None)  # and it commits
            finally:
                connection.rollback()  # of nothing, where it is committed
        if progress:
            progress(len(data))

    def online_read(
        self,
        config: RepoConfig,
        table: FeatureView,
        entity_keys: list[EntityKey],
        requested_features: list[str] | None = None,
    ) -> list[_Row]:
        """As Feast, with the exact time of each row."""
        rows = super().online_read(config, table, entity_keys, requested_features)
        return [_exact(at, values) for at, values in rows]

    def _held(
        self, config: RepoConfig, table: FeatureView, keys: Sequence[bytes]
    ) -> Iterator[tuple[bytes, RowTime]]:
        """The times of the rows under those keys; whole seconds where Feast itself wrote one."""
        versioned = config.registry.enable_online_feature_view_versioning
        name = compute_table_id(config.project, table, versioned).replace('"', '""')
        remaining = iter(keys)
        while some := list(islice(remaining, _ASKED_AT_ONCE)):
            found = self._get_conn(config).execute(
                f"""SELECT entity_key, max(CASE feature_name WHEN '{_ROW_TIME}' THEN value END),
                max(event_ts) FROM "{name}" WHERE entity_key IN ({", ".join("?" * len(some))})
                GROUP BY entity_key""",
                some,
            )
            for key, exact, seconds in found:
                time = RowTime(_feasts(seconds), NEVER)
                # Of a newer one that Feast itself wrote beside it, the exact time says nothing.
                yield key, max(time, _time_in(exact)) if exact else time


def _newest(
    config: RepoConfig, data: Sequence[OnlineWrite]
) -> dict[bytes, tuple[RowTime, OnlineWrite]]:
    """The row of each entity that stays."""
    newest: dict[bytes, tuple[RowTime, OnlineWrite]] = {}
    for row in data:
        key, time = bytes_of(config, row[0]), row_time(row[2], row[3])
        if key not in newest or time >= newest[key][0]:
            newest[key] = time, row
    return newest


def _timed(row: OnlineWrite, time: RowTime) -> OnlineWrite:
    key, values, at, created = row
    return key, {**values, _ROW_TIME: Value(bytes_val=time.packed())}, at, created


def _time_in(serialized: bytes) -> RowTime:
    return RowTime.unpacked(Value.FromString(serialized).bytes_val)


def _feasts(seconds: int) -> int:
    # Feast takes the machine's zone for UTC when it writes, and again when it reads.
    return microseconds(datetime.fromtimestamp(seconds).replace(tzinfo=UTC))  # noqa: DTZ006


def _exact(at: datetime | None, values: dict[str, Value] | None) -> _Row:
    if values is None or _ROW_TIME not in values:
        return at, values
    features = {name: value for name, value in values.items() if name != _ROW_TIME}
    exact = RowTime.unpacked(values[_ROW_TIME].bytes_val).at
    # Of a row that somebody else wrote or moved beside it, the exact time says nothing.
    return exact if at is None or exact.replace(microsecond=0) == at else at, features
