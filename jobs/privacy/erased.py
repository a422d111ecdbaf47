"""The customers who were erased: on a list in the warehouse, or in a file where there is none.

Older versions kept the file beside a warehouse, too. Whoever is on it counts, and the next job that
writes adds them to the warehouse's list, which the jobs of every host read.
"""

import os

from contract_checks.language.contract import Contract
from feature_access.training.hashing import HASH_KEY_VARIABLE, hash_key_from
from feature_pipeline.compute_engines.postgres.warehouse import ERASED as TABLE
from feature_pipeline.erasure.erased_customers import ErasedCustomers, read_erased
from feature_pipeline.erasure.warehouse_erased import (
    add_to_warehouse,
    is_anybody_erased,
    read_erased_in_warehouse,
)
from feature_pipeline.refreshed import Terms
from jobs.repository import WAREHOUSE, chosen_warehouse
from storage.errors import RefusedError

ERASED = WAREHOUSE / "erased_customers.txt"


def erased_customers() -> ErasedCustomers:
    """The erased customers, for a job that reads events.

    Raises:
        RefusedError: there are some, and the key that recognises them is not set, or another one;
            see also `chosen_warehouse`.
    """
    address = chosen_warehouse()
    listed = [str(ERASED)] if ERASED.is_file() else []
    if address and is_anybody_erased(address):
        listed.append(TABLE)
    if not listed:
        return ErasedCustomers(b"")
    try:
        key = hash_key_from(os.environ)
    except RefusedError as error:
        raise RefusedError(
            f"customers were erased ({' and '.join(listed)}), and only the {HASH_KEY_VARIABLE} "
            "they were erased with recognises them in new events: set it"
        ) from error
    return listed_with(key)


def erased_customers_of_all_hosts() -> ErasedCustomers:
    """The erased customers, for a job that writes: a file of before becomes the warehouse's.

    Raises:
        RefusedError: see `erased_customers`.
    """
    erased = erased_customers()
    if ERASED.is_file() and chosen_warehouse():
        keep(erased)
    return erased


def listed_with(key: bytes) -> ErasedCustomers:
    """The erased customers of the list, which is to be of this key.

    Raises:
        RefusedError: it is of another one, is damaged, or cannot be read.
    """
    in_file, address = read_erased(ERASED, key), chosen_warehouse()
    return in_file | read_erased_in_warehouse(address, key) if address else in_file


def keep(erased: ErasedCustomers) -> None:
    """Write the list where the chosen profile has it.

    Raises:
        RefusedError: it cannot be written.
    """
    if address := chosen_warehouse():
        add_to_warehouse(address, erased)
        ERASED.unlink(missing_ok=True)  # every host's jobs know of them now
    else:
        erased.write(ERASED)


def terms_of(contract: Contract, erased: ErasedCustomers) -> Terms:
    """The terms of contract §3, and who was erased (§9)."""
    time = contract.time
    return Terms(time.lookback, time.allowed_lateness, erased, time.timezone)
