"""The aggregation on made-up events with known answers (contract §11, unit tests).

Every answer is worked out by hand from the contract's words, for a window of 30 days and a lateness
of 24 hours. scripts/unit_tests.py runs this module alone, so it needs nothing of the other tests.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from feature_pipeline.change_log.aggregate import aggregate

MICROSECOND, HOUR, DAY = timedelta(microseconds=1), timedelta(hours=1), timedelta(days=1)
NOON = datetime(2026, 1, 10, 12, tzinfo=UTC)
LEAVES = datetime(2026, 2, 9, 12, tzinfo=UTC)  # 21 days are left of January, and 9 of February
AFTERWARDS = datetime(2026, 6, 1, tzinfo=UTC)

Rows = list[tuple[Any, ...]]
Log = Callable[..., Rows]


def event(
    happened: datetime, arrived: datetime, orders: int, value: float, sessions: int, of: int = 1
) -> dict[str, Any]:
    """A customer's UTC day so far."""
    return {
        "customer_id": of,
        "event_timestamp": happened,
        "created_timestamp": arrived,
        "orders": orders,
        "order_value": value,
        "sessions": sessions,
    }


def rows_of(file: Path) -> Rows:
    table = pq.read_table(file)
    moments = table.schema.get_field_index("event_timestamp")
    in_utc = table["event_timestamp"].cast(pa.timestamp("us", tz="UTC"))
    return [tuple(r.values()) for r in table.set_column(moments, "at", in_utc).to_pylist()]


@pytest.fixture(params=[False, True], ids=["one pass", "SQL"])
def log(tmp_path: Path, request: pytest.FixtureRequest) -> Log:
    """The change log of some events: customer, stamp, average, orders, sessions, order days.

    Made as the embedded engine makes it, and by the statement that warehouses run.
    """

    def made(*events: dict[str, Any], as_of: datetime = AFTERWARDS) -> Rows:
        zoned = pa.timestamp("us", tz="UTC")
        columns = {name: [one[name] for one in events] for name in events[0]}
        times = {name: pa.array(columns[name], zoned) for name in columns if "timestamp" in name}
        pq.write_table(pa.table(columns | times), tmp_path / "events.parquet")
        aggregate(
            tmp_path / "events.parquet",
            tmp_path / "history.parquet",
            tmp_path / "quarantine.parquet",
            as_of=as_of,
            lookback_window=timedelta(days=30),
            allowed_lateness=timedelta(hours=24),
            in_sql=request.param,
        )
        return rows_of(tmp_path / "history.parquet")

    return made


@pytest.fixture
def reasons(tmp_path: Path) -> Callable[[], list[str]]:
    """Why events were quarantined by the last run."""
    return lambda: pq.read_table(tmp_path / "quarantine.parquet")["reason"].to_pylist()


def test_an_event_counts_from_its_arrival_and_leaves_zeros_behind(log):
    assert log(event(NOON, NOON + HOUR, orders=2, value=30.0, sessions=3)) == [
        (1, NOON + HOUR, 15.0, 2, 3, 1),
        (1, LEAVES, 0.0, 0, 0, 0),
    ]


def test_on_the_far_edge_of_the_window_it_has_left_and_a_microsecond_before_it_has_not(log):
    one = event(NOON, NOON + HOUR, orders=1, value=10.0, sessions=1)
    there = [(1, NOON + HOUR, 10.0, 1, 1, 1)]
    assert log(one, as_of=LEAVES - MICROSECOND) == there
    assert log(one, as_of=LEAVES) == [*there, (1, LEAVES, 0.0, 0, 0, 0)]


def test_on_the_near_edge_it_counts_and_a_microsecond_before_it_is_not_known(log):
    other = event(NOON - DAY, NOON - DAY, orders=1, value=10.0, sessions=1)
    one = event(NOON, NOON, orders=1, value=20.0, sessions=1)
    there = [(1, NOON - DAY, 10.0, 1, 1, 1)]
    assert log(other, one, as_of=NOON - MICROSECOND) == there
    assert log(other, one, as_of=NOON) == [*there, (1, NOON, 15.0, 2, 2, 2)]


