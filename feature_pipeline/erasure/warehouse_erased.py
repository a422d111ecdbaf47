"""The list of erased customers in the warehouse, which the jobs of every host read and add to."""

from collections.abc import Iterator
from contextlib import contextmanager

from feature_pipeline.compute_engines.postgres.keys import copy_texts, lend
from feature_pipeline.compute_engines.postgres.warehouse import ERASED, refusals, session
from feature_pipeline.erasure.erased_customers import ErasedCustomers, refuse_another_key
from storage.one_row import one_row
from storage.postgres_session import Session


def is_anybody_erased(address: str) -> bool:
    """Whether there is anybody on the list; to tell who, it takes the key.

    `address` is a libpq connection string of a login with the role `feature_store_pipeline`,
    `feature_store_judge` or `feature_store_retention`.

    Raises:
        RefusedError: the warehouse cannot be reached or read.
    """
    with refusals(_A_ROLE), session(address) as connection:
        (anybody,) = one_row(connection, f"SELECT EXISTS (SELECT FROM {ERASED})")
    return bool(anybody)


def read_erased_in_warehouse(address: str, key: bytes) -> ErasedCustomers:
    """The erased customers of the warehouse.

    Raises:
        RefusedError: the warehouse cannot be reached or read, or the list was made with another
            key: whoever is on it would come back.
    """
    with refusals(_A_ROLE), session(address) as connection:
        held = connection.execute(f"SELECT digest, made_with FROM {ERASED}").fetchall()
    for made_with in {made_with for _, made_with in held}:
        refuse_another_key(ERASED, made_with, key)
    return ErasedCustomers(key, (digest for digest, _ in held))


def add_to_warehouse(address: str, erased: ErasedCustomers) -> None:
    """Have them on the list, each once; nobody leaves it.

    Raises:
        RefusedError: the warehouse cannot be reached or written to.
    """
    with refusals(_A_ROLE), session(address) as connection, connection.transaction():
        _lend(connection, erased)
        connection.execute(
            f"INSERT INTO {ERASED} (digest, made_with) SELECT digest, made_with FROM more "
            "ON CONFLICT DO NOTHING"
        )


@contextmanager
def left_out_of_purchases(address: str, erased: ErasedCustomers) -> Iterator[str | None]:
    """The name of a table of the erased whom the tills still hold; None where nobody was erased.

    It is empty again after the block. dbt reads it, in sessions of its own.

    Raises:
        RefusedError: the warehouse cannot be read, or written to by this login.
    """
    if not erased:
        yield None
        return
    with refusals(_A_ROLE), session(address) as connection, connection.transaction():
        held = connection.execute("SELECT DISTINCT household_id FROM raw.purchases").fetchall()
        lend(connection, "erased_here", (who for (who,) in held if who in erased))
        connection.execute(f"CREATE TABLE IF NOT EXISTS {_LEFT_OUT} (customer_id bigint)")
        connection.execute(f"TRUNCATE {_LEFT_OUT}")
        connection.execute(f"INSERT INTO {_LEFT_OUT} SELECT customer_id::bigint FROM erased_here")
    try:
        yield _LEFT_OUT
    finally:
        with session(address) as connection:
            connection.execute(f"TRUNCATE {_LEFT_OUT}")


_LEFT_OUT = "customer_activity.left_out"


def _lend(connection: Session, erased: ErasedCustomers) -> None:
    connection.execute("CREATE TEMP TABLE more (digest text, made_with text) ON COMMIT DROP")
    copy_texts(connection, "more", 2, erased.rows())


_A_ROLE = "the role of its job"
