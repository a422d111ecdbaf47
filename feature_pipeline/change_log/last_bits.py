"""Rows that differ in the last bits of their average alone, as those rounded twice once did.

A log made by another aggregation may be made anew with such averages in other last bits. Nothing
that was served is taken back by that: whoever was given 19.900000000000002 is given 19.9.
"""

from collections.abc import Callable, Sequence
from typing import Any

NEARLY = 1e-15
"""Relative: four roundings of a double are within it, and nothing else that an event can do is."""

_UNLESS_NEARLY_THERE = f"""
    WHERE NOT EXISTS (
        SELECT 1 FROM {{other}} AS other
        WHERE other.customer_id = differing.customer_id
          AND other.event_timestamp = differing.event_timestamp
          AND other.orders_30d = differing.orders_30d
          AND other.sessions_30d = differing.sessions_30d
          AND other.distinct_order_days_30d = differing.distinct_order_days_30d
          AND abs(other.avg_order_value_30d - differing.avg_order_value_30d)
              <= {NEARLY} * abs(differing.avg_order_value_30d)
    )
"""


def beyond_last_bits(
    ask: Callable[[str], Sequence[Any]], rows_differing: str, other: str
) -> tuple[int, str, int]:
    """The rows that `other` does not nearly hold, the first one's stamp, and the rest.

    `rows_differing` selects count and first stamp from a subquery named `differing`, without WHERE.
    """
    rows, first = ask(rows_differing)
    if not rows:
        return 0, first, 0
    beyond, first = ask(rows_differing + _UNLESS_NEARLY_THERE.format(other=other))
    return beyond, first, rows - beyond


def with_mended(why: str, rows: int) -> str:
    """Why a log was made anew, and what became of the averages on record."""
    return f"{why}; {rows:,} rows had an average with other last bits, now mended" if rows else why
