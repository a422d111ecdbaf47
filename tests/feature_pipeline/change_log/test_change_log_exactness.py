"""The change log answers every prediction time as the contract's words do, whatever the history.

On each of the engines; their logs are one, row for row.
"""

import math
from datetime import timedelta

import pytest
from event_strategies import (
    DAY,
    HOUR,
    LEAP_DAY,
    MONTH,
    NOON,
    fractions,
    moment,
    oracles,
    state,
    turning_point,
)
from hypothesis import assume, given
from hypothesis import strategies as st
from oracle import MICROSECOND, ZEROS, ChangeLog, Oracle, Profile, Row, differences

pytest_plugins = ["engines"]
pytestmark = pytest.mark.usefixtures("one_engine")


def test_every_answer_is_the_oracles(engine):
    @engine.thorough(150)
    @given(oracles(engine.customers), fractions | st.just(1.0), st.lists(fractions, max_size=10))
    def whatever_the_history(oracle, fraction, randoms):
        as_of = turning_point(oracle, fraction)
        done = engine.at_once(oracle, as_of)

        instants = {moment(oracle, one) for one in randoms} | {as_of}
        asked = oracle.change_points()
        asked |= {(event.customer_id, instant) for event in oracle.events for instant in instants}
        assert differences(oracle, done.log, [one for one in asked if one[1] <= as_of]) == []

        counts = oracle.counts(as_of)
        assert vars(done.counts) == counts._asdict()
        assert counts.ingested == counts.kept + counts.superseded + counts.quarantined

        keys = [row[:2] for row in done.log.rows]
        assert keys == sorted(set(keys))
        assert all(row.event_timestamp <= as_of for row in done.log.rows)
        assert done.history_rows == len(keys)

    whatever_the_history()


def test_an_earlier_log_is_a_prefix_of_a_later_one(engine):
    @engine.thorough(60)
    @given(oracles(engine.customers), fractions, fractions)
    def whatever_the_history(oracle, one, other):
        earlier, later = sorted((turning_point(oracle, one), turning_point(oracle, other)))
        assume(earlier < later)
        before, after = (engine.at_once(oracle, at).log.rows for at in (earlier, later))
        assert before == [row for row in after if row.event_timestamp <= earlier]

    whatever_the_history()


ONE, TWO = Profile(10.0, 1, 2, 1), Profile(15.0, 2, 3, 1)
FIRST = state(NOON, HOUR, 1, "10.00", 2)
SECOND = state(NOON + HOUR, HOUR, 2, "30.00", 3)

# Reckoned by hand: the events, when one asks, the answer.
BY_HAND = {
    "before it arrives": ([FIRST], NOON + HOUR - MICROSECOND, ZEROS),
    "as it arrives": ([FIRST], NOON + HOUR, ONE),
    "last microsecond in the window": ([FIRST], NOON + MONTH - MICROSECOND, ONE),
    "on the window's edge": ([FIRST], NOON + MONTH, ZEROS),
    "exactly 24 h late": ([FIRST._replace(created_timestamp=NOON + DAY)], NOON + DAY, ONE),
    "too late": (
        [FIRST._replace(created_timestamp=NOON + DAY + MICROSECOND)],
        NOON + 2 * DAY,
        ZEROS,
    ),
    "future-dated": ([FIRST._replace(created_timestamp=NOON - MICROSECOND)], NOON + DAY, ZEROS),
    "a later state supersedes": ([FIRST, SECOND], NOON + 2 * HOUR, TWO),
    "not before it has arrived": ([FIRST, SECOND], NOON + 2 * HOUR - MICROSECOND, ONE),
    "an earlier state arriving later changes nothing": (
        [FIRST._replace(created_timestamp=NOON + 5 * HOUR), SECOND],
        NOON + 6 * HOUR,
        TWO,
    ),
    "of one instant's states the last to arrive stands": (
        [FIRST, SECOND._replace(event_timestamp=NOON, created_timestamp=NOON + 3 * HOUR)],
        NOON + 3 * HOUR,
        TWO,
    ),
    "a superseded state does not come back": ([FIRST, SECOND], NOON + HOUR + MONTH, ZEROS),
    "one leaves as its equal arrives": (
        [FIRST, state(NOON + MONTH, timedelta(0), 1, "10.00", 2)],
        NOON + MONTH,
        ONE,
    ),
    "and long after, though the row's values did not change": (
        [FIRST, state(NOON + MONTH, timedelta(0), 1, "10.00", 2)],
        NOON + 2 * MONTH - MICROSECOND,
        ONE,
    ),
    "midnight belongs to the new day": (
        [
            state(LEAP_DAY - MICROSECOND, HOUR, 1, "10.00", 1),
            state(LEAP_DAY, HOUR, 3, "50.00", 1),
        ],
        LEAP_DAY + HOUR,
        Profile(15.0, 4, 2, 2),
    ),
    "a day of visits without orders": (
        [FIRST, state(NOON + DAY, HOUR, 0, "0.00", 5)],
        NOON + 2 * DAY,
        Profile(10.0, 1, 7, 1),
    ),
    "a day taken back to nothing": (
        [FIRST, state(NOON + HOUR, HOUR, 0, "0.00", 0)],
        NOON + DAY,
        ZEROS,
    ),
}


@pytest.mark.parametrize(("events", "at", "expected"), BY_HAND.values(), ids=BY_HAND)
def test_by_hand(engine, events, at, expected):
    oracle = Oracle(events, lookback_window=MONTH, allowed_lateness=DAY)
    log = engine.at_once(oracle, NOON + 3 * MONTH).log
    assert oracle.profile(1, at) == expected
    assert log.profile(1, at, ttl=MONTH) == expected


def off(row: Row, **wrong: float) -> list[Row]:
    return [row._replace(profile=row.profile._replace(**wrong))]


DEFECTS = {
    "lost": lambda row: [],
    "early": lambda row: [row._replace(event_timestamp=row.event_timestamp - MICROSECOND)],
    "delayed": lambda row: [row._replace(event_timestamp=row.event_timestamp + MICROSECOND)],
    "orders": lambda row: off(row, orders_30d=row.profile.orders_30d + 1),
    "sessions": lambda row: off(row, sessions_30d=row.profile.sessions_30d - 1),
    "days": lambda row: off(row, distinct_order_days_30d=row.profile[3] + 1),
    "average": lambda row: off(row, avg_order_value_30d=math.nextafter(row.profile[0], math.inf)),
}


@pytest.mark.parametrize("defect", DEFECTS.values(), ids=DEFECTS)
def test_no_planted_defect_escapes(engine, defect):
    """A comparison that cannot fail proves nothing: spoil each row in turn."""
    events = [FIRST, SECOND, state(NOON + DAY, DAY, 1, "5.00", 1)]
    oracle = Oracle(events, lookback_window=MONTH, allowed_lateness=DAY)
    log = engine.at_once(oracle, NOON + 2 * MONTH).log
    asked = oracle.change_points()
    assert len(log.rows) == 5
    assert differences(oracle, log, asked) == []

    for place, row in enumerate(log.rows):
        spoiled = ChangeLog([*log.rows[:place], *defect(row), *log.rows[place + 1 :]])
        assert differences(oracle, spoiled, asked)
