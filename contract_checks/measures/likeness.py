"""When are two values the same, the same but for their type, or each other's multiple?"""

import math
from collections import Counter
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

import numpy as np

TOLERANCE = 1e-12
"""Relative: numbers nearer than this are equal."""
_DECIMALS = range(1, 8)
_TELLING_READS = 5
_TELLING_VALUES = 3
_TELLING_SHARE = 1 / 10


def is_number(value: object) -> bool:
    """Whether it is one; true and false are none."""
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def equal(a: object, b: object) -> bool:
    """As the comparison of the stores has it: numbers within the tolerance, NaN is itself."""
    if not (is_number(a) and is_number(b)):
        return type(a) is type(b) and a == b
    x, y = float(a), float(b)  # type: ignore[arg-type]
    if isinstance(a, int) and isinstance(b, int):
        return abs(a - b) <= TOLERANCE * max(abs(a), abs(b))
    return math.isclose(x, y, rel_tol=TOLERANCE) or (math.isnan(x) and math.isnan(y))


def cast_between(a: object, b: object, declared: str) -> str | None:
    """How one value becomes the other by a change of type alone; None where none does.

    `declared` is the feature's type in Feast's words, such as Int64.
    """
    for this, other in ((a, b), (b, a)):
        if isinstance(this, str) and not isinstance(other, str):
            return "text" if _read(this, other) else None
        if isinstance(this, bool) and is_number(other):
            return "boolean" if float(this) == float(other) else None  # type: ignore[arg-type]
    if not (is_number(a) and is_number(b)) or equal(a, b):
        return None
    both = ((a, b), (b, a))
    for cast, makes in _CASTS.items():
        if any(makes(this, other, declared) for this, other in both):
            return cast
    return None


def _as_float32(this: Any, other: Any, declared: str) -> bool:
    with np.errstate(over="ignore"):
        return float(np.float32(this)) == float(other)


def _as_integer(this: Any, other: Any, declared: str) -> bool:
    typed = declared.startswith("Int") or (isinstance(other, int) and isinstance(this, float))
    if not typed or not math.isfinite(this) or float(this).is_integer():
        return False
    return other in (math.trunc(this), round(this))


def _as_decimal(this: Any, other: Any, declared: str) -> bool:
    if not (math.isfinite(this) and math.isfinite(other)) or float(other).is_integer():
        return False
    return any(other == round(this, digits) for digits in _DECIMALS)


_CASTS: dict[str, Callable[[Any, Any, str], bool]] = {
    "32-bit float": _as_float32,
    "integer": _as_integer,
    "decimal of fewer digits": _as_decimal,
}


def steady_factor(pairs: Iterable[tuple[object, object]]) -> tuple[float, int] | None:
    """The factor that turns many of the first numbers into the second, and how many.

    None where fewer than 5 pairs, of 3 different first numbers, or a tenth of all have one.
    """
    numbers = [
        (float(a), float(b))  # type: ignore[arg-type]
        for a, b in pairs
        if is_number(a) and is_number(b) and a and b
    ]
    by_factor = Counter(_factor(a, b) for a, b in numbers)
    for factor, times in by_factor.most_common(1):
        values = {a for a, b in numbers if _factor(a, b) == factor}
        enough = max(_TELLING_READS, _TELLING_SHARE * len(numbers))
        if times >= enough and len(values) >= _TELLING_VALUES:
            return float(factor), times
    return None


def is_multiple(a: object, b: object, factor: float) -> bool:
    """Whether the second number is the first one times the factor, to 9 digits."""
    if not (is_number(a) and is_number(b) and a):
        return False
    return _factor(float(a), float(b)) == f"{factor:.9g}"  # type: ignore[arg-type]


def _factor(a: float, b: float) -> str:
    return f"{b / a:.9g}"


def _read(text: str, value: object) -> bool:
    try:
        return is_number(value) and equal(float(text), float(value))  # type: ignore[arg-type]
    except ValueError:
        return text.lower() == str(value).lower()
