"""Where the chosen profile keeps its warehouse."""

from feast import RepoConfig
from psycopg.conninfo import make_conninfo

from feature_access.offline_stores.postgres_store import PointInTimePostgresOfflineStoreConfig


def warehouse_address(config: RepoConfig) -> str | None:
    """The PostgreSQL warehouse's libpq connection string; None where it lies in files.

    It holds the password: hand it to a driver, never to a log.
    """
    options = config.offline_store
    if not isinstance(options, PointInTimePostgresOfflineStoreConfig):
        return None
    return make_conninfo(
        host=options.host,
        port=options.port,
        dbname=options.database,
        user=options.user,
        password=options.password,
        sslmode=options.sslmode,
    )
