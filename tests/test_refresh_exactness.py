"""A log that is continued refresh by refresh is the log that is made of all events at once."""

import itertools
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from oracle import Event, Oracle, differences, events_table, read_change_log, write_events
from test_change_log_exactness import (
    MICROSECOND,
    first_arrival,
    fractions,
    logged,
    moment,
    oracles,
    thorough,
    turning_point,
)

from feature_pipeline.engine import parquet_at
from feature_pipeline.erased_customers import ErasedCustomers
from feature_pipeline.parquet_table import parts_of
from feature_pipeline.refresh import bring_up_to
from feature_pipeline.refreshed import Refreshed, Tables, Terms
from feature_pipeline.refusal import RefusedError

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


class Warehouse:
    """The three tables; events are delivered as they arrive, in one file or in parts."""

    def __init__(self, folder: Path, oracle: Oracle, in_parts: bool = False) -> None:
        self.oracle, self.in_parts = oracle, in_parts
        self.delivered: set[Event] = set()
        self.terms = Terms(oracle.lookback_window, oracle.allowed_lateness)
        self.tables = Tables(
            folder / "events.parquet", folder / "history.parquet", folder / "quarantine.parquet"
        )
        if in_parts:
            self.tables.events.mkdir()

    def refresh(self, as_of: datetime, ahead: timedelta = timedelta(0)) -> Refreshed:
        self.deliver(as_of + ahead)
        return bring_up_to(as_of, self.tables, self.terms)

    def deliver(self, until: datetime) -> None:
        events = [event for event in self.oracle.events if event.created_timestamp <= until]
        new = [event for event in events if event not in self.delivered]
        self.delivered |= set(new)
        if not self.in_parts:
            write_events(events, self.tables.events)
        elif new:
            write_events(new, self.tables.events / f"{len(self.delivered):06}.parquet")

    def history(self) -> pa.Table:
        return pq.read_table(self.tables.history).sort_by(
            [("customer_id", "ascending"), ("event_timestamp", "ascending")]
        )


def made_at_once(oracle: Oracle, as_of: datetime, folder: Path) -> tuple[pa.Table, pa.Table]:
    from feature_pipeline.change_log import aggregate

    history, quarantine = folder / "whole.parquet", folder / "whole_quarantine.parquet"
    aggregate(
        write_events(oracle.events, folder / "all_events.parquet"),
        history,
        quarantine,
        as_of=as_of,
        lookback_window=oracle.lookback_window,
        allowed_lateness=oracle.allowed_lateness,
    )
    return pq.read_table(history), pq.read_table(quarantine)


def in_order(table: pa.Table) -> list[tuple]:
    """Rows whose amounts may have been spelled in another type."""
    return sorted(
        tuple(float(v) if isinstance(v, Decimal) else str(v) for v in row.values())
        for row in table.to_pylist()
    )


@thorough(50)
@given(
    oracles(),
    st.lists(fractions, min_size=1, max_size=6),
    st.lists(fractions, max_size=3),
    st.booleans(),
    st.sampled_from([timedelta(0), HOUR, 3 * DAY]),
)
def test_whenever_it_is_refreshed_it_is_what_a_rebuild_makes(
    oracle, turning, randoms, in_parts, ahead
):
    instants = {turning_point(oracle, one) for one in turning}
    instants |= {moment(oracle, one) for one in randoms}
    first, *others = sorted(instants)
    with TemporaryDirectory() as name:
        warehouse = Warehouse(Path(name), oracle, in_parts)
        done = warehouse.refresh(first, ahead)
        assert done.made_anew == "no refresh has left a log"
        for instant in others:
            done = warehouse.refresh(instant, ahead)
            assert done.made_anew is None
        last = max(instants)
        history, quarantine = made_at_once(oracle, last, Path(name))
        assert warehouse.history().equals(history), "byte for byte, averages included"
        there = duckdb.read_parquet(
            parquet_at(warehouse.tables.quarantine), union_by_name=True
        ).fetch_arrow_table()
        assert in_order(there) == in_order(quarantine)
        counts = oracle.counts(last)._asdict()
        arrived = sum(e.created_timestamp <= last + ahead for e in oracle.events)
        assert vars(done.events) == counts | {"not_yet_arrived": arrived - counts["ingested"]}
        log = read_change_log(warehouse.tables.history)
        asked = [one for one in oracle.change_points() if one[1] <= last]
        assert differences(oracle, log, asked) == []
        assert (done.history_rows, done.newest) == (
            history.num_rows,
            max(history["event_timestamp"].to_pylist(), default=None),
        )


