"""The columns of a warehouse's table, as what they are read."""

from collections.abc import Sequence

import psycopg
from feast import RepoConfig
from feast.infra.offline_stores.contrib.postgres_offline_store.postgres_source import (
    PostgreSQLSource,
)

from feature_access.offline_stores.postgres_session import read_session
from feature_access.offline_stores.source_columns import Columns
from storage.postgres_arrow import arrow_types
from storage.postgres_session import first_line


def columns_there(config: RepoConfig, source: PostgreSQLSource) -> Columns:
    """The columns of what the source declares.

    Raises:
        ValueError: it is not there, this login may not read it, or the warehouse does not let the
            login in.
    """
    query = f"SELECT * FROM {source.get_table_query_string()} AS f LIMIT 0"
    try:
        with read_session(config) as session:
            return read_as(session.execute(query).description or [])
    except psycopg.OperationalError as error:
        raise ValueError(
            f"the warehouse cannot be reached ({first_line(error)}): see whether it runs, and "
            "whether FEATURE_STORE_WAREHOUSE_HOST and its like are right"
        ) from None
    except psycopg.Error as error:
        raise ValueError(
            f"it cannot be read ({first_line(error)}): migrate the warehouse, grant the login "
            "feature_store_training, or declare a table that is there"
        ) from None


def read_as(columns: Sequence[psycopg.Column]) -> Columns:
    """The columns that a query describes."""
    types = arrow_types(columns)
    return {column.name: types[column.name] or column.type_display for column in columns}
