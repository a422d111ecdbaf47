"""Connections on which the database's own engine answers a SELECT and does nothing else."""

import sqlite3

from sqlalchemy.engine import Connection

_READS = frozenset(
    {
        sqlite3.SQLITE_SELECT,
        sqlite3.SQLITE_READ,
        sqlite3.SQLITE_FUNCTION,
        sqlite3.SQLITE_RECURSIVE,
    }
)


def read_only(connection: Connection) -> Connection:
    """The connection, on which SQLite and PostgreSQL refuse whatever is no SELECT.

    SQLite: `query_only`, which minds the tables of the database, and an authorizer, which minds
    all else. PostgreSQL: a READ ONLY transaction and a cursor in the server, which takes a single
    SELECT or VALUES. Of other databases nothing is promised but that nothing is committed.
    """
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA query_only = ON")
        driver = connection.connection.driver_connection
        if isinstance(driver, sqlite3.Connection):
            driver.set_authorizer(_only_reads)
    if connection.dialect.name == "postgresql":
        return connection.execution_options(postgresql_readonly=True, stream_results=True)
    return connection


def _only_reads(action: int, *_: str | None) -> int:
    return sqlite3.SQLITE_OK if action in _READS else sqlite3.SQLITE_DENY
