"""Quotients rounded once: the double nearest to the true ratio of two exact sums, ties to even.

One division of two doubles is rounded once where both are whole and up to 2**53, so decimals of
whole cents are divided as cents. What is beyond that, or finer, Python divides, which rounds once
whatever the size of its whole numbers.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
_WHOLE = 2**53
"""Every whole number up to it is a double."""
_IN_A_CENT = 10**10
_CENTS = 100
UNIT = 10**12
"""Units of a decimal in one."""


def quotients(dividends: Array, divisors: Array, of: int, by: int) -> Array:
    """Doubles: of `dividends` over `divisors`, whole numbers; 0 over 0.

    `of` of the first are one, and `by` of the second; either is 1 or `UNIT`.
    """
    result = np.zeros(len(dividends))
    some = (divisors != 0).astype(bool)
    numerators, of_scale, whole_above = _in_cents(dividends, of)
    denominators, by_scale, whole_below = _in_cents(divisors, by)
    exact = some & whole_above & whole_below
    for numbers, greatest in ((numerators, _WHOLE // by_scale), (denominators, _WHOLE // of_scale)):
        exact &= ((numbers >= -greatest) & (numbers <= greatest)).astype(bool)
    above = (numerators[exact] * by_scale).astype(float)
    result[exact] = above / (denominators[exact] * of_scale).astype(float)
    beyond = some & ~exact
    pairs = zip(dividends[beyond].tolist(), divisors[beyond].tolist(), strict=True)
    result[beyond] = [(one * by) / (other * of) for one, other in pairs]
    return result + 0.0  # there is one zero


def _in_cents(numbers: Array, scale: int) -> tuple[Array, int, Array]:
    """The numbers in cents, how many of these are one, and where they are whole."""
    if scale == 1:
        return numbers, 1, np.ones(len(numbers), bool)
    cents = numbers // _IN_A_CENT
    return cents, _CENTS, (cents * _IN_A_CENT == numbers).astype(bool)
