"""Backfill validation in the warehouse tells every row that is not the one its events make."""

from datetime import timedelta
from pathlib import Path

import pytest
from event_strategies import DAY, HOUR, fractions, thorough, turning_point
from hypothesis import given
from hypothesis import strategies as st
from oracle import Oracle
from postgres_server import Database
from warehouse import EVENTS, JUDGE, LOG, SECRET, change_log, empty, fill
from warehouse_refreshes import FEW, FIRST, SECOND, refresh, whole_numbered

from feature_pipeline.change_log.backfill import Backfill
from feature_pipeline.change_log.backfill_causes import (
    EVENT_CAME,
    OTHER_TERMS,
    ROW_CHANGED,
    ROW_GONE,
)
from feature_pipeline.compute_engines.postgres.backfill import compare_in_warehouse
from storage.errors import RefusedError

pytest_plugins = ["postgres_server", "warehouse"]


def compared(
    warehouse: Database, oracle: Oracle, scratch: Path, as_of, stretch: timedelta, **terms
) -> Backfill:
    return compare_in_warehouse(
        warehouse.seen_by(JUDGE, SECRET).address,
        scratch,
        as_of=as_of,
        stretch=stretch,
        **{
            "lookback_window": oracle.lookback_window,
            "allowed_lateness": oracle.allowed_lateness,
            **terms,
        },
    )


@thorough(25)
@given(whole_numbered, fractions, st.integers(1, 40))
def test_what_was_refreshed_is_what_is_recomputed(
    shared_warehouse, tmp_path_factory, oracle, moment, days
):
    empty(shared_warehouse)
    fill(shared_warehouse, oracle.events)
    as_of = turning_point(oracle, moment)
    refresh(shared_warehouse, oracle, as_of)
    stretch, scratch = days * DAY, tmp_path_factory.getbasetemp()
    log = [r for r in change_log(shared_warehouse).rows if r.event_timestamp > as_of - stretch]
    if not log:
        with pytest.raises(RefusedError, match="none belongs there"):
            compared(shared_warehouse, oracle, scratch, as_of, stretch)
        return
    found = compared(shared_warehouse, oracle, scratch, as_of, stretch)
    assert (found.rows, found.differing) == (len(log), 0)


SECOND_ROW = f"(SELECT event_timestamp FROM {LOG} ORDER BY 1 OFFSET 1 LIMIT 1)"
DAMAGE = {
    "a row gone": (f"DELETE FROM {LOG} WHERE event_timestamp = {SECOND_ROW}", ROW_GONE),
    "a row changed": (
        f"UPDATE {LOG} SET sessions_30d = 77 WHERE event_timestamp = {SECOND_ROW}",
        ROW_CHANGED,
    ),
    "an event that came": (
        f"""INSERT INTO {EVENTS} SELECT customer_id, event_timestamp - INTERVAL '1 day',
        created_timestamp - INTERVAL '1 day', orders, order_value, sessions FROM {EVENTS}
        ORDER BY created_timestamp LIMIT 1""",
        EVENT_CAME,
    ),
}


@pytest.mark.parametrize(("damage", "cause"), DAMAGE.values(), ids=DAMAGE)
def test_what_differs_has_its_cause(
    warehouse: Database, tmp_path: Path, damage: str, cause: str
) -> None:
    fill(warehouse, FEW.events)
    refresh(warehouse, FEW, SECOND)
    assert compared(warehouse, FEW, tmp_path, SECOND, 10 * DAY).differing == 0
    with warehouse.connect() as connection:
        connection.execute(damage)
    found = compared(warehouse, FEW, tmp_path, SECOND, 10 * DAY)
    assert found.differing > 0
    assert cause in found.causes
    assert found.sample[0].startswith("only ")
    assert list(tmp_path.iterdir()) == []


def test_other_terms_are_told(warehouse: Database, tmp_path: Path) -> None:
    fill(warehouse, FEW.events)
    refresh(warehouse, FEW, SECOND)
    found = compared(warehouse, FEW, tmp_path, SECOND, 10 * DAY, lookback_window=HOUR * 30)
    assert set(found.causes) == {OTHER_TERMS}


def test_nothing_to_compare_is_refused(warehouse: Database, tmp_path: Path) -> None:
    fill(warehouse, FEW.events)
    refresh(warehouse, FEW, FIRST)
    with pytest.raises(RefusedError, match="none belongs there: name another time"):
        compared(warehouse, FEW, tmp_path, FIRST, timedelta(minutes=1))
