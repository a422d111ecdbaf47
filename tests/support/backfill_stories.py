"""What a backfill is asked of."""

from datetime import UTC, datetime, timedelta

from oracle import Event

HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(days=7)
AS_OF = datetime(2026, 3, 1, 13, tzinfo=UTC)


def orders_of(customer: int) -> list[Event]:
    """An order a day, which arrives at 13:00: on both edges of a week that ends at 13:00."""
    days = [AS_OF - HOUR - day * DAY for day in range(20)]
    return [Event(customer, at, at + HOUR, 1, 10.0 + n, 2) for n, at in enumerate(days)]
