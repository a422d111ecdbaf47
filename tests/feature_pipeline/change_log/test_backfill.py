"""A stretch of history, recomputed: what is the same, what is not, and what is not looked at."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from backfill_stories import AS_OF, DAY, HOUR, WEEK, orders_of
from oracle import MICROSECOND, Event, write_events

from feature_pipeline.change_log.aggregate import aggregate
from feature_pipeline.change_log.backfill import Backfill, compare_with_rebuild
from storage.errors import RefusedError

Rows = list[dict[str, Any]]


@pytest.fixture
def events(tmp_path: Path) -> Path:
    return write_events([*orders_of(1), *orders_of(2)], tmp_path / "events.parquet")


@pytest.fixture
def history(events: Path, tmp_path: Path) -> Path:
    """The change log as of a day later than the stretch ends."""
    (tmp_path / "warehouse").mkdir()
    made = tmp_path / "warehouse" / "history.parquet"
    at = {"as_of": AS_OF + DAY, "lookback_window": 30 * DAY, "allowed_lateness": DAY}
    aggregate(events, made, tmp_path / "quarantine.parquet", **at)
    return made


def compare(events: Path, history: Path, as_of: datetime = AS_OF) -> Backfill:
    window = {"stretch": WEEK, "lookback_window": 30 * DAY, "allowed_lateness": DAY}
    return compare_with_rebuild(events, history, as_of=as_of, **window)


def rewrite(history: Path, change: Callable[[Rows], Rows]) -> None:
    table = pq.read_table(history)
    rows = change(table.to_pylist())
    pq.write_table(pa.Table.from_pylist(rows, table.schema), history)


def stamped(at: datetime, customer: int = 1) -> Callable[[dict[str, Any]], bool]:
    return lambda row: (row["customer_id"], row["event_timestamp"]) == (customer, at)


def changed(at: datetime, **columns: Any) -> Callable[[Rows], Rows]:
    """A customer's row of that time, with other values."""
    there = stamped(at)
    return lambda rows: [row | columns if there(row) else row for row in rows]


def test_untouched_history_is_equal_and_nothing_is_left_behind(events: Path, history: Path) -> None:
    compared = compare(events, history)
    # Seven arrivals of either customer in (AS_OF - 7 days, AS_OF]; the eighth lies on its edge.
    assert compared == Backfill(14, 0, 0, ())
    assert compared.differing == 0
    assert [file.name for file in history.parent.iterdir()] == ["history.parquet"]


WITHIN = AS_OF - 3 * DAY


@pytest.mark.parametrize(
    ("change", "only_on_record", "only_recomputed"),
    [
        (changed(WITHIN, orders_30d=99), 1, 1),
        (changed(WITHIN, sessions_30d=None), 1, 1),
        (changed(WITHIN, distinct_order_days_30d=0), 1, 1),
        (changed(WITHIN, avg_order_value_30d=float("nan")), 1, 1),
        (changed(WITHIN, avg_order_value_30d=20.999999999999996), 1, 1),
        (changed(WITHIN, event_timestamp=WITHIN + MICROSECOND), 1, 1),
        (changed(WITHIN, customer_id=3), 1, 1),
        (lambda rows: [row for row in rows if not stamped(WITHIN)(row)], 0, 1),
        (lambda rows: [*rows, *filter(stamped(WITHIN), rows)], 1, 0),
        (lambda rows: [*rows, {**rows[0], "event_timestamp": WITHIN + MICROSECOND}], 1, 0),
        (lambda rows: [row for row in rows if row["event_timestamp"] <= AS_OF - WEEK], 0, 14),
    ],
    ids=[
        *("orders", "sessions", "days", "not a number", "the last bits", "stamp", "customer"),
        *("a row missing", "a row doubled", "a row more", "every row missing"),
    ],
)
def test_every_difference_is_found_and_counted(
    events: Path,
    history: Path,
    change: Callable[[Rows], Rows],
    only_on_record: int,
    only_recomputed: int,
) -> None:
    rewrite(history, change)
    compared = compare(events, history)
    assert (compared.only_on_record, compared.only_recomputed) == (only_on_record, only_recomputed)
    assert compared.differing == only_on_record + only_recomputed
    assert compared.rows == 14
    assert len(compared.sample) == min(compared.differing, 4)


def test_the_sample_shows_both_sides_of_a_row(events: Path, history: Path) -> None:
    rewrite(history, changed(WITHIN, orders_30d=99))
    on_record, recomputed = compare(events, history).sample
    where = "customer_id=1, event_timestamp=2026-02-26T13:00:00+00:00"
    assert on_record.startswith(f"only on record: {where}")
    assert "orders_30d=99" in on_record
    assert recomputed.startswith(f"only recomputed: {where}")
    assert "orders_30d=17" in recomputed  # twenty days, of which three come later


@pytest.mark.parametrize(
    ("at", "differing"),
    [(AS_OF - WEEK, 0), (AS_OF - WEEK + DAY, 2), (AS_OF, 2), (AS_OF + DAY, 0)],
)
def test_the_stretch_is_open_behind_and_closed_ahead(
    events: Path, history: Path, at: datetime, differing: int
) -> None:
    more = Event(1, AS_OF + 12 * HOUR, AS_OF + DAY, 1, 10.0, 2)
    write_events([*orders_of(1), *orders_of(2), more], events)
    aggregate(
        events,
        history,
        history.with_name("quarantine.parquet"),
        as_of=AS_OF + DAY,
        lookback_window=30 * DAY,
        allowed_lateness=DAY,
    )
    before = pq.read_table(history)
    rewrite(history, changed(at, orders_30d=99))
    assert pq.read_table(history) != before
    assert compare(events, history).differing == differing


def test_events_that_changed_since_are_found_as_well(events: Path, history: Path) -> None:
    fewer = [e for e in orders_of(1) if e.created_timestamp != AS_OF]
    write_events([*fewer, *orders_of(2)], events)
    assert compare(events, history).only_on_record == 1


def test_history_of_other_columns_cannot_be_compared(events: Path, history: Path) -> None:
    table = pq.read_table(history)
    for other in (
        table.drop_columns(["sessions_30d"]),
        table.select([*table.column_names[:2], *reversed(table.column_names[2:])]),
        table.set_column(3, "orders_30d", table["orders_30d"].cast(pa.string())),
        table.drop_columns(["event_timestamp"]),
    ):
        pq.write_table(other, history)
        with pytest.raises(RefusedError, match="has the columns customer_id"):
            compare(events, history)


def test_without_history_or_without_rows_there_is_nothing_to_compare(
    events: Path, history: Path
) -> None:
    with pytest.raises(RefusedError, match=r"no row of .* name another time"):
        compare(events, history, as_of=AS_OF + 100 * DAY)
    history.unlink()
    with pytest.raises(RefusedError, match=r"run scripts/refresh\.py"):
        compare(events, history)
