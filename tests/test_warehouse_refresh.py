"""The warehouse's change log, brought on refresh by refresh, is the one made at once."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle import MICROSECOND, Event, Oracle, differences
from postgres_server import Database
from test_change_log_exactness import (
    DAY,
    HOUR,
    LEAP_DAY,
    MONTH,
    NOON,
    fractions,
    oracles,
    state,
    thorough,
    turning_point,
)
from warehouse import (
    EVENTS,
    PIPELINE,
    QUARANTINE,
    REFRESHES,
    SECRET,
    TRAINING,
    change_log,
    empty,
    fill,
)

from feature_pipeline.erased_customers import ErasedCustomers
from feature_pipeline.refusal import RefusedError
from feature_pipeline.warehouse_refresh import Refreshed, refresh_warehouse

pytest_plugins = ["postgres_server", "warehouse"]

whole_numbered = oracles().filter(lambda oracle: isinstance(oracle.events[0].customer_id, int))


def refresh(warehouse: Database, oracle: Oracle, as_of, **options) -> Refreshed:
    return refresh_warehouse(
        warehouse.seen_by(PIPELINE, SECRET).address,
        as_of=as_of,
        **{
            "lookback_window": oracle.lookback_window,
            "allowed_lateness": oracle.allowed_lateness,
            **options,
        },
    )


@thorough(40)
@given(whole_numbered, st.lists(fractions, min_size=1, max_size=5), st.randoms())
def test_refreshed_bit_by_bit_it_is_the_log_made_at_once(shared_warehouse, oracle, moments, random):
    warehouse = shared_warehouse
    empty(warehouse)
    to_come = list(oracle.events)
    random.shuffle(to_come)
    loaded: list[Event] = []
    for number, as_of in enumerate(sorted(turning_point(oracle, one) for one in moments)):
        # Whoever ingests may be ahead of the clock that the refresh goes by.
        now = [e for e in to_come if e.created_timestamp <= as_of or random.random() < 0.3]
        fill(warehouse, now)
        loaded += now
        to_come = [event for event in to_come if event not in now]

        done = refresh(warehouse, oracle, as_of)
        assert (done.made_anew is not None) is (number == 0)
        log = change_log(warehouse)
        asked = [one for one in oracle.change_points() if one[1] <= as_of]
        assert differences(oracle, log, asked) == []
        counts = oracle.counts(as_of)._asdict()
        counts["not_yet_arrived"] = len(loaded) - counts["ingested"]
        assert vars(done.events) == counts
        assert done.history_rows == len(log.rows)
        assert done.newest == max((row.event_timestamp for row in log.rows), default=None)

    bit_by_bit, set_aside = log.rows, quarantine(warehouse)
    empty(warehouse)
    fill(warehouse, loaded)
    assert refresh(warehouse, oracle, as_of).events == done.events
    assert change_log(warehouse).rows == bit_by_bit
    assert quarantine(warehouse) == set_aside


def quarantine(warehouse: Database) -> list[tuple[object, ...]]:
    with warehouse.connect() as connection:
        return connection.execute(f"TABLE {QUARANTINE} ORDER BY 1, 2, 3").fetchall()


FEW = Oracle(
    [
        state(NOON, HOUR, 1, "10.00", 2),
        state(NOON + HOUR, 2 * HOUR, 2, "30.00", 3),
        state(NOON + DAY, HOUR, 4, "40.00", 1),
        state(NOON + 2 * DAY, 30 * HOUR, 1, "1.00", 1),
    ],
    lookback_window=MONTH,
    allowed_lateness=DAY,
)
FIRST, SECOND = NOON + 2 * HOUR, NOON + 2 * DAY


def test_a_refresh_reads_only_what_is_new(warehouse: Database) -> None:
    fill(warehouse, FEW.events)
    assert refresh(warehouse, FEW, FIRST).new_rows == 1
    done = refresh(warehouse, FEW, SECOND)
    assert (done.made_anew, done.new_rows, done.history_rows) == (None, 2, 3)
    again = refresh(warehouse, FEW, SECOND)
    assert (again.made_anew, again.new_rows, again.history_rows) == (None, 0, 3)
    assert again.events == done.events


def test_a_day_that_goes_on_after_a_refresh_is_counted_once(warehouse: Database) -> None:
    """By the second its first state has left the window, and lies more than the lateness back."""
    states = [state(LEAP_DAY, HOUR, 1, "10.00", 2), state(NOON, 20 * HOUR, 2, "30.00", 3)]
    oracle = Oracle(states, lookback_window=2 * HOUR, allowed_lateness=DAY)
    fill(warehouse, states)
    refresh(warehouse, oracle, LEAP_DAY + DAY + 6 * HOUR)
    done = refresh(warehouse, oracle, LEAP_DAY + DAY + 9 * HOUR)
    assert done.made_anew is None
    assert (done.events.kept, done.events.superseded) == (1, 1)


def test_an_earlier_time_is_refused(warehouse: Database) -> None:
    fill(warehouse, FEW.events)
    refresh(warehouse, FEW, SECOND)
    with pytest.raises(RefusedError, match=r"stands at .*: name a later time"):
        refresh(warehouse, FEW, SECOND - MICROSECOND)


LATE_TO_BE_SEEN = Event(1, NOON + HOUR, NOON + HOUR, 9, Decimal(9), 9)


def test_an_event_that_was_not_there_is_found_and_never_rewrites_what_was_served(
    warehouse: Database,
) -> None:
    fill(warehouse, FEW.events)
    refresh(warehouse, FEW, SECOND)
    before = change_log(warehouse).rows
    fill(warehouse, [LATE_TO_BE_SEEN])
    with pytest.raises(RefusedError, match=r"would be taken back.*nothing was written"):
        refresh(warehouse, FEW, SECOND + HOUR)
    assert change_log(warehouse).rows == before


def test_nor_is_a_customer_added_to_a_past_in_which_nobody_knew_of_them(
    warehouse: Database,
) -> None:
    fill(warehouse, FEW.events)
    refresh(warehouse, FEW, SECOND)
    before = change_log(warehouse).rows
    fill(warehouse, [LATE_TO_BE_SEEN._replace(customer_id=2)])
    with pytest.raises(RefusedError, match=r"1 rows, .* would be added to what .* was by"):
        refresh(warehouse, FEW, SECOND + HOUR)
    assert change_log(warehouse).rows == before


@pytest.mark.parametrize("other", [{"lookback_window": DAY}, {"allowed_lateness": HOUR}])
def test_other_terms_are_not_mixed_into_one_log(warehouse: Database, other: dict) -> None:
    fill(warehouse, FEW.events)
    refresh(warehouse, FEW, SECOND)
    with pytest.raises(RefusedError, match="would be taken back"):
        refresh(warehouse, FEW, SECOND + MONTH, **other)


def test_another_aggregation_makes_the_whole_log_again(
    warehouse: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(warehouse, FEW.events)
    refresh(warehouse, FEW, FIRST)
    monkeypatch.setattr("feature_pipeline.warehouse_sql.digest_of_aggregation", lambda: "other")
    assert refresh(warehouse, FEW, SECOND).made_anew


# What PostgreSQL alone can hold.

REASONS = {
    "malformed: orders is null": (None, 1, 1),
    "malformed: sessions is null": (1, 1, None),
    "malformed: order_value is null": (1, None, 1),
    "malformed: order_value is not an amount": (1, Decimal("NaN"), 1),
}


def test_malformed_events_are_set_aside_with_their_reason(warehouse: Database) -> None:
    amounts = [*REASONS.values(), (1, Decimal("Infinity"), 1), (1, Decimal("1e26"), 1)]
    bad = [Event(n, NOON, NOON, *three) for n, three in enumerate(amounts, start=10)]
    fill(warehouse, [*FEW.events, *bad])
    done = refresh(warehouse, FEW, FIRST)
    assert (done.events.ingested, done.events.quarantined) == (7, 6)
    with warehouse.connect() as connection:
        reasons = {reason for (reason,) in connection.execute(f"SELECT reason FROM {QUARANTINE}")}
        assert reasons == set(REASONS)
        connection.execute(
            f"INSERT INTO {EVENTS} VALUES (30, '-infinity', '{FIRST + HOUR}', 1, 1, 1)"
        )
    refresh(warehouse, FEW, FIRST + HOUR)
    with warehouse.connect() as connection:
        (newest,) = connection.execute(f"SELECT reason FROM {QUARANTINE} WHERE customer_id = 30")
    assert newest == ("malformed: event_timestamp is no instant",)


def test_a_sum_beyond_its_column_is_refused(warehouse: Database) -> None:
    most = 2**63 - 1
    fill(warehouse, [Event(1, NOON + d * DAY, NOON + d * DAY, most, Decimal(1), 1) for d in (0, 1)])
    with pytest.raises(RefusedError, match="grow beyond what a feature can hold"):
        refresh(warehouse, FEW, SECOND)
    assert change_log(warehouse).rows == []


def test_nothing_to_work_on_is_refused(warehouse: Database) -> None:
    with pytest.raises(RefusedError, match="load events first"):
        refresh(warehouse, FEW, FIRST)
    fill(warehouse, FEW.events)
    with pytest.raises(RefusedError, match="the first arrived at 2024-02-29 13:00:00"):
        refresh(warehouse, FEW, LEAP_DAY)


def test_a_login_without_the_role_is_refused(warehouse: Database) -> None:
    with pytest.raises(RefusedError, match="grant the login feature_store_pipeline"):
        refresh_warehouse(
            warehouse.seen_by(TRAINING, SECRET).address,
            as_of=FIRST,
            lookback_window=MONTH,
            allowed_lateness=DAY,
        )


def test_a_wrong_password_is_not_shown(warehouse: Database) -> None:
    with pytest.raises(RefusedError, match="password authentication failed") as refusal:
        refresh_warehouse(
            warehouse.seen_by(PIPELINE, "guessed-and-wrong").address,
            as_of=FIRST,
            lookback_window=MONTH,
            allowed_lateness=DAY,
        )
    assert "guessed-and-wrong" not in str(refusal.value)
    assert refusal.value.__cause__ is None


# Two at once, and one that is killed.


def test_of_two_at_once_one_works_and_the_other_says_so(warehouse: Database) -> None:
    fill(warehouse, FEW.events)
    refused = []

    def meanwhile(step: str) -> None:
        with pytest.raises(RefusedError, match="another job is writing") as refusal:
            refresh(warehouse, FEW, SECOND)
        refused.append(refusal)

    done = refresh(warehouse, FEW, FIRST, on_step=meanwhile)
    assert len(refused) == len(STEPS) + 1
    assert done.new_rows == 1
    assert refresh(warehouse, FEW, SECOND).history_rows == 3


STEPS = ("counting events", "staging events", "aggregating", "appending rows")


def killed_at(warehouse: Database, as_of, step: str) -> None:
    def die(reached: str) -> None:
        if reached == step:
            os.kill(os.getpid(), signal.SIGKILL)

    refresh(warehouse, FEW, as_of, on_step=die)


@pytest.mark.parametrize("step", STEPS)
def test_killed_anywhere_it_ends_where_one_that_was_not_killed_ends(
    warehouse: Database, step: str
) -> None:
    fill(warehouse, FEW.events)
    refresh(warehouse, FEW, FIRST)
    before = change_log(warehouse).rows
    run = multiprocessing.get_context("spawn").Process(
        target=killed_at, args=(warehouse, SECOND, step)
    )
    run.start()
    run.join(60)
    assert run.exitcode == -signal.SIGKILL
    assert change_log(warehouse).rows == before
    with warehouse.connect() as connection:
        assert connection.execute(f"SELECT count(*) FROM {REFRESHES}").fetchone() == (1,)

    done = once_the_server_knows(lambda: refresh(warehouse, FEW, SECOND))
    assert (done.made_anew, done.new_rows, done.history_rows) == (None, 2, 3)


def once_the_server_knows(attempt: Callable[[], Refreshed]) -> Refreshed:
    """A session ends when the server sees that its client is gone: soon, but not at once."""
    give_up = time.monotonic() + 20
    while True:
        try:
            return attempt()
        except RefusedError as refusal:
            assert "another job is writing" in str(refusal)
            if time.monotonic() > give_up:
                raise
            time.sleep(0.05)


def test_erased_customers_are_left_out_and_stay_so(warehouse: Database) -> None:
    """Whether they were erased before the first refresh, or are delivered again after it."""
    other = [event._replace(customer_id=2) for event in FEW.events]
    erased = ErasedCustomers(b"a key of the tests").with_one_more(2)
    fill(warehouse, [*FEW.events, *other[:2]])
    done = refresh(warehouse, FEW, FIRST, erased=erased)
    assert (done.left_out, done.events.ingested) == (2, 1)
    fill(warehouse, other[2:])
    done = refresh(warehouse, FEW, NOON + 4 * DAY, erased=erased)
    assert (done.made_anew, done.left_out, done.events.ingested) == (None, 4, 4)
    assert {row.customer_id for row in change_log(warehouse).rows} == {1}
    assert {customer for customer, *_ in quarantine(warehouse)} == {1}
