"""After a retention every value since the cutoff is what it was, and goes on as if nothing left."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow.parquet as pq
import pytest
from engines import by_duckdb
from event_strategies import (
    DAY,
    HOUR,
    MONTH,
    fractions,
    moment,
    oracles,
    state,
    thorough,
    turning_point,
)
from hypothesis import assume, given
from hypothesis import strategies as st
from oracle import MICROSECOND, Oracle, differences, read_change_log, read_events, write_events
from refreshes import bring_up_to
from retention_stories import CUTOFF, EVENTS, ORACLE, START, left_something

from feature_pipeline.change_log.reset_watermark import reset_watermark
from feature_pipeline.change_log.retention import (
    delete_expired_events,
    delete_expired_history,
    old_events,
    old_history,
    refuse_to_begin,
)
from feature_pipeline.change_log.step_back import step_back_in_lake
from feature_pipeline.refreshed import Tables, Terms
from storage.errors import RefusedError
from storage.table_bounds import retained_since

pytestmark = pytest.mark.usefixtures("one_engine")


class Stores:
    """Events and change log in a folder, refreshed and retained as the jobs do it."""

    def __init__(self, folder: Path, oracle: Oracle) -> None:
        self.oracle = oracle
        self.events = write_events(oracle.events, folder / "events.parquet")
        self.history = folder / "history.parquet"

    def refresh(self, as_of):
        quarantine = self.history.with_name("quarantine.parquet")
        terms = Terms(self.oracle.lookback_window, self.oracle.allowed_lateness)
        return bring_up_to(as_of, Tables(self.events, self.history, quarantine), terms)

    def retain(self, cutoff):
        delete_expired_history(self.history, cutoff)
        delete_expired_events(self.events, cutoff)


@thorough(80)
@given(oracles(), st.tuples(fractions, fractions, fractions), st.lists(fractions, max_size=5))
def test_every_value_since_the_cutoff_stays(oracle, times, randoms):
    """Twice retained and refreshed in between, against the words of the contract."""
    one, other, fraction = times
    first, second = sorted((turning_point(oracle, one), moment(oracle, other)))
    window = oracle.lookback_window
    known = max(first + window, turning_point(oracle, fraction))
    later = max(second + window, known)
    assume(left_something(oracle, first, known) and left_something(oracle, second, later))
    with TemporaryDirectory() as folder:
        stores = Stores(Path(folder), oracle)
        stores.refresh(known)
        stores.retain(first)
        stores.refresh(later)
        stores.retain(second)
        stores.refresh(later + window)  # which must not refuse
        log = read_change_log(stores.history)
        assert old_history(stores.history, second) == old_events(stores.events, second) == 0
        assert retained_since(stores.history) == second
    twin = by_duckdb(oracle, later + window).log

    instants = {moment(oracle, one) for one in randoms} | {second, second + window, later}
    instants |= {instant - MICROSECOND for instant in instants}
    asked = oracle.change_points()
    asked |= {(event.customer_id, instant) for event in oracle.events for instant in instants}
    assert differences(oracle, log, [a for a in asked if second <= a[1] <= later + window]) == []

    whole_again = second + window
    in_order = sorted(log.rows, key=lambda row: row[:2])  # the log may be of several parts
    assert [row for row in in_order if row.event_timestamp >= whole_again] == [
        row for row in twin.rows if row.event_timestamp >= whole_again
    ]
    keys = [(row.customer_id, row.event_timestamp) for row in log.rows]
    assert len(keys) == len(set(keys))


@thorough(20)
@given(oracles(), fractions)
def test_again_is_the_same_as_once(oracle, fraction):
    cutoff = turning_point(oracle, fraction)
    with TemporaryDirectory() as folder:
        stores = Stores(Path(folder), oracle)
        stores.refresh(max(cutoff, oracle.events[-1].event_timestamp) + 2 * MONTH)
        stores.retain(cutoff)
        once = [pq.read_table(file) for file in (stores.events, stores.history)]
        delete_expired_history(stores.history, cutoff)
        delete_expired_events(stores.events, cutoff)
        assert [pq.read_table(file) for file in (stores.events, stores.history)] == once
        assert retained_since(stores.history) == cutoff


# By hand: a customer who is active at the cutoff, one long gone, and an event on its very edge.


@pytest.fixture
def stores(tmp_path: Path) -> Stores:
    stores = Stores(tmp_path, ORACLE)
    stores.refresh(CUTOFF + MONTH)
    return stores


def test_who_is_active_at_the_cutoff_keeps_a_row_there_and_who_is_gone_keeps_none(stores):
    stores.retain(CUTOFF)
    rows = {
        (r.customer_id, r.event_timestamp): r.profile for r in read_change_log(stores.history).rows
    }
    assert rows == {
        (1, CUTOFF): (10.0, 1, 2, 1),
        (1, CUTOFF + HOUR): (20.0, 3, 3, 2),
        (1, START + MONTH): (25.0, 2, 1, 1),
        (1, CUTOFF + MONTH): (0.0, 0, 0, 0),
        # 2's only event left the window with the cutoff, 3's before it: zeros are the default.
        (2, CUTOFF): (0.0, 0, 0, 0),
    }
    assert [e[:2] for e in read_events(stores.events)] == [(1, CUTOFF)]


def test_old_events_that_are_delivered_again_do_not_come_back(stores):
    stores.retain(CUTOFF)
    kept = read_change_log(stores.history).rows
    write_events(EVENTS, stores.events)
    stores.refresh(CUTOFF + MONTH)
    assert read_change_log(stores.history).rows == kept


def test_without_its_beginning_on_record_the_events_would_take_history_back(stores):
    """What the change log's own word for its beginning is there for."""
    stores.retain(CUTOFF)
    (stores.history / "_kept_from").unlink()
    with pytest.raises(RefusedError, match="would be taken back"):
        stores.refresh(CUTOFF + MONTH)


