"""Events that arrive between two refreshes."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from oracle import Event

from feature_pipeline.refreshed import Terms

HOUR, DAY, MONTH = timedelta(hours=1), timedelta(days=1), timedelta(days=30)
NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)
TERMS = Terms(MONTH, DAY)


def bought(customer: int, at: datetime, delay: timedelta = timedelta(0), orders: int = 1) -> Event:
    return Event(customer, at, at + delay, orders, Decimal("10.00"), 2)


EVENTS = [
    bought(1, NOON - 2 * DAY),
    bought(1, NOON - HOUR, delay=HOUR / 2),
    bought(2, NOON - 3 * HOUR),
    bought(3, NOON - 4 * DAY, delay=3 * DAY),
    bought(2, NOON + HOUR / 2),
]
