"""Repositories whose online store is Redis, or either of the two."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from feast_households import HOUR, PRESENT
from redis_server import RedisServer, on_redis


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    """Empty."""
    yield from _running(tmp_path / "redis")


@pytest.fixture(scope="session")
def materialized_dump(applied: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """What Redis holds after a refresh an hour before the present and one at the present."""
    from shutil import copytree

    from feature_access.registry import open_store
    from feature_pipeline.online.materialize import materialize_up_to

    folder = tmp_path_factory.mktemp("redis")
    for server in _running(folder / "server"):
        store = open_store(
            on_redis(copytree(applied, folder / "repository", symlinks=True), server)
        )
        materialize_up_to(store, PRESENT - HOUR)
        materialize_up_to(store, PRESENT)
        dump = server.save()
    return dump


@pytest.fixture
def served_redis(redis_server: RedisServer, materialized_dump: bytes) -> RedisServer:
    """Holding the households' profiles of the present."""
    redis_server.restore(materialized_dump)
    return redis_server


@pytest.fixture
def on_served_redis(fresh: Path, served_redis: RedisServer) -> Path:
    """A repository that reads from `served_redis`."""
    return on_redis(fresh, served_redis)


@pytest.fixture(params=["sqlite", "redis"])
def either(request: pytest.FixtureRequest, fresh: Path) -> Any:
    """A fresh store of either kind, and what flushes it."""
    from feature_access.registry import open_store

    if request.param == "redis":
        server = request.getfixturevalue("redis_server")
        return open_store(on_redis(fresh, server)), server.flush
    return open_store(fresh), lambda: _flush(fresh / "data" / "online_store.db")


def _flush(database: Path) -> None:
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(database)) as connection:
        for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'"):
            connection.execute(f"DELETE FROM {table}")
        connection.commit()


def _running(folder: Path) -> Iterator[RedisServer]:
    folder.mkdir()
    server = RedisServer(folder)
    try:
        yield server
    finally:
        server.kill()
