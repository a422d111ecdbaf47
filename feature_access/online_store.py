"""The embedded online store: Feast's SQLite store with declared defaults and a heartbeat."""

import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Literal

from feast import FeatureView
from feast.infra.online_stores.sqlite import SqliteOnlineStoreConfig
from feast.repo_config import RepoConfig

from feature_access.forgetting import ForgetfulSqliteStore
from feature_access.heartbeat import HeartbeatOnlineStore
from feature_access.sqlite_rows import ForwardSqliteStore
from feature_access.unavailable import OnlineStoreDownError, OnlineStoreUnavailableError, empty
from feature_access.unavailable import OnlineStoreEmptyError as OnlineStoreEmptyError


class DefaultingSqliteOnlineStoreConfig(SqliteOnlineStoreConfig):  # type: ignore[misc]
    """Options of Feast's SQLite store; only the type's name differs."""

    type: Literal["feature_access.online_store.DefaultingSqliteOnlineStore"]


class DefaultingSqliteOnlineStore(
    HeartbeatOnlineStore,
    ForgetfulSqliteStore,
    ForwardSqliteStore,
):
    """Feast's SQLite online store with declared defaults and a heartbeat."""

    failures = (sqlite3.DatabaseError,)

    def _get_conn(self, config: RepoConfig) -> sqlite3.Connection:
        """Feast's connection, to a file that is for its own user: it holds identifiers."""
        if self._conn is None:
            with suppress(OSError):  # it is there already, or SQLite will say why it cannot be
                Path(self._get_db_path(config)).touch(mode=0o600, exist_ok=False)
        connection: sqlite3.Connection = super()._get_conn(config)
        return connection

    def fault(self, view: FeatureView, error: Exception) -> OnlineStoreUnavailableError:
        """A missing table is an empty store: the file is gone, and SQLite made a new one."""
        if "no such table" in str(error):
            return empty(view)
        return OnlineStoreDownError(
            f"the online store cannot be read for {view.name}: {error}; see whether its file is "
            "whole and not locked by another process"
        )
