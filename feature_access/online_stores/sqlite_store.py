"""The embedded online store: Feast's SQLite store with declared defaults and a heartbeat."""

import sqlite3
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Literal, NamedTuple

from feast import FeatureView
from feast.infra.online_stores.sqlite import SqliteOnlineStoreConfig
from feast.repo_config import RepoConfig

from feature_access.errors import OnlineStoreDownError, OnlineStoreUnavailableError, empty
from feature_access.errors import OnlineStoreEmptyError as OnlineStoreEmptyError
from feature_access.online_stores.heartbeat import HeartbeatOnlineStore
from feature_access.online_stores.row_deletion import RowDeletingSqliteStore
from feature_access.online_stores.sqlite_rows import ForwardSqliteStore


class DefaultingSqliteOnlineStoreConfig(SqliteOnlineStoreConfig):  # type: ignore[misc]
    """Options of Feast's SQLite store; only the type's name differs."""

    type: Literal["feature_access.online_stores.sqlite_store.DefaultingSqliteOnlineStore"]


class DefaultingSqliteOnlineStore(
    HeartbeatOnlineStore,
    RowDeletingSqliteStore,
    ForwardSqliteStore,
):
    """Feast's SQLite online store with declared defaults and a heartbeat."""

    failures = (sqlite3.DatabaseError,)
    _conn: sqlite3.Connection | None

    def __init__(self) -> None:
        super().__init__()
        self._opening = Lock()  # threads share the connection
        self._opened: _File | None = None

    def _get_conn(self, config: RepoConfig) -> sqlite3.Connection:
        """Feast's connection, to the file that lies there now, which is for its own user.

        Feast opens the file once, and would read on in one that was removed or replaced since; an
        open connection also takes for unchanged what was copied over its file.
        """
        path = Path(self._get_db_path(config))
        with self._opening:
            connection = self._conn
            if connection is None or not (connection.in_transaction or self._lies_at(path)):
                self._conn = None  # a thread that still reads in it shuts it by letting go of it
                with suppress(OSError):  # it is there already, or SQLite will say why it cannot be
                    path.touch(mode=0o600, exist_ok=False)
                self._opened = _file_at(path)  # before it is opened: a later one is another
                connection = super()._get_conn(config)
            return connection

    def _lies_at(self, path: Path) -> bool:
        return self._opened is not None and _file_at(path) == self._opened

    def fault(self, view: FeatureView, error: Exception) -> OnlineStoreUnavailableError:
        """A missing table is an empty store: the file is gone, and SQLite made a new one."""
        if "no such table" in str(error):
            return empty(view)
        return OnlineStoreDownError(
            f"the online store cannot be read for {view.name}: {error}; see whether its file is "
            "whole and not locked by another process"
        )


class _File(NamedTuple):
    """Which file lies at a path, and in which state."""

    device: int
    number: int
    changed_ns: int
    size: int


def _file_at(path: Path) -> _File | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return _File(found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size)
