"""Keyed hashing of identifiers (contract §9: hashed in training datasets).

HMAC-SHA-256 (RFC 2104): equal ids have equal hashes, so rows still join, but without the key no one
can hash a list of candidates and look them up, as a plain digest would allow.
"""

import pickle
import sys
from array import array
from collections.abc import Mapping
from io import BufferedReader, BufferedWriter
from subprocess import PIPE, Popen
from typing import cast

import pyarrow as pa

from feature_access.training import keyed_digests
from feature_access.training.keyed_digests import DIGITS
from storage.errors import RefusedError

HASH_KEY_VARIABLE = "FEATURE_STORE_HASH_KEY"
_SHORTEST_KEY = 16
_WORTH_A_PROCESS = 50_000  # identifiers; fewer take no longer than it takes to start one


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
    """Each identifier's text as 64 hexadecimal digits; null stays null.

    Raises:
        TypeError: they are neither whole numbers nor texts, so that no entity is (`entity_value`).
    """
    return pa.chunked_array([hashed_once(identifiers, key).cast(pa.string())])


def hashed_once(identifiers: pa.ChunkedArray, key: bytes) -> pa.DictionaryArray:
    """Hashes as `hashed` gives them, each held once."""
    encoded = identifiers.combine_chunks().dictionary_encode()
    digests = pa.py_buffer(_digests(_texts(encoded.dictionary), key))
    size = len(encoded.dictionary)
    held = pa.FixedSizeBinaryArray.from_buffers(pa.binary(DIGITS), size, [None, digests])
    return pa.DictionaryArray.from_arrays(encoded.indices, held.cast(pa.string()))


def _texts(identifiers: pa.Array) -> pa.StringArray:
    kind = identifiers.type
    if (
        pa.types.is_integer(kind)
        or pa.types.is_null(kind)
        or kind in (pa.string(), pa.large_string())
    ):
        return identifiers.cast(pa.string())
    raise TypeError(f"no identifier is a {kind}: bring it to its entity's type before it is hashed")


def _digests(texts: pa.StringArray, key: bytes) -> bytes | bytearray:
    """Digests of many, by another process: Python hashes one at a time and does nothing else."""
    _, bounds, text = texts.buffers()
    told = bytes(text or b""), bytes(bounds or b""), key
    if len(texts) < _WORTH_A_PROCESS:
        return b"".join(keyed_digests.keyed_digests(told[0], array("i", told[1]), key))
    command = [sys.executable, "-I", "-S", keyed_digests.__file__]
    digests = bytearray(DIGITS * len(texts))
    with Popen(command, stdin=PIPE, stdout=PIPE) as process:  # noqa: S603  (a file of our own)
        with cast(BufferedWriter, process.stdin) as given:
            pickle.dump(told, given)  # the key goes where no list of processes shows it
        cast(BufferedReader, process.stdout).readinto(digests)
    if process.returncode:
        raise RuntimeError(f"hashing ended with {process.returncode}: nothing was written")
    return digests
