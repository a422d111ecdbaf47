"""Events as tests draw them: few customers, whose days hold every edge."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from oracle import MICROSECOND, Event, Oracle
from tries import tries

HOUR, DAY, MONTH = timedelta(hours=1), timedelta(days=1), timedelta(days=30)
LEAP_DAY = datetime(2024, 2, 29, tzinfo=UTC)
# Few days and few hours, so that ties, shared days and exact window edges are common.
DAYS = tuple(timedelta(days=day) for day in (-30, -29, -1, 0, 1, 30))
TIMES_OF_DAY = (
    *(timedelta(0), MICROSECOND, 10 * HOUR, 12 * HOUR, 12 * HOUR + MICROSECOND, DAY - MICROSECOND),
)
DELAYS = (
    *(timedelta(0), MICROSECOND, HOUR, 2 * HOUR, 14 * HOUR, DAY - MICROSECOND, DAY),
    *(DAY + MICROSECOND, 40 * HOUR, -MICROSECOND, -DAY),
)
MONEY = tuple(map(Decimal, ("0.00", "0.01", "0.10", "19.99", "333.33", "8999999.99")))
CUSTOMERS = (
    st.sampled_from([1, 2, 3, -4, 2**40]),
    st.sampled_from(["a", "b", "B", "o'Brien", "Ünal", ""]),
)


@st.composite
def oracles(draw: st.DrawFn, kinds: Sequence[st.SearchStrategy] = CUSTOMERS) -> Oracle:
    """A life for a few customers of one of these kinds."""
    customers = draw(st.sampled_from(kinds))
    money = draw(st.sampled_from([Decimal, float]))
    times = st.sampled_from(TIMES_OF_DAY) | st.timedeltas(timedelta(0), DAY - MICROSECOND)
    delays = st.sampled_from(DELAYS) | st.timedeltas(-HOUR, 26 * HOUR)
    counts = st.integers(0, 3)
    states = st.lists(
        st.tuples(delays, counts, st.sampled_from(MONEY), counts), min_size=1, max_size=3
    )
    moments = st.tuples(customers, st.sampled_from(DAYS).map(LEAP_DAY.__add__), times, states)
    some = draw(st.sampled_from([1, 12]))
    events = [
        Event(customer, day + time, day + time + delay, orders, money(value), sessions)
        for customer, day, time, states_then in draw(st.lists(moments, min_size=some, max_size=30))
        for delay, orders, value, sessions in states_then
    ]
    window = draw(st.sampled_from([MONTH, MONTH, 36 * HOUR, 2 * HOUR]))
    if draw(st.booleans()):  # In the very instant in which an event leaves, its equal arrives.
        leaving = [event.event_timestamp + window for event in events]
        events += [
            event._replace(event_timestamp=at, created_timestamp=at)
            for event, at in zip(events, leaving, strict=True)
        ]
    unique = {event[:3]: event for event in events}
    return Oracle(unique.values(), lookback_window=window, allowed_lateness=DAY)


fractions = st.floats(0, 1)


def first_arrival(oracle: Oracle) -> datetime:
    return min(event.created_timestamp for event in oracle.events)


def moment(oracle: Oracle, fraction: float) -> datetime:
    """Any time between the first arrival and the last departure."""
    first, last = first_arrival(oracle), max(oracle.events[-1][1:3]) + oracle.lookback_window
    return first + (last - first) * fraction


def turning_point(oracle: Oracle, fraction: float) -> datetime:
    """A time at which something changes, or the microsecond before: the hardest as-of times."""
    points = sorted(at for _, at in oracle.change_points() if at >= first_arrival(oracle))
    return points[int(fraction * (len(points) - 1))]


def thorough(examples: int) -> Callable:
    return settings(max_examples=tries(examples), suppress_health_check=[HealthCheck.too_slow])


def state(at: datetime, delay: timedelta, orders: int, value: str, sessions: int) -> Event:
    return Event(1, at, at + delay, orders, Decimal(value), sessions)


NOON = LEAP_DAY + 12 * HOUR
