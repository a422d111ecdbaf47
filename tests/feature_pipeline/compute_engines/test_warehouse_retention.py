"""In the warehouse, too, every value since the cutoff is what it was, and who is erased is gone."""

import psycopg
import pytest
from event_strategies import HOUR, MONTH, fractions, moment, thorough, turning_point
from hypothesis import assume, given
from hypothesis import strategies as st
from oracle import MICROSECOND, differences
from postgres_server import Database
from retention_stories import CUTOFF, ORACLE, START, left_something
from warehouse import EVENTS, KEPT_FROM, LOG, PIPELINE, RETENTION, SECRET, change_log, empty, fill
from warehouse_refreshes import refresh, whole_numbered

from feature_pipeline.change_log.step_back import step_back_in_warehouse
from feature_pipeline.compute_engines.postgres.admission import retained_since
from feature_pipeline.compute_engines.postgres.row_deletion import (
    TABLES,
    delete_customer_rows,
    delete_expired_rows,
    known_customers_in_warehouse,
    old_rows,
    rows_of_customer,
)
from feature_pipeline.compute_engines.postgres.warehouse import session
from storage.errors import RefusedError

pytest_plugins = ["postgres_server", "warehouse"]


def address(warehouse: Database, login: str = RETENTION) -> str:
    return warehouse.seen_by(login, SECRET).address


def retain(warehouse: Database, cutoff) -> None:
    for table in TABLES.values():
        delete_expired_rows(address(warehouse), table, cutoff)


def old(warehouse: Database, cutoff) -> list[int]:
    return [old_rows(address(warehouse), table, cutoff) for table in TABLES.values()]


@thorough(40)
@given(whole_numbered, fractions, fractions, fractions, st.lists(fractions, max_size=5))
def test_every_value_since_the_cutoff_stays(
    shared_warehouse, oracle, one, other, fraction, randoms
):
    """Twice retained and refreshed in between, against the words of the contract."""
    first, second = sorted((turning_point(oracle, one), moment(oracle, other)))
    window = oracle.lookback_window
    known = max(first + window, turning_point(oracle, fraction))
    later = max(second + window, known)
    assume(left_something(oracle, first, known) and left_something(oracle, second, later))
    warehouse = shared_warehouse
    empty(warehouse)
    fill(warehouse, oracle.events)
    refresh(warehouse, oracle, known)
    retain(warehouse, first)
    refresh(warehouse, oracle, later)
    retain(warehouse, second)
    refresh(warehouse, oracle, later + window)  # which must not refuse
    assert old(warehouse, second) == [0, 0, 0]
    with session(address(warehouse, PIPELINE)) as connection:
        assert retained_since(connection) == second
    log = change_log(warehouse)

    instants = {moment(oracle, one) for one in randoms} | {second, second + window, later}
    instants |= {instant - MICROSECOND for instant in instants}
    asked = oracle.change_points()
    asked |= {(event.customer_id, instant) for event in oracle.events for instant in instants}
    assert differences(oracle, log, [a for a in asked if second <= a[1] <= later + window]) == []


@pytest.fixture
def stores(warehouse: Database) -> Database:
    fill(warehouse, ORACLE.events)
    refresh(warehouse, ORACLE, CUTOFF + MONTH)
    return warehouse


def test_who_is_active_at_the_cutoff_keeps_a_row_there_and_again_is_the_same(
    stores: Database,
) -> None:
    retain(stores, CUTOFF)
    once = change_log(stores).rows
    assert {(r.customer_id, r.event_timestamp): tuple(r.profile) for r in once} == {
        (1, CUTOFF): (10.0, 1, 2, 1),
        (1, CUTOFF + HOUR): (20.0, 3, 3, 2),
        (1, START + MONTH): (25.0, 2, 1, 1),
        (1, CUTOFF + MONTH): (0.0, 0, 0, 0),
        (2, CUTOFF): (0.0, 0, 0, 0),
    }
    retain(stores, CUTOFF)
    assert change_log(stores).rows == once


