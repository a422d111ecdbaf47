"""Calendar periods: a quarter is three months, whatever their days."""

from datetime import datetime

from dateutil.relativedelta import relativedelta

_PERIODS = {
    "weekly": relativedelta(weeks=1),
    "monthly": relativedelta(months=1),
    "quarterly": relativedelta(months=3),
    "half-yearly": relativedelta(months=6),
    "yearly": relativedelta(years=1),
}


def one_period_after(instant: datetime, cadence: str) -> datetime:
    """Such as three months on; the last day of a shorter month stands in for a missing one."""
    later: datetime = instant + _PERIODS[cadence]
    return later


def one_period_before(instant: datetime, cadence: str) -> datetime:
    """Such as three months back."""
    earlier: datetime = instant - _PERIODS[cadence]
    return earlier
