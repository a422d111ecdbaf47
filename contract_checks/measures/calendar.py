"""Calendar periods: a quarter is three months, whatever their days."""

from datetime import datetime, timedelta

from dateutil.relativedelta import relativedelta

_PERIODS = {
    "weekly": relativedelta(weeks=1),
    "monthly": relativedelta(months=1),
    "quarterly": relativedelta(months=3),
    "half-yearly": relativedelta(months=6),
    "yearly": relativedelta(years=1),
}


def one_period_after(instant: datetime, cadence: str) -> datetime:
    """A period later, such as three months; a day that a month lacks is its last."""
    later: datetime = instant + _PERIODS[cadence]
    return later


def one_period_before(instant: datetime, cadence: str) -> datetime:
    """A period earlier, such as three months."""
    earlier: datetime = instant - _PERIODS[cadence]
    return earlier


def turn_of_the_period(instant: datetime, cadence: str) -> datetime:
    """The last midnight at which a calendar period began, such as 1 April; weeks begin on Monday.

    It is at the instant or before it, and in its zone.
    """
    midnight = instant.replace(hour=0, minute=0, second=0, microsecond=0)
    if cadence == "weekly":
        return midnight - timedelta(days=midnight.weekday())
    months = _MONTHS[cadence]
    return midnight.replace(month=(midnight.month - 1) // months * months + 1, day=1)


_MONTHS = {"monthly": 1, "quarterly": 3, "half-yearly": 6, "yearly": 12}
