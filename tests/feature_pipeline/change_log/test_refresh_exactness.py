"""A log that is continued refresh by refresh is the log that is made of all events at once.

On each of the engines, which say the same of what they did.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from engines import Engine, Place, by_duckdb, terms_of
from event_strategies import (
    MICROSECOND,
    first_arrival,
    fractions,
    moment,
    oracles,
    turning_point,
)
from hypothesis import assume, given
from hypothesis import strategies as st
from oracle import Event, Oracle, differences, row_differences
from refresh_stories import DAY, EVENTS, HOUR, MONTH, NOON, TERMS, bought

from feature_pipeline.change_log.intake import IntakeCounts
from feature_pipeline.erasure.erased_customers import ErasedCustomers
from feature_pipeline.refreshed import RefreshResult, Terms
from storage.errors import RefusedError

pytest_plugins = ["engines"]
pytestmark = pytest.mark.usefixtures("one_engine")


def test_whenever_it_is_refreshed_it_is_what_a_rebuild_makes(engine: Engine) -> None:
    @engine.thorough(50)
    @given(
        oracles(engine.customers),
        st.lists(fractions, min_size=1, max_size=6),
        st.lists(fractions, max_size=3),
        st.booleans(),
        st.sampled_from([timedelta(0), HOUR, 3 * DAY]),
        st.randoms(use_true_random=False),
    )
    def whatever_the_history(oracle, turning, randoms, in_parts, ahead, random):
        instants = {turning_point(oracle, one) for one in turning}
        instants |= {moment(oracle, one) for one in randoms}
        with engine.place(in_parts=in_parts) as place:
            delivered, known = [], None
            for at in sorted(instants):
                # Whoever ingests may be ahead of the clock that the refresh goes by.
                to_come = [event for event in oracle.events if event not in delivered]
                now = [
                    e
                    for e in to_come
                    if e.created_timestamp <= at + ahead or not random.randrange(9)
                ]
                random.shuffle(now)
                place.deliver(now)
                delivered += now
                done = place.bring_up_to(at, terms_of(oracle))
                log = place.log()
                assert done == what_was_done(oracle, log.rows, known, at, len(delivered))
                asked = [one for one in oracle.change_points() if one[1] <= at]
                assert differences(oracle, log, asked) == []
                known = at
            quarantined = place.quarantined()
        whole = engine.at_once(oracle, at)
        assert log.rows == whole.log.rows, "to the last bit of an average"
        assert quarantined == whole.quarantined
        if engine.name != "duckdb":
            embedded = by_duckdb(oracle, at)
            assert row_differences(log.rows, embedded.log.rows) == []
            assert quarantined == embedded.quarantined

    whatever_the_history()


def what_was_done(
    oracle: Oracle, rows: list, known: datetime | None, at: datetime, delivered: int
) -> RefreshResult:
    """By a refresh from `known` on to `at`, of a log that then holds these rows."""
    counts = oracle.counts(at)
    stamps = [row.event_timestamp for row in rows]
    return RefreshResult(
        IntakeCounts(**counts._asdict() | {"not_yet_arrived": delivered - counts.ingested}),
        history_rows=len(rows),
        new_rows=len(rows) if known is None else sum(stamp > known for stamp in stamps),
        since=known,
        newest=max(stamps, default=None),
        newest_arrival=max(e.created_timestamp for e in oracle.events if e.created_timestamp <= at),
        left_out=0,
        made_anew="no refresh has left a log" if known is None else None,
    )


def test_it_adds_the_rows_of_those_whose_values_change_and_no_others(engine: Engine) -> None:
    @engine.thorough(20)
    @given(oracles(engine.customers), fractions, fractions)
    def whatever_the_history(oracle, one, other):
        earlier, later = sorted((turning_point(oracle, one), turning_point(oracle, other)))
        assume(earlier < later)
        with engine.place() as place:
            place.deliver(oracle.events)
            place.bring_up_to(earlier, terms_of(oracle))
            before = place.log().rows
            done = place.bring_up_to(later, terms_of(oracle))
            after = place.log().rows
        expected = [row for row in engine.at_once(oracle, later).log.rows if row[1] > earlier]
        assert [row for row in after if row.event_timestamp <= earlier] == before
        assert [row for row in after if row.event_timestamp > earlier] == expected
        assert done.new_rows == len(expected)

    whatever_the_history()


# Three customers, one of them with an event that came too late; refreshed at noon.


@pytest.fixture
def nothing(engine: Engine) -> Iterator[Place]:
    with engine.place() as place:
        yield place


@pytest.fixture
def place(nothing: Place) -> Place:
    nothing.deliver(EVENTS)
    nothing.bring_up_to(NOON, TERMS)
    return nothing


SLIPPED_IN = {
    "of one with other values then": (
        bought(1, NOON - 2 * DAY + HOUR, orders=3),
        "1 rows of .* would be taken back.*nothing was written",
    ),
    "of one with values before it": (
        bought(2, NOON - 2 * HOUR),
        "1 rows, .* would be added to what .* was by 2024-03-01T12.*nothing was written",
    ),
    "of one who was unknown": (
        bought(7, NOON - 2 * HOUR),
        "1 rows, .* would be added to what .* was by 2024-03-01T12.*nothing was written",
    ),
}


@pytest.mark.parametrize(("event", "said"), SLIPPED_IN.values(), ids=SLIPPED_IN)
def test_an_event_stamped_as_arrived_before_it_was_there_is_not_lost_in_silence(
    place: Place, event: Event, said: str
) -> None:
    before = place.log().rows
    place.deliver([event])
    with pytest.raises(RefusedError, match=said):
        place.bring_up_to(NOON + HOUR, TERMS)
    assert place.log().rows == before


def test_an_event_too_late_that_was_not_there_is_taken_into_the_quarantine(place: Place) -> None:
    before = place.log().rows
    place.deliver([bought(7, NOON - 9 * DAY, delay=8 * DAY)])
    done = place.bring_up_to(NOON + HOUR, TERMS)
    assert done.made_anew == "the events that had arrived by the last refresh are not those it saw"
    assert (done.new_rows, done.since) == (1, None)
    assert len(place.log().rows) == len(before) + 1
    assert done.events.quarantined == len(place.quarantined()) == 2
    assert place.bring_up_to(NOON + 2 * HOUR, TERMS).made_anew is None


def test_other_terms_make_it_anew_and_take_nothing_back(place: Place) -> None:
    done = place.bring_up_to(NOON + HOUR, Terms(7 * DAY, DAY))
    assert done.made_anew == "the aggregation or its terms are others now"
    before = place.log().rows
    for other, said in (
        (Terms(DAY, DAY), "taken back"),
        (Terms(7 * DAY, HOUR / 4), "taken back"),
        (Terms(7 * DAY, 3 * DAY), "added to"),
    ):
        with pytest.raises(RefusedError, match=f"would be {said}"):
            place.bring_up_to(NOON + 2 * HOUR, other)
    assert place.log().rows == before


def test_a_clock_that_went_back_is_refused(place: Place) -> None:
    before = place.log().rows
    with pytest.raises(RefusedError, match=r"2024-03-01T12:00:00.*name a later time"):
        place.bring_up_to(NOON - MICROSECOND, TERMS)
    assert place.log().rows == before


def test_a_time_before_anything_had_arrived_is_refused(nothing: Place) -> None:
    nothing.deliver(EVENTS)
    with pytest.raises(
        RefusedError, match=r"the first arrived at 2024-02-28.12:00:00.*name a later"
    ):
        nothing.bring_up_to(NOON - 9 * DAY, TERMS)
    with pytest.raises(ValueError, match="a naive time names no instant"):
        nothing.bring_up_to(NOON.replace(tzinfo=None), TERMS)
    assert nothing.log().rows == []


def test_again_up_to_the_same_instant_nothing_is_added(place: Place) -> None:
    before = place.log().rows
    done = place.bring_up_to(NOON, TERMS)
    assert (done.new_rows, done.made_anew, done.history_rows) == (0, None, len(before))
    assert (done.events.ingested, done.events.not_yet_arrived) == (4, 1)
    assert place.log().rows == before


def test_a_day_that_goes_on_after_a_refresh_is_counted_once(nothing: Place) -> None:
    """By the second its first state has left the window, and lies more than the lateness back."""
    terms = Terms(2 * HOUR, DAY)
    nothing.deliver([bought(1, NOON - 12 * HOUR, HOUR), bought(1, NOON, 20 * HOUR, orders=2)])
    nothing.bring_up_to(NOON + 18 * HOUR, terms)
    done = nothing.bring_up_to(NOON + 21 * HOUR, terms)
    assert done.made_anew is None
    assert (done.events.kept, done.events.superseded) == (1, 1)


def test_a_sum_beyond_its_column_is_refused(nothing: Place) -> None:
    nothing.deliver([bought(1, NOON - day * DAY, orders=2**63 - 1) for day in (0, 1)])
    with pytest.raises(RefusedError, match="grow beyond what a feature can hold"):
        nothing.bring_up_to(NOON, TERMS)
    assert nothing.log().rows == []


def test_what_is_delivered_of_the_erased_is_left_out_and_counted_as_it_arrives(
    nothing: Place,
) -> None:
    """Before the first refresh, after it, and in an hour in which nobody else is touched."""
    terms = Terms(MONTH, DAY, ErasedCustomers(b"a key of any length").with_one_more(2))
    nothing.deliver(EVENTS)
    done = nothing.bring_up_to(NOON, terms)
    assert (done.left_out, done.events.ingested, done.new_rows) == (1, 3, 2)
    again = nothing.bring_up_to(NOON, terms)
    assert done.events.not_yet_arrived == again.events.not_yet_arrived == 0
    done = nothing.bring_up_to(NOON + HOUR, terms)
    assert (done.made_anew, done.left_out, done.new_rows) == (None, 1, 0)
    nothing.deliver([bought(2, NOON + 2 * HOUR), bought(2, NOON + 2 * HOUR, 2 * DAY)])
    done = nothing.bring_up_to(NOON + 3 * DAY, terms)
    assert (done.made_anew, done.left_out, done.new_rows) == (None, 2, 0)
    done = nothing.bring_up_to(NOON + 3 * DAY + MICROSECOND, terms)
    assert (done.made_anew, done.left_out, done.events.ingested) == (None, 0, 3)
    assert {row.customer_id for row in nothing.log().rows} == {1}
    assert [customer for customer, *_ in nothing.quarantined()] == [3]


def test_the_first_arrival_is_the_first_that_can_be_asked_for() -> None:
    """The helper the others draw their times with."""
    oracle = Oracle([bought(1, NOON)], lookback_window=DAY, allowed_lateness=DAY)
    assert first_arrival(oracle) == NOON
