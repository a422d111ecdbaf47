"""How the values of a declaration are written in TOML: durations, and those of each kind."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from feature_pipeline.aggregation.declaration import Literal

_LEGIBLE = 10**50
_UNITS = {
    "s": timedelta(seconds=1),
    "min": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}
_LONGEST = timedelta(days=36_500)
DECIMALS = 12
"""Digits after the point of a decimal: `feature_pipeline/change_log/money.py`."""
WHOLE_DIGITS = 38 - DECIMALS


class UnreadableError(ValueError):
    """A value that is not what it should be; the message says what it should be."""


def duration(written: Any, *, at_once: bool = False) -> timedelta:
    """A span of `90s`, `90min`, `24h` or `30d`, a day being 24 hours; raises UnreadableError.

    A window is of more than nothing; how late something may come is nothing where it is `at_once`.
    """
    found = re.fullmatch("([0-9]{1,12})(s|min|h|d)", written) if isinstance(written, str) else None
    if found is None:
        raise UnreadableError(f'{shown(written)} is no span such as "90min", "24h" or "30d"')
    count, unit = int(found[1]), _UNITS[found[2]]
    if not (count or at_once) or count > _LONGEST // unit:
        raise UnreadableError(f"{written} is no span of more than nothing and up to 36500d")
    return count * unit


def span(length: timedelta) -> str:
    """How a duration of whole seconds is written; `duration` reads it."""
    name, unit = next(one for one in reversed(_UNITS.items()) if not length % one[1])
    return f"{length // unit}{name}"


def literal(kind: str, written: Any) -> Literal:
    """The value of a kind that TOML tells as `written`; raises UnreadableError."""
    return _READ[kind](written)


def _int64(written: Any) -> int:
    if not isinstance(written, int) or isinstance(written, bool):
        raise UnreadableError(f"{shown(written)} is no whole number")
    if not -(2**63) <= written < 2**63:
        raise UnreadableError(f"{shown(written)} does not go into 64 bits")
    return written


def _decimal(written: Any) -> Decimal:
    if isinstance(written, bool) or not isinstance(written, int | Decimal):
        raise UnreadableError(f"{shown(written)} is no number")
    value = Decimal(written)
    if not value.is_finite() or (value and value.adjusted() >= WHOLE_DIGITS):
        raise UnreadableError(
            f"{shown(written)} is no number of at most 26 digits before the point"
        )
    if value and (value.adjusted() < -DECIMALS or units_of(value).denominator != 1):
        raise UnreadableError(f"{written} has more than {DECIMALS} digits after the point")
    return value


def units_of(value: Decimal) -> Fraction:
    """A decimal in units of its last digit; Decimal's own arithmetic rounds to 28 digits."""
    return Fraction(value) * Fraction(10**DECIMALS)


def _double(written: Any) -> float:
    if isinstance(written, bool) or not isinstance(written, int | Decimal):
        raise UnreadableError(f"{shown(written)} is no number")
    try:
        value = float(written)
    except OverflowError:
        value = float("inf")
    if abs(value) == float("inf") or value != value:
        raise UnreadableError(f"{shown(written)} is no number that a double holds")
    return value + 0.0  # there is one zero


def _string(written: Any) -> str:
    if not isinstance(written, str):
        raise UnreadableError(f"{shown(written)} is no text in quotes")
    return written


def _bool(written: Any) -> bool:
    if not isinstance(written, bool):
        raise UnreadableError(f"{shown(written)} is neither true nor false")
    return written


def _timestamp(written: Any) -> datetime:
    if not isinstance(written, datetime) or written.tzinfo is None:
        raise UnreadableError(
            f"{shown(written)} is no instant: write it with its offset and without quotes, such as "
            "2026-01-31T12:00:00Z"
        )
    try:
        return written.astimezone(UTC)
    except OverflowError:
        raise UnreadableError(f"{shown(written)} is no instant of the years 1 to 9999") from None


_READ: dict[str, Callable[[Any], Literal]] = {
    "int64": _int64,
    "decimal": _decimal,
    "double": _double,
    "string": _string,
    "bool": _bool,
    "timestamp": _timestamp,
}


def shown(written: Any) -> str:
    """A value of a TOML file, much as it is written there."""
    if isinstance(written, bool):
        return str(written).lower()
    if isinstance(written, str):
        return f'"{written}"'
    if isinstance(written, dict):
        return "a table"
    if isinstance(written, list):
        return f"[{', '.join(map(shown, written))}]"
    if isinstance(written, int) and abs(written) > _LEGIBLE:
        return "a number of many digits"
    return str(written)
