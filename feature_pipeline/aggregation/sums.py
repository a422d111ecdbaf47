"""Sums that are exact: whole numbers in limbs of 32 bits, which no number of rows overflows.

A limb is an int64 of a value's 32 bits, so it has room to add up 2**31 of them; only then are the
limbs carried, and the sum is held against what a feature can hold.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Array = npt.NDArray[Any]
Limbs = tuple[Array, ...]
"""The lowest first, each but the highest without a sign; a limb may have room to be carried."""

_BITS = 32
_LOW = (1 << _BITS) - 1
DECIMAL = pa.decimal128(38, 12)


def limbs_of(numbers: Array) -> Limbs:
    """Whole numbers of at most 128 bits: int64 in two limbs, Python's integers in four."""
    if numbers.dtype != object:
        return numbers & _LOW, numbers >> _BITS
    return tuple(
        ((numbers >> place * _BITS) & _LOW if place < 3 else numbers >> 3 * _BITS).astype(np.int64)
        for place in range(4)
    )


def numbers_of(limbs: Limbs) -> Array:
    """The numbers again: int64 where all of them fit, or else Python's integers."""
    carried = _carried(limbs)
    numbers: Array = carried[0] | carried[1] << _BITS
    if _fits_64_bits(carried):
        return numbers
    numbers = carried[3].astype(object)
    for limb in carried[2::-1]:
        numbers = numbers * 2**_BITS + limb
    return numbers


def int64_of(limbs: Limbs) -> pa.Array:
    """The sums as int64; raises OverflowError where one does not fit."""
    carried = _carried(limbs)
    if not _fits_64_bits(carried):
        raise OverflowError("a sum is beyond 64 bits")
    return pa.array(carried[0] | carried[1] << _BITS)


def decimal_of(limbs: Limbs) -> pa.Array:
    """Sums of units of 1e-12 as decimals; raises OverflowError where one has over 38 digits."""
    first, second, third, last = _carried(limbs)
    if ((last < -(2**31)) | (last >= 2**31)).any():
        raise OverflowError("a sum is beyond 128 bits")
    memory = np.empty((len(first), 2), np.int64)
    memory[:, 0] = first | second << _BITS
    memory[:, 1] = third | last << _BITS
    decimals = pa.Array.from_buffers(DECIMAL, len(first), [None, pa.py_buffer(memory)])
    try:
        decimals.validate(full=True)
    except pa.ArrowInvalid as error:
        raise OverflowError("a sum has more than 38 digits") from error
    return decimals


def units_in(decimals: pa.Array) -> Array:
    """Decimals in units of 1e-12: int64 where all fit, or else Python's integers."""
    _, memory = decimals.buffers()
    halves = np.frombuffer(memory, "<i8").reshape(-1, 2)[decimals.offset :][: len(decimals)]
    low, high = halves[:, 0], halves[:, 1]
    if (high == low >> 63).all():
        return low
    units: Array = high.astype(object) * 2**64 + low.view(np.uint64).astype(object)
    return units


def _carried(limbs: Limbs) -> Limbs:
    """In four limbs, each but the last of 32 bits."""
    none = np.zeros(len(limbs[0]), np.int64)
    carried, above = [], none
    for limb in (*limbs, *[none] * (4 - len(limbs))):
        whole = limb + above
        carried.append(whole & _LOW)
        above = whole >> _BITS
    carried[3] = carried[3] | above << _BITS
    return tuple(carried)


def _fits_64_bits(carried: Limbs) -> bool:
    """Whether all above the lower two limbs is the sign of the second."""
    sign = -(carried[1] >> (_BITS - 1))
    return bool(((carried[2] == sign & _LOW) & (carried[3] == sign)).all())
