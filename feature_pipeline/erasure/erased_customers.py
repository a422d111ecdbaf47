"""Customers who were erased, and must not come back with the next delivery of events.

What is kept of each is a keyed digest (HMAC-SHA-256), which without the key tells nothing. It is
another digest than the one in training sets, so it joins with nothing either.
"""

import hmac
import re
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

import duckdb
import pyarrow as pa

from storage.atomic import replacing
from storage.errors import RefusedError
from storage.one_row import one_row

_OF_A_CUSTOMER, _OF_THE_KEY = b"erased customer: ", b"key of the erased customers"
_DIGEST = re.compile(rb"[0-9a-f]{64}")


class ErasedCustomers:
    """The erased customers, asked by identifier."""

    def __init__(self, key: bytes, digests: Iterable[str] = ()) -> None:
        self._key = key
        self._digests = frozenset(digests)

    def __len__(self) -> int:
        return len(self._digests)

    def __contains__(self, customer_id: object) -> bool:
        return _digest(self._key, customer_id) in self._digests

    def with_one_more(self, customer_id: object) -> "ErasedCustomers":
        """The list with this customer on it, once."""
        return ErasedCustomers(self._key, {*self._digests, _digest(self._key, customer_id)})

    def __or__(self, other: "ErasedCustomers") -> "ErasedCustomers":
        """The customers on either list, both of this key."""
        return ErasedCustomers(self._key, self._digests | other._digests)

    def rows(self) -> list[tuple[str, str]]:
        """Each digest in order, with one that tells by which key it was made."""
        return [(digest, _digest_of_key(self._key)) for digest in sorted(self._digests)]

    def write(self, file: Path) -> None:
        """The digests in order, below one that tells by which key they were made."""
        lines = [_digest_of_key(self._key), *sorted(self._digests)]
        with replacing(file) as draft:
            draft.write_text("\n".join(lines) + "\n", encoding="ascii")


NO_ERASURES = ErasedCustomers(b"")


def read_erased(file: Path, key: bytes) -> ErasedCustomers:
    """The list in the file; nobody where there is none.

    Raises:
        RefusedError: it is damaged, or was made with another key: whoever is on it would come back.
    """
    if not file.is_file():
        return ErasedCustomers(key)
    held = file.read_bytes().split()
    if not held or not all(_DIGEST.fullmatch(digest) for digest in held):
        raise RefusedError(
            f"{file} is damaged: it is to hold digests of 64 hexadecimal digits, one a line. "
            "Restore it from a backup, or erased customers would come back"
        )
    made_with, *digests = (digest.decode() for digest in held)
    refuse_another_key(str(file), made_with, key)
    return ErasedCustomers(key, digests)


def refuse_another_key(held_in: str, made_with: str, key: bytes) -> None:
    """Make sure that digests were made with this key, by which alone they are recognised.

    Raises:
        RefusedError: they were made with another one.
    """
    if not hmac.compare_digest(made_with, _digest_of_key(key)):
        raise RefusedError(
            f"{held_in} was made with another FEATURE_STORE_HASH_KEY than the one that is set: set "
            "that one, or erased customers would come back"
        )


def leave_out(connection: duckdb.DuckDBPyConnection, events: str, erased: ErasedCustomers) -> int:
    """Narrow a view of events to customers who were not erased; says how many rows that cost."""
    if not erased:
        return 0
    customers = connection.execute(f"SELECT DISTINCT customer_id FROM {events}").fetch_arrow_table()
    erased_here = [customer in erased for customer in customers["customer_id"].to_pylist()]
    gone = pa.array(erased_here, pa.bool_())  # of nobody, Arrow would infer no type
    # Each view keeps those of its own: another view's would bring its erased back.
    whole, mine = f"whole_{events}", f"erased_of_{events}"
    connection.register(mine, customers.filter(gone))
    connection.execute(f"ALTER VIEW {events} RENAME TO {whole}")
    connection.execute(f"CREATE VIEW {events} AS FROM {whole} ANTI JOIN {mine} USING (customer_id)")
    (rows,) = one_row(
        connection, f"SELECT count(*) FROM {whole} SEMI JOIN {mine} USING (customer_id)"
    )
    return int(rows)


def _digest(key: bytes, customer_id: object) -> str:
    return hmac.digest(key, _OF_A_CUSTOMER + str(customer_id).encode(), sha256).hex()


def _digest_of_key(key: bytes) -> str:
    return hmac.digest(key, _OF_THE_KEY, sha256).hex()
