"""An average rounded once: the double nearest to the true quotient of an amount and a count.

Ties go to the even one, as IEEE 754 has it. One division of two doubles is rounded once where both
are whole and up to 2**53, so whole cents are divided as cents. What is beyond that, or finer, each
engine divides in numbers that do not end there, and rounds at last.

`aggregate.sql` calls it `NEAREST_QUOTIENT`; the count is not 0 there, and neither is negative.
"""

import re
from contextlib import suppress
from decimal import Decimal
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt

_NAME = "NEAREST_QUOTIENT"
UNIT = 10**12
"""Units of money in one: amounts are decimals of twelve digits."""
_CENT = UNIT // 100
_WHOLE = 2**53
"""Every whole number up to it is a double."""

Array = npt.NDArray[Any]


def nearest_quotients(units: Array, counts: Array) -> Array:
    """Averages as doubles: of `units` (integers, `UNIT` to one) over `counts`; 0 over none."""
    averages = np.zeros(len(counts))
    some, cents = counts != 0, units // _CENT
    in_cents = some & (cents * _CENT == units) & (cents <= _WHOLE) & (counts <= _WHOLE // 100)
    in_units = some & ~in_cents & (units <= _WHOLE) & (counts <= _WHOLE // UNIT)
    for at, amounts, scale in ((in_cents, cents, 100), (in_units, units, UNIT)):
        divisors = counts[at].astype(np.int64) * scale
        averages[at] = amounts[at].astype(float) / divisors.astype(float)
    beyond = some & ~in_cents & ~in_units
    pairs = zip(units[beyond].tolist(), counts[beyond].tolist(), strict=True)
    averages[beyond] = [amount / (count * UNIT) for amount, count in pairs]  # Python rounds it once
    return averages


def call_nearest_quotient(connection: duckdb.DuckDBPyConnection) -> None:
    """Let the session call it by its name."""
    kinds = [duckdb.sqltype("DECIMAL(38, 12)"), duckdb.sqltype("HUGEINT")]
    with suppress(duckdb.CatalogException):  # a session beside this one may have named it
        connection.create_function(_NAME, _nearest, kinds, duckdb.sqltype("DOUBLE"))


def _nearest(amount: Decimal, count: int) -> float:
    numerator, denominator = amount.as_integer_ratio()
    return numerator / (denominator * count)


def spelled_out(statement: str, dialect: str) -> str:
    """The statement with each call in the words of `postgres` or `spark`."""
    return _CALL.sub(lambda call: _SPELLED[dialect].format(**call.groupdict()), statement)


_CALL = re.compile(rf"{_NAME}\((?P<amount>\w+), (?P<count>\w+)\)")

_IN_CENTS = "{amount} <= 90071992547409.92 AND {count} <= 90071992547409"

# Nearer than 1e-79 to the middle of two doubles there is no quotient of such numbers but the middle
# itself, which has at most 74 decimals (the count's powers of two, and twelve).
_IN_POSTGRESQL = f"""
    CASE
        WHEN SCALE(TRIM_SCALE({{amount}})) <= 2 AND {_IN_CENTS}
        THEN CAST(CAST({{amount}} * 100 AS BIGINT) AS DOUBLE PRECISION)
            / CAST(CAST({{count}} * 100 AS BIGINT) AS DOUBLE PRECISION)
        ELSE CAST(ROUND({{amount}}, 90) / {{count}} AS DOUBLE PRECISION)
    END
"""

# Decimals end at 38 digits there. So this is the long division of school: twelve decimals, eighteen
# more a step, and a last one for whatever remains; the text is rounded once, as it is read.
_STEP = "CAST(1000000000000000000 AS DECIMAL(19, 0))"
_DECIMALS = """
    (CAST(FLOOR({amount}) % {count} AS DECIMAL(19, 0)) * CAST(1000000000000 AS DECIMAL(13, 0))
        + CAST({amount} % 1 * CAST(1000000000000 AS DECIMAL(13, 0)) AS DECIMAL(13, 0)))
"""
_IN_SPARK = f"""
    CASE
        WHEN {{amount}} = CAST(ROUND({{amount}}, 2) AS DECIMAL(38, 12)) AND {_IN_CENTS}
        THEN CAST(CAST({{amount}} * 100 AS BIGINT) AS DOUBLE)
            / CAST(CAST({{count}} AS BIGINT) * 100 AS DOUBLE)
        ELSE AGGREGATE(
            ARRAY_REPEAT(CAST({{count}} AS DECIMAL(19, 0)), 4),
            NAMED_STRUCT(
                'digits', CONCAT(
                    CAST(CAST((FLOOR({{amount}}) - FLOOR({{amount}}) % {{count}}) / {{count}}
                        AS DECIMAL(26, 0)) AS STRING),
                    '.', LPAD(CAST({_DECIMALS} DIV {{count}} AS STRING), 12, '0')),
                'rest', CAST({_DECIMALS} % {{count}} AS DECIMAL(19, 0))),
            (so_far, divisor) -> NAMED_STRUCT(
                'digits', CONCAT(so_far.digits,
                    LPAD(CAST((so_far.rest * {_STEP}) DIV divisor AS STRING), 18, '0')),
                'rest', CAST((so_far.rest * {_STEP}) % divisor AS DECIMAL(19, 0))),
            divided -> CAST(CONCAT(divided.digits, IF(divided.rest > 0, '1', '0')) AS DOUBLE))
    END
"""
_SPELLED = {"postgres": _IN_POSTGRESQL, "spark": _IN_SPARK}