@thorough(20)
@given(oracles(), fractions, fractions)
def test_it_writes_the_rows_of_those_whose_values_change_and_no_others(oracle, one, other):
    earlier, later = sorted((turning_point(oracle, one), turning_point(oracle, other)))
    assume(earlier < later)
    _, whole = logged(oracle, later)
    expected = [row for row in whole.rows if row.event_timestamp > earlier]
    with TemporaryDirectory() as name:
        warehouse = Warehouse(Path(name), oracle)
        warehouse.refresh(earlier)
        before = {part.name: part.read_bytes() for part in parts_of(warehouse.tables.history)}
        done = warehouse.refresh(later)
        parts = {part.name: part for part in parts_of(warehouse.tables.history)}
        (added,) = parts.keys() - before.keys()
        assert read_change_log(parts[added]).rows == expected
        assert done.new_rows == len(expected)
        assert all(parts[name].read_bytes() == content for name, content in before.items())


NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)


def bought(customer: int, at: datetime, delay: timedelta = timedelta(0), orders: int = 1) -> Event:
    return Event(customer, at, at + delay, orders, Decimal("10.00"), 2)


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    """Three customers, one of them with an event that came too late; refreshed at noon."""
    events = [
        bought(1, NOON - 2 * DAY),
        bought(1, NOON - HOUR),
        bought(2, NOON - 3 * HOUR),
        bought(3, NOON - 4 * DAY, delay=3 * DAY),
        bought(2, NOON + 30 * HOUR / 60),
    ]
    oracle = Oracle(events, lookback_window=30 * DAY, allowed_lateness=DAY)
    made = Warehouse(tmp_path, oracle)
    made.refresh(NOON)
    return made


def slipped_in(warehouse: Warehouse, *more: Event) -> None:
    """Events the refresh before did not see, although they say they had arrived."""
    oracle = warehouse.oracle
    warehouse.oracle = Oracle(
        [*oracle.events, *more],
        lookback_window=oracle.lookback_window,
        allowed_lateness=oracle.allowed_lateness,
    )


def test_an_event_stamped_as_arrived_before_it_was_there_is_not_lost_in_silence(warehouse) -> None:
    """Neither of a customer with other values then, nor with values before it, nor with none."""
    before, events = warehouse.history(), warehouse.oracle.events
    for event, said in (
        (bought(1, NOON - 2 * DAY + HOUR, orders=3), "1 rows of .* would be taken back"),
        (bought(2, NOON - 2 * HOUR), "1 rows, .* would be added to what .* was by 2024-03-01T12"),
        (bought(7, NOON - 2 * HOUR), "1 rows, .* would be added to what .* was by 2024-03-01T12"),
    ):
        slipped_in(warehouse, event)
        with pytest.raises(RefusedError, match=said):
            warehouse.refresh(NOON + HOUR)
        assert warehouse.history().equals(before)
        warehouse.oracle.events = events


def test_an_event_too_late_that_was_not_there_is_taken_into_the_quarantine(warehouse) -> None:
    slipped_in(warehouse, bought(7, NOON - 9 * DAY, delay=8 * DAY))
    done = warehouse.refresh(NOON + HOUR)
    assert done.made_anew == "the events that had arrived by the last refresh are not those it saw"
    assert done.events.quarantined == 2
    assert warehouse.refresh(NOON + 2 * HOUR).made_anew is None


@pytest.mark.parametrize("table", ["history", "quarantine"])
def test_a_table_that_lost_its_rows_is_made_anew(warehouse, table) -> None:
    whole = warehouse.history()
    (part,) = parts_of(getattr(warehouse.tables, table))
    pq.write_table(pq.read_table(part).slice(1), part)
    done = warehouse.refresh(NOON)
    word = {"history": "log", "quarantine": "quarantine"}[table]
    assert done.made_anew == f"the {word} is not as the last refresh left it"
    assert warehouse.history().equals(whole)
    assert pq.read_table(warehouse.tables.quarantine).num_rows == 1


def test_other_terms_make_it_anew_and_take_nothing_back(warehouse) -> None:
    warehouse.terms = Terms(7 * DAY, DAY)
    done = warehouse.refresh(NOON + HOUR)
    assert done.made_anew == "the aggregation or its terms are others now"
    warehouse.terms = Terms(DAY, DAY)
    with pytest.raises(RefusedError, match="would be taken back"):
        warehouse.refresh(NOON + 2 * HOUR)


def test_a_log_of_a_single_file_is_continued_as_a_folder(warehouse, tmp_path) -> None:
    whole, file = warehouse.history(), tmp_path / "one.parquet"
    pq.write_table(whole, file)
    warehouse.tables = Tables(warehouse.tables.events, file, warehouse.tables.quarantine)
    assert warehouse.refresh(NOON).made_anew == "no refresh has left a log"
    assert file.is_symlink() and warehouse.history().equals(whole)


