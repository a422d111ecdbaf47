"""A real Redis server on a free port, to be killed, hung, flushed and restarted."""

import os
import signal
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from server_binaries import redis_server
from waiting import eventually

_SQLITE = """online_store:
  type: feature_access.online_stores.sqlite_store.DefaultingSqliteOnlineStore
  path: data/online_store.db
"""
_REDIS = """online_store:
  type: feature_access.online_stores.redis_store.DefaultingRedisOnlineStore
  connection_string: "127.0.0.1:{port}{limits}"
"""

PATIENT = ",socket_connect_timeout=30,socket_timeout=30"
"""Or a read would fail on a machine that does not get round to answer in 70 ms."""

_HIGHEST = 55_000  # servers of a cluster talk to each other 10,000 ports above


class RedisServer:
    """A server that holds what `dump.rdb` in its folder holds."""

    def __init__(self, folder: Path, more: Mapping[str, Any] | None = None) -> None:
        self._folder = folder
        self._more = dict(more or {})
        self.port = 0
        while not 0 < self.port < _HIGHEST:
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                self.port = free.getsockname()[1]
        self.start()

    def start(self) -> None:
        options = {"port": self.port, "bind": "127.0.0.1", "dir": self._folder, "save": ""}
        options |= self._more
        self._process = subprocess.Popen(
            [
                redis_server(),
                *(str(word) for name, value in options.items() for word in (f"--{name}", value)),
            ],
            stdout=subprocess.DEVNULL,
        )
        self.resume()

    def client(self) -> "redis.Redis":
        password = self._more.get("requirepass")
        # It asks once: the default is to wait for a second, and a server starts in hundredths.
        once = Retry(NoBackoff(), 0)
        return redis.Redis(port=self.port, socket_timeout=30, password=password, retry=once)

    def save(self) -> bytes:
        """What it holds, as a dump another server can start from."""
        with self.client() as client:
            client.save()
        return (self._folder / "dump.rdb").read_bytes()

    def restore(self, dump: bytes) -> None:
        self.kill()
        (self._folder / "dump.rdb").write_bytes(dump)
        self.start()

    def flush(self) -> None:
        with self.client() as client:
            client.flushall()

    def keys(self) -> set[bytes]:
        with self.client() as client:
            return set(client.keys())

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def hang(self) -> None:
        os.kill(self._process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self._process.pid, signal.SIGCONT)

        def ping() -> None:
            with self.client() as client:
                client.ping()

        eventually(ping, redis.RedisError)


def on_redis(repository: Path, server: RedisServer, more: str = "", limits: str = PATIENT) -> Path:
    """The repository, with its online features in that server; without limits, with our own."""
    settings = repository / "feature_store.yaml"
    text = settings.read_text()
    assert _SQLITE in text
    settings.write_text(
        text.replace(_SQLITE, _REDIS.format(port=server.port, limits=limits) + more)
    )
    return repository
