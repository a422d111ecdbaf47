"""Keyed hashing of identifiers (contract §9: hashed in training datasets).

HMAC-SHA-256 (RFC 2104): equal ids have equal hashes, so rows still join, but without the key no one
can hash a list of candidates and look them up, as a plain digest would allow.
"""

import hmac
from collections.abc import Iterable, Mapping
from hashlib import sha256

import pyarrow as pa
import pyarrow.compute as pc

from feature_access.refusal import RefusedError

HASH_KEY_VARIABLE = "FEATURE_STORE_HASH_KEY"
_SHORTEST_KEY = 16


def hash_key_from(environment: Mapping[str, str]) -> bytes:
    """The hash key.

    Raises:
        RefusedError: the variable is not set, or too short to withstand guessing.
    """
    key = environment.get(HASH_KEY_VARIABLE, "").encode()
    if len(key) < _SHORTEST_KEY:
        raise RefusedError(
            f"{HASH_KEY_VARIABLE} is {'too short' if key else 'not set'}: a training set holds "
            "hashed identifiers only (contract §9), so set it to a secret of at least "
            f"{_SHORTEST_KEY} characters, the same one every time"
        )
    return key


def hashed(identifiers: pa.ChunkedArray, key: bytes) -> pa.ChunkedArray:
    """Each identifier's text as 64 hexadecimal digits; null stays null."""
    return pa.chunked_array([hashed_once(identifiers, key).cast(pa.string())])


def hashed_once(identifiers: pa.ChunkedArray, key: bytes) -> pa.DictionaryArray:
    """The same as `hashed`, with each hash held once."""
    distinct = pc.unique(identifiers.drop_null())
    digests = pa.array(_digests(distinct.to_pylist(), key), pa.string())
    which = pc.index_in(identifiers, distinct).combine_chunks()
    return pa.DictionaryArray.from_arrays(which, digests)


def _digests(identifiers: Iterable[object], key: bytes) -> list[str]:
    begun = hmac.new(key, digestmod=sha256)  # the key is hashed in once, not for each identifier
    digests = []
    for identifier in identifiers:
        digest = begun.copy()
        digest.update(str(identifier).encode())
        digests.append(digest.hexdigest())
    return digests