def test_a_folder_that_was_copied_without_its_link_is_continued(warehouse, tmp_path) -> None:
    import shutil

    copy = shutil.copytree(tmp_path, tmp_path / "copy")
    history = copy / warehouse.tables.history.name
    assert not history.is_symlink()
    warehouse.tables = Tables(
        copy / warehouse.tables.events.name, history, copy / warehouse.tables.quarantine.name
    )
    assert warehouse.refresh(NOON + HOUR).made_anew is None
    assert history.is_symlink() and len(parts_of(history)) == 2


def test_a_clock_that_went_back_is_refused(warehouse) -> None:
    before = warehouse.history()
    with pytest.raises(RefusedError, match="known up to 2024-03-01T12:00:00"):
        warehouse.refresh(NOON - MICROSECOND)
    assert warehouse.history().equals(before)


def test_again_up_to_the_same_instant_nothing_is_written(warehouse) -> None:
    (part,) = parts_of(warehouse.tables.history)
    written = part.stat().st_mtime_ns
    done = warehouse.refresh(NOON)
    assert (done.new_rows, done.made_anew) == (0, None)
    assert vars(done.events) == warehouse.oracle.counts(NOON)._asdict() | {"not_yet_arrived": 0}
    assert [p.stat().st_mtime_ns for p in parts_of(warehouse.tables.history)] == [written]


def test_an_event_that_stands_there_twice_is_refused(warehouse) -> None:
    (last,) = (event for event in warehouse.oracle.events if event.created_timestamp > NOON)
    warehouse.deliver(NOON + HOUR)
    write_events([*warehouse.oracle.events, last], warehouse.tables.events)
    with pytest.raises(RefusedError, match="1 events stand there more than once"):
        bring_up_to(NOON + HOUR, warehouse.tables, warehouse.terms)


def test_the_parts_of_a_day_that_is_over_become_one(tmp_path) -> None:
    hours = [NOON + n * HOUR for n in range(60)]
    oracle = Oracle(
        [bought(n % 5, at) for n, at in enumerate(hours)],
        lookback_window=30 * DAY,
        allowed_lateness=DAY,
    )
    warehouse = Warehouse(tmp_path, oracle, in_parts=True)
    for at in hours:
        warehouse.refresh(at)
    names = [part.name[:8] for part in parts_of(warehouse.tables.history)]
    # The first run's whole log; two days that are over; the hours of the third from midnight on.
    assert {day: len(list(of)) for day, of in itertools.groupby(names)} == {
        "20240301": 2,
        "20240302": 1,
        "20240303": 24,
    }
    history, _ = made_at_once(oracle, hours[-1], tmp_path)
    assert warehouse.history().equals(history)


def test_whoever_is_reading_the_version_before_reads_it_to_its_end(warehouse) -> None:
    reading = parts_of(warehouse.tables.history)
    before = warehouse.history()
    warehouse.refresh(NOON + HOUR)
    assert pq.read_table(reading[0]).num_rows == before.num_rows
    warehouse.refresh(NOON + 2 * HOUR)
    assert not reading[0].exists(), "and no version stays for ever"


def test_an_hour_in_which_nobody_is_touched_is_refreshed_where_somebody_was_erased(
    warehouse,
) -> None:
    somebody = ErasedCustomers(b"a key of any length").with_one_more(99)
    warehouse.terms = Terms(30 * DAY, DAY, somebody)
    done = warehouse.refresh(NOON + MICROSECOND)
    assert (done.made_anew, done.new_rows, done.left_out) == (None, 0, 0)


def test_parts_of_events_that_spell_customers_in_two_types_are_refused(tmp_path) -> None:
    events = tmp_path / "events.parquet"
    events.mkdir()
    pq.write_table(events_table([bought(1, NOON)]), events / "1.parquet")
    named = bought(1, NOON + HOUR)._replace(customer_id="two")
    pq.write_table(events_table([named]), events / "2.parquet")
    tables = Tables(events, tmp_path / "history.parquet", tmp_path / "quarantine.parquet")
    with pytest.raises(RefusedError, match="spell customer_id as int64 and string"):
        bring_up_to(NOON + HOUR, tables, Terms(30 * DAY, DAY))


def test_the_first_arrival_is_the_first_that_can_be_asked_for() -> None:
    """The helper the others draw their times with."""
    oracle = Oracle([bought(1, NOON)], lookback_window=DAY, allowed_lateness=DAY)
    assert first_arrival(oracle) == NOON
