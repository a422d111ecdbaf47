"""Many customers at once, whose days hold every edge: what a dear engine is asked in one run."""

from datetime import timedelta
from random import Random

from event_strategies import DAY, DAYS, DELAYS, LEAP_DAY, MONEY, MONTH, TIMES_OF_DAY
from oracle import Event, Oracle


def crowd(customers: int, seed: int, *, share_of_first: float = 0.0) -> Oracle:
    """Ties, late events, window edges; of all events the first customer has this share or more."""
    random = Random(seed)
    events = [event for customer in range(customers) for event in _life(customer, random)]
    events += [
        event._replace(event_timestamp=left, created_timestamp=left)
        for event in random.sample(events, len(events) // 10)
        for left in [event.event_timestamp + MONTH]
    ]
    events = list({event[:3]: event for event in events}.values())
    while sum(event.customer_id == 0 for event in events) < share_of_first * len(events):
        day = LEAP_DAY + random.randrange(-300, 30) * DAY
        at = day + timedelta(microseconds=random.randrange(86_400_000_000))
        events += [_state(0, at, at + delay, random) for delay in DELAYS]
    return Oracle(events, lookback_window=MONTH, allowed_lateness=DAY)


def _life(customer: int, random: Random) -> list[Event]:
    return [
        _state(customer, at, at + random.choice(DELAYS), random)
        for _ in range(random.randrange(1, 6))
        for at in [LEAP_DAY + random.choice(DAYS) + random.choice(TIMES_OF_DAY)]
        for _ in range(random.randrange(1, 4))
    ]


def _state(customer, at, arrives, random: Random) -> Event:
    orders, sessions = random.randrange(4), random.randrange(4)
    return Event(customer, at, arrives, orders, random.choice(MONEY), sessions)
