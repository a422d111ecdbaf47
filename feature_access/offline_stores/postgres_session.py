"""The warehouse as reads meet it: one state of it, in UTC, and answers by COPY."""

from contextlib import AbstractContextManager

import pyarrow as pa
from feast import RepoConfig
from feast.infra.offline_stores.contrib.postgres_offline_store.postgres import (
    PostgreSQLRetrievalJob,
)
from feast.infra.offline_stores.contrib.postgres_offline_store.postgres_source import (
    SavedDatasetPostgreSQLStorage,
)
from feast.infra.utils.postgres.connection_utils import _get_conn_kwargs, _get_conninfo
from feast.saved_dataset import SavedDatasetStorage
from psycopg.conninfo import conninfo_to_dict

from feature_access.offline_stores.postgres_saved_dataset import save_as_table
from feature_access.offline_stores.saved_dataset import Read, refuse_other_storage
from storage.postgres_arrow import copied_out
from storage.postgres_session import Session, session_in_utc


def read_session(config: RepoConfig) -> AbstractContextManager[Session]:
    """One transaction in UTC that sees one state of the warehouse; see `session_in_utc`."""
    options = config.offline_store
    given = conninfo_to_dict(_get_conninfo(options), **_get_conn_kwargs(options))
    return session_in_utc(given)


class PulledInUtc(PostgreSQLRetrievalJob):  # type: ignore[misc]
    """A query of Feast's, run in a session in UTC."""

    def _to_arrow_internal(self, timeout: int | None = None) -> pa.Table:
        with read_session(self.config) as session:
            return copied_out(session, self.to_sql())


def save_in_warehouse(
    config: RepoConfig, read: Read, storage: SavedDatasetStorage, allow_overwrite: bool
) -> None:
    """Keep the rows of a read in a table of the warehouse.

    Raises:
        SavedDatasetLocationAlreadyExists, ValueError: see `save_as_table`; also when the storage
            is no table of PostgreSQL's.
    """
    refuse_other_storage(storage, SavedDatasetPostgreSQLStorage)
    with read_session(config) as session:
        save_as_table(session, read, storage.postgres_options._table, allow_overwrite)
