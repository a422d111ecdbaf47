"""Let go of rows of the warehouse: what is older than contract §9 allows, or one customer's.

As in change_log/retention.py: the change log begins at the cutoff before any event leaves,
and the values in force there are carried to it. `address` is everywhere a libpq connection string
of a login with the role `feature_store_retention`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from feature_pipeline.change_log.event_columns import FEATURES
from feature_pipeline.compute_engines.postgres.keys import lend
from feature_pipeline.compute_engines.postgres.warehouse import (
    EVENTS,
    HISTORY,
    KEPT_FROM,
    QUARANTINE,
    refusals,
    session,
    writing_alone,
)
from storage.one_row import one_row
from storage.postgres_session import Session

TABLES = {"offline": HISTORY, "events": EVENTS, "quarantine": QUARANTINE}
"""By the store's name in the records."""

_OLD = {
    HISTORY: "event_timestamp < %(cutoff)s",
    EVENTS: "least(event_timestamp, created_timestamp) < %(cutoff)s",
    QUARANTINE: "least(event_timestamp, created_timestamp) < %(cutoff)s",
}

_WHOSE = "customer_id::text IN (SELECT customer_id FROM whose)"

# Who has only zeros at the cutoff needs no row: the default says the same (§5.2).
_CARRIED = f"""
    INSERT INTO {HISTORY} (customer_id, event_timestamp, {", ".join(FEATURES)})
    SELECT customer_id, %(cutoff)s, {", ".join(FEATURES)} FROM (
        SELECT DISTINCT ON (customer_id) * FROM {HISTORY} WHERE event_timestamp <= %(cutoff)s
        ORDER BY customer_id, event_timestamp DESC
    ) AS last
    WHERE event_timestamp < %(cutoff)s AND ({" OR ".join(f"{f} <> 0" for f in FEATURES)})
"""


def old_rows(address: str, table: str, cutoff: datetime) -> int:
    """How many rows of one of `TABLES` are older than the cutoff.

    Raises:
        RefusedError: the warehouse cannot be reached or read.
    """
    with _reading(address) as connection:
        query = f"SELECT count(*) FROM {table} WHERE {_OLD[table]}"
        (rows,) = one_row(connection, query, {"cutoff": cutoff})
    return int(rows)


def delete_expired_rows(address: str, table: str, cutoff: datetime) -> None:
    """Take them out. The change log, the first of the tables, begins at the cutoff then.

    Safe to run again, and with a later cutoff; the change log must be known up to a look-back
    window after the cutoff.

    Raises:
        RefusedError: the warehouse cannot be reached or written to, or another job writes.
    """
    with _writing(address) as connection:
        if table == HISTORY:
            connection.execute(
                f"INSERT INTO {KEPT_FROM} VALUES (%(cutoff)s) ON CONFLICT DO NOTHING",
                {"cutoff": cutoff},
            )
            connection.execute(_CARRIED, {"cutoff": cutoff})
        connection.execute(f"DELETE FROM {table} WHERE {_OLD[table]}", {"cutoff": cutoff})


def rows_of_customer(address: str, table: str, customer_id: str) -> int:
    """How many rows of one of `TABLES` are the customer's.

    Raises:
        RefusedError: the warehouse cannot be reached or read.
    """
    with _reading(address) as connection:
        lend(connection, "whose", [customer_id])
        (rows,) = one_row(connection, f"SELECT count(*) FROM {table} WHERE {_WHOSE}")
    return int(rows)


def delete_customer_rows(address: str, table: str, customer_id: str) -> None:
    """Take them out.

    Raises:
        RefusedError: the warehouse cannot be reached or written to, or another job writes.
    """
    with _writing(address) as connection:
        lend(connection, "whose", [customer_id])
        connection.execute(f"DELETE FROM {table} WHERE {_WHOSE}")


def known_customers_in_warehouse(address: str) -> set[str]:
    """Everybody in the events and the change log, as text.

    Raises:
        RefusedError: the warehouse cannot be reached or read.
    """
    with _reading(address) as connection:
        found = connection.execute(
            f"SELECT customer_id::text FROM {EVENTS} UNION SELECT customer_id::text FROM {HISTORY}"
        ).fetchall()
    return {customer for (customer,) in found}


@contextmanager
def _reading(address: str) -> Iterator[Session]:
    with refusals("feature_store_retention"), session(address) as connection:
        yield connection


@contextmanager
def _writing(address: str) -> Iterator[Session]:
    with (
        refusals("feature_store_retention"),
        session(address) as connection,
        writing_alone(connection),
        connection.transaction(),
    ):
        yield connection
