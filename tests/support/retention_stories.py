"""A change log before and after a cutoff."""

from event_strategies import (
    DAY,
    HOUR,
    LEAP_DAY,
    MONTH,
    state,
)
from oracle import Oracle


def left_something(oracle: Oracle, cutoff, as_of) -> bool:
    """A refresh refuses events of which none has arrived."""
    return any(min(e[1:3]) >= cutoff and e.created_timestamp <= as_of for e in oracle.events)


START = LEAP_DAY + 12 * HOUR
CUTOFF = START + 10 * DAY
EVENTS = [
    state(START, HOUR, 1, "10.00", 2),
    state(CUTOFF, HOUR, 2, "50.00", 1),
    state(START - 20 * DAY, HOUR, 1, "10.00", 1)._replace(customer_id=2),
    state(START - 40 * DAY, HOUR, 1, "10.00", 1)._replace(customer_id=3),
]
ORACLE = Oracle(EVENTS, lookback_window=MONTH, allowed_lateness=DAY)
