"""The customers who were erased, for the jobs that take in events."""

import os

from feature_access.hashing import HASH_KEY_VARIABLE, hash_key_from
from feature_access.refusal import RefusedError as NoKeyError
from feature_pipeline.erased_customers import ErasedCustomers, read_erased
from feature_pipeline.refusal import RefusedError
from scripts.command_line import WAREHOUSE

ERASED = WAREHOUSE / "erased_customers.txt"


def erased_customers() -> ErasedCustomers:
    """Those on the repository's list.

    Raises:
        RefusedError: there are some, and the key that recognises them is not set, or another one.
    """
    if not ERASED.is_file():
        return ErasedCustomers(b"")
    try:
        return read_erased(ERASED, hash_key_from(os.environ))
    except NoKeyError as error:
        raise RefusedError(
            f"customers were erased ({ERASED}), and only the {HASH_KEY_VARIABLE} they were erased "
            "with recognises them in new events: set it"
        ) from error
