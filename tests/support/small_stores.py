"""Feature stores of a few rows on each online store: ours, and the same on Feast's own.

Everything is made in the process, so that a test costs tenths of a second.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from redis_server import RedisServer

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
DAY = timedelta(days=1)
OURS = {
    "sqlite": "feature_access.online_stores.sqlite_store.DefaultingSqliteOnlineStore",
    "redis": "feature_access.online_stores.redis_store.DefaultingRedisOnlineStore",
}
PROVIDER = "feature_access.provider.HeartbeatProvider"


class Made(NamedTuple):
    """What makes feature stores whose online store is of one kind."""

    kind: str
    folder: Path
    server: RedisServer | None

    def store(self, *, own: bool = True, name: str = "store", **settings: Any) -> Any:
        """A feature store; Feast's own provider and online store where it is not to be `own`."""
        from feast import FeatureStore, RepoConfig

        place = self.folder / f"{name}_{'own' if own else 'feasts'}"
        place.mkdir(exist_ok=True)
        online = {"type": OURS[self.kind] if own else self.kind}
        if self.server:
            # A test waits for a busy machine: how long a reader waits is another test's.
            limits = "socket_timeout=20,socket_connect_timeout=20"
            online["connection_string"] = f"127.0.0.1:{self.server.port},{limits}"
        else:
            online["path"] = str(place / "online.db")
        return FeatureStore(
            config=RepoConfig(
                project=f"{name}_{'own' if own else 'feasts'}",
                provider=PROVIDER if own else "local",
                registry=str(place / "registry.db"),
                offline_store={
                    "type": "feature_access.offline_stores.duckdb_store.PointInTimeOfflineStore"
                },
                online_store=online | settings,
                entity_key_serialization_version=3,
            )
        )

    def table(self, rows: Sequence[dict[str, Any]], name: str = "rows", **types: Any) -> str:
        """The rows as a parquet file, its times microseconds in UTC."""
        table = pa.Table.from_pylist([*rows])
        for column, kind in types.items():
            at = table.schema.get_field_index(column)
            table = table.set_column(at, column, table.column(column).cast(kind))
        path = self.folder / f"{name}.parquet"
        pq.write_table(table, path, coerce_timestamps=None)
        return str(path)


@pytest.fixture(scope="session")
def one_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One server for tests that flush it before they use it."""
    server = RedisServer(tmp_path_factory.mktemp("one_redis"))
    yield server
    server.kill()


@pytest.fixture(params=["sqlite", "redis"])
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Made:
    """Both kinds of online store, empty."""
    if request.param == "sqlite":
        return Made("sqlite", tmp_path, None)
    server: RedisServer = request.getfixturevalue("one_redis")
    server.flush()
    return Made("redis", tmp_path, server)


def driver() -> Any:
    from feast import Entity, ValueType

    return Entity(name="driver", join_keys=["driver_id"], value_type=ValueType.INT64)


def drivers(path: str, *, created: bool = False, name: str = "drivers", **fields: Any) -> Any:
    """A view of drivers over that file: `fields` are types, or types with a default."""
    from feast import FeatureView, Field, FileSource

    source = FileSource(
        path=path,
        timestamp_field="at",
        created_timestamp_column="made" if created else "",
    )
    return FeatureView(
        name=name,
        entities=[driver()],
        ttl=30 * DAY,
        schema=[field(Field, called, kind) for called, kind in fields.items()],
        source=source,
    )


def field(make: Callable[..., Any], name: str, kind: Any) -> Any:
    dtype, default = kind if isinstance(kind, tuple) else (kind, None)
    return make(name=name, dtype=dtype, tags={} if default is None else {"default": default})


def online(store: Any, features: Any, *ids: int, **more: Any) -> dict[str, list[Any]]:
    """Plain Feast's answer for drivers."""
    answer = store.get_online_features(features, [{"driver_id": i} for i in ids], **more)
    columns: dict[str, list[Any]] = answer.to_dict()
    return columns
