"""The PostgreSQL warehouse as the jobs of this room meet it: its tables, session and lock."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import ClientCursor
from psycopg.conninfo import conninfo_to_dict

from storage.errors import RefusedError
from storage.one_row import one_row
from storage.postgres_session import Session, first_line, session_in_utc

EVENTS = "data_warehouse.customer_events"
HISTORY = "data_warehouse.customer_features_offline"
QUARANTINE = "data_warehouse.customer_events_quarantine"
REFRESHES = "data_warehouse.customer_features_refreshes"
KEPT_FROM = "data_warehouse.customer_features_offline_kept_from"
ERASED = "data_warehouse.erased_customers"

_WHOLE_JOB = f"'{REFRESHES}'::regclass::oid::bigint"
"""Another lock than `writing_alone` takes, which is of one session and would bar the job's own."""


class BusyWarehouseError(RefusedError):
    """Another job is writing to the warehouse: nobody is to be told, the next run will do."""


@contextmanager
def session(address: str) -> Iterator[Session]:
    """A session of the server's own that ends each statement's transaction; see `session_in_utc`.

    Raises:
        RefusedError: the warehouse is reached through a pooler.
        psycopg.Error: see `session_in_utc`.
    """
    given = conninfo_to_dict(address)
    with session_in_utc(given, autocommit=True, cursor_factory=ClientCursor) as connection:
        _refuse_pooler(connection)
        yield connection


def _refuse_pooler(connection: Session) -> None:
    """Make sure that the session is the server's own: its lock and its zone are to last.

    A pooler hands out another number than the server's process has.
    """
    (process,) = one_row(connection, "SELECT pg_backend_pid()")
    if process != connection.info.backend_pid:
        raise RefusedError(
            "the warehouse is reached by a pooler, such as PgBouncer: the job's lock and time zone "
            "would not last. Connect to PostgreSQL directly (FEATURE_STORE_WAREHOUSE_HOST, _PORT)"
        )


@contextmanager
def writing_alone(connection: Session) -> Iterator[None]:
    """Be the only job that writes the change log; the lock goes with the session, even killed.

    It is taken before the transaction begins, which so sees all that the job before it committed.

    Raises:
        RefusedError: another one is at it.
    """
    lock = f"'{HISTORY}'::regclass::oid::bigint"
    if not one_row(connection, f"SELECT pg_try_advisory_lock({lock})")[0]:
        raise RefusedError(
            f"another job is writing {HISTORY}: run again when it has ended; nothing was written"
        )
    try:
        yield
    finally:
        if not connection.closed:
            connection.execute(f"SELECT pg_advisory_unlock({lock})")


@contextmanager
def working_alone(address: str) -> Iterator[None]:
    """Be the only job on any host that writes to the warehouse or to what is made of it.

    Held by a session of its own for the whole job, so that the steps between its transactions are
    covered too, such as the online write; it goes with the session, even killed.

    Raises:
        BusyWarehouseError: another one is at it.
    """
    with session(address) as connection:
        if not one_row(connection, f"SELECT pg_try_advisory_lock({_WHOLE_JOB})")[0]:
            raise BusyWarehouseError(
                "another job is writing to the warehouse, from this host or another: run again "
                "when it has ended; nothing was written"
            )
        try:
            yield
        finally:
            if not connection.closed:  # at once: a server is slow to notice that a session ended
                connection.execute(f"SELECT pg_advisory_unlock({_WHOLE_JOB})")


@contextmanager
def refusals(role: str) -> Iterator[None]:
    """Tell what the warehouse refused as a refusal of the job, which needs that role.

    Raises:
        RefusedError: a sum grows beyond its column, or the login may not do what is asked.
    """
    try:
        yield
    except psycopg.errors.NumericValueOutOfRange as error:
        raise RefusedError(
            f"the sums of {EVENTS} grow beyond what a feature can hold ({first_line(error)}): mend "
            "the amounts and run again; nothing was written"
        ) from error
    except (
        psycopg.errors.InsufficientPrivilege,
        psycopg.errors.UndefinedTable,
        psycopg.errors.UndefinedFunction,
    ) as error:
        raise RefusedError(
            f"the warehouse is not ready for this login ({first_line(error)}): migrate it, and "
            f"grant the login {role}; nothing was written"
        ) from error