def test_a_refresh_after_retention_makes_anew_what_it_can_once(stores: Database) -> None:
    retain(stores, CUTOFF)
    anew = refresh(stores, ORACLE, CUTOFF + MONTH + HOUR)
    assert "events that had arrived" in str(anew.made_anew)
    assert refresh(stores, ORACLE, CUTOFF + MONTH + 2 * HOUR).made_anew is None


def test_a_row_after_the_first_window_is_still_never_taken_back(stores: Database) -> None:
    retain(stores, CUTOFF)
    with stores.connect() as connection:
        connection.execute(
            f"INSERT INTO {LOG} VALUES (1, %s, 9, 9, 9, 9)", [CUTOFF + MONTH + MICROSECOND]
        )
    with pytest.raises(RefusedError, match=r"1 rows .* would be taken back"):
        refresh(stores, ORACLE, CUTOFF + MONTH + HOUR)


def test_a_rebuild_after_retention_leaves_the_first_window_as_it_was(stores: Database) -> None:
    """The bound that scripts/rebuild.py steps back to."""
    retain(stores, CUTOFF)
    before = change_log(stores).rows
    with stores.connect() as connection:
        connection.execute(
            f"INSERT INTO {LOG} VALUES (1, %s, 9, 9, 9, 9)", [CUTOFF + MONTH + MICROSECOND]
        )
    gone = step_back_in_warehouse(address(stores), CUTOFF + MONTH - MICROSECOND)
    assert gone == 2  # and the row at the end of the first window, which can be made again
    refresh(stores, ORACLE, CUTOFF + MONTH + HOUR)
    assert change_log(stores).rows == before
    with session(address(stores, PIPELINE)) as connection:
        assert retained_since(connection) == CUTOFF


def test_an_erased_customer_leaves_each_table_and_the_others_stay(stores: Database) -> None:
    before = [row for row in change_log(stores).rows if row.customer_id != 1]
    held = [rows_of_customer(address(stores), table, "1") for table in TABLES.values()]
    assert held[0] > held[1] == 2
    assert known_customers_in_warehouse(address(stores)) == {"1", "2", "3"}
    for table in TABLES.values():
        delete_customer_rows(address(stores), table, "1")
    assert [rows_of_customer(address(stores), table, "1") for table in TABLES.values()] == [0] * 3
    refresh(stores, ORACLE, CUTOFF + MONTH + HOUR)
    assert change_log(stores).rows == before


@pytest.mark.parametrize("table", [LOG, EVENTS, KEPT_FROM])
def test_the_pipeline_may_delete_nothing_and_retention_may_change_nothing(
    stores: Database, table: str
) -> None:
    with (
        psycopg.connect(address(stores, PIPELINE)) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute(f"DELETE FROM {table}")
    column = "begins" if table == KEPT_FROM else "event_timestamp"
    with (
        psycopg.connect(address(stores)) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute(f"UPDATE {table} SET {column} = now()")


def test_another_login_is_refused_by_the_name_of_the_role(stores: Database) -> None:
    with pytest.raises(RefusedError, match="grant the login feature_store_retention"):
        delete_expired_rows(address(stores, PIPELINE), LOG, CUTOFF)


def test_a_whole_job_bars_those_of_other_hosts_and_not_its_own_steps(
    warehouse: Database, tmp_path, monkeypatch
) -> None:
    """A second host has a file of its own to lock; it leaves without a record, and tells nobody."""
    from jobs import repository

    there = address(warehouse)
    monkeypatch.setattr(repository, "chosen_warehouse", lambda: there)
    here, second = tmp_path / "here", tmp_path / "second"
    for host in (here, second):
        (host / "data").mkdir(parents=True)
    monkeypatch.setattr(repository, "ROOT", here)
    with repository.writing_alone():
        delete_customer_rows(there, LOG, "7")  # a step of this very job
        monkeypatch.setattr(repository, "ROOT", second)
        with (
            pytest.raises(repository.NotBegunError, match="from this host or another"),
            repository.writing_alone(),
        ):
            pytest.fail("two jobs at once")
    with repository.writing_alone():
        pass