def test_a_later_state_takes_the_place_of_its_day(log):
    # 3 orders of 60.00 are the day's sum; 1 of 10.00 is a part of it and not added to it.
    assert log(
        event(NOON, NOON + HOUR, orders=1, value=10.0, sessions=1),
        event(NOON + HOUR, NOON + 2 * HOUR, orders=3, value=60.0, sessions=2),
    ) == [
        (1, NOON + HOUR, 10.0, 1, 1, 1),
        (1, NOON + 2 * HOUR, 20.0, 3, 2, 1),
        (1, LEAVES + HOUR, 0.0, 0, 0, 0),
    ]


def test_an_earlier_state_that_arrives_after_a_later_one_changes_nothing(log):
    assert log(
        event(NOON + HOUR, NOON + 2 * HOUR, orders=3, value=60.0, sessions=2),
        event(NOON, NOON + 3 * HOUR, orders=1, value=10.0, sessions=1),
    ) == [
        (1, NOON + 2 * HOUR, 20.0, 3, 2, 1),
        (1, LEAVES + HOUR, 0.0, 0, 0, 0),
    ]


def test_exactly_a_day_late_is_in_time_and_a_microsecond_more_is_not(log, reasons):
    in_time = event(NOON, NOON + DAY, orders=1, value=10.0, sessions=1)
    late = event(NOON, NOON + DAY + MICROSECOND, orders=1, value=10.0, sessions=1, of=2)
    assert log(in_time, late) == [
        (1, NOON + DAY, 10.0, 1, 1, 1),
        (1, LEAVES, 0.0, 0, 0, 0),
    ]
    assert reasons() == ["late: arrived after the allowed lateness"]


def test_an_event_dated_after_its_own_arrival_is_quarantined(log, reasons):
    at_once = event(NOON, NOON, orders=1, value=10.0, sessions=1)
    future = event(NOON + MICROSECOND, NOON, orders=9, value=900.0, sessions=9)
    assert log(at_once, future) == [
        (1, NOON, 10.0, 1, 1, 1),
        (1, LEAVES, 0.0, 0, 0, 0),
    ]
    assert reasons() == ["future-dated: happened after it arrived"]


def test_visits_without_an_order_have_an_average_of_zero_and_no_order_day(log):
    assert log(event(NOON, NOON + HOUR, orders=0, value=0.0, sessions=4)) == [
        (1, NOON + HOUR, 0.0, 0, 4, 0),
        (1, LEAVES, 0.0, 0, 0, 0),
    ]


def test_the_average_is_of_orders_and_not_of_days(log):
    # (10 + 50) / (1 + 3) = 15; the mean of the days' averages, 10 and 16.67, would be 13.33.
    assert log(
        event(NOON, NOON, orders=1, value=10.0, sessions=1),
        event(NOON + DAY, NOON + DAY, orders=3, value=50.0, sessions=1),
        as_of=NOON + DAY,
    )[-1] == (1, NOON + DAY, 15.0, 4, 2, 2)


def test_midnight_utc_parts_two_days_that_lie_a_microsecond_apart(log):
    midnight = datetime(2026, 1, 11, tzinfo=UTC)
    assert log(
        event(midnight - MICROSECOND, midnight + HOUR, orders=2, value=20.0, sessions=1),
        event(midnight, midnight + HOUR, orders=2, value=40.0, sessions=1),
    ) == [
        (1, midnight + HOUR, 15.0, 4, 2, 2),
        (1, midnight + 30 * DAY - MICROSECOND, 20.0, 2, 1, 1),
        (1, midnight + 30 * DAY, 0.0, 0, 0, 0),
    ]


def test_cents_add_up_exactly_and_go_away_exactly(log):
    # In floating point 0.1 + 0.2 is not 0.3, nor is that sum less 0.1 then 0.2.
    assert log(
        event(NOON, NOON, orders=1, value=0.1, sessions=1),
        event(NOON + DAY, NOON + DAY, orders=1, value=0.2, sessions=1),
    ) == [
        (1, NOON, 0.1, 1, 1, 1),
        (1, NOON + DAY, 0.15, 2, 2, 2),
        (1, LEAVES, 0.2, 1, 1, 1),
        (1, LEAVES + DAY, 0.0, 0, 0, 0),
    ]


def test_customers_are_kept_apart(log):
    assert log(
        event(NOON, NOON, orders=1, value=10.0, sessions=1, of=1),
        event(NOON, NOON, orders=2, value=80.0, sessions=3, of=2),
        as_of=NOON,
    ) == [(1, NOON, 10.0, 1, 1, 1), (2, NOON, 40.0, 2, 3, 1)]