def test_a_change_in_the_rows_that_can_be_made_again_is_still_refused(tmp_path):
    later = state(CUTOFF + DAY, HOUR, 1, "5.00", 1)
    stores = Stores(tmp_path, Oracle([*EVENTS, later], lookback_window=MONTH, allowed_lateness=DAY))
    stores.refresh(CUTOFF + MONTH)
    stores.retain(CUTOFF)
    write_events([EVENTS[1], later._replace(orders=7)], stores.events)
    with pytest.raises(RefusedError, match=r"1 rows .* would be taken back"):
        stores.refresh(CUTOFF + MONTH + DAY)


def test_a_rebuild_after_retention_leaves_the_first_window_as_it_was(tmp_path):
    """The bound that scripts/rebuild.py steps back to."""
    later = state(CUTOFF + DAY, HOUR, 1, "5.00", 1)
    stores = Stores(tmp_path, Oracle([*EVENTS, later], lookback_window=MONTH, allowed_lateness=DAY))
    stores.refresh(CUTOFF + MONTH)
    stores.retain(CUTOFF)
    first_window = [r for r in read_change_log(stores.history).rows if r[1] < CUTOFF + MONTH]
    write_events([EVENTS[1], later._replace(orders=7)], stores.events)
    step_back_in_lake(stores.history, CUTOFF + MONTH - MICROSECOND)
    stores.refresh(CUTOFF + MONTH + DAY)
    rows = read_change_log(stores.history).rows
    assert sorted(r for r in rows if r[1] < CUTOFF + MONTH) == sorted(first_window)
    assert {r.event_timestamp: tuple(r.profile) for r in rows if r[1] >= CUTOFF + MONTH} == {
        CUTOFF + MONTH: (5 / 7, 7, 1, 1),
        CUTOFF + DAY + MONTH: (0.0, 0, 0, 0),
    }
    assert retained_since(stores.history) == CUTOFF


def test_history_that_is_not_known_yet_cannot_be_cut(stores, tmp_path):
    ends = {"known_to": CUTOFF + MONTH, "lookback_window": MONTH}
    refuse_to_begin(stores.history, CUTOFF, **ends)
    with pytest.raises(RefusedError, match="less than a look-back window after"):
        refuse_to_begin(stores.history, CUTOFF + MICROSECOND, **ends)
    with pytest.raises(RefusedError, match="no change log"):
        refuse_to_begin(tmp_path / "none.parquet", CUTOFF, **ends)


def test_after_a_retention_that_was_counted_a_refresh_goes_on(stores):
    """Not anew: the next refresh adds its own rows to what retention left."""
    stores.retain(CUTOFF)
    tables = Tables(stores.events, stores.history, stores.history.with_name("quarantine.parquet"))
    delete_expired_events(tables.quarantine, CUTOFF)
    terms = Terms(stores.oracle.lookback_window, stores.oracle.allowed_lateness)
    reset_watermark(tables, terms)
    done = stores.refresh(CUTOFF + MONTH + DAY)
    assert done.made_anew is None
    log = read_change_log(stores.history)
    points = [p for p in stores.oracle.change_points() if CUTOFF <= p[1] <= CUTOFF + MONTH + DAY]
    assert points and differences(stores.oracle, log, points) == []


def test_without_the_recount_it_is_made_anew_and_is_the_same(stores):
    stores.retain(CUTOFF)
    assert stores.refresh(CUTOFF + MONTH + DAY).made_anew
