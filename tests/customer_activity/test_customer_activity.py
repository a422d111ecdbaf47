"""The upstream model of contract §4: the dbt project makes the events that the demonstration has.

The demonstration's own are what `real_events` holds, as `scripts/ingest.py` has dbt make them; that
they are what the households bought, `test_real_customers.py` tells without SQL.
"""

import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from shutil import copytree
from typing import Any

import duckdb
import pytest
from built_upstream import built, dbt, login_of
from oracle import Event
from oracle import write_events as write_events_to_parquet
from postgres_server import Database
from warehouse import PIPELINE, SECRET, fill_raw

from jobs.refreshing.customer_activity import _build, _refuse_to_take_back, write_events
from storage.errors import RefusedError

pytest_plugins = ["postgres_server", "warehouse"]

DAYS = datetime(2017, 3, 1, tzinfo=UTC), datetime(2017, 3, 15, tzinfo=UTC)


@pytest.fixture
def rows() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection


def read(rows: duckdb.DuckDBPyConnection, relation: str) -> tuple[list[Any], list[Any]]:
    """Names and types of its columns, and its rows in their order."""
    return rows.sql(f"DESCRIBE {relation}").fetchall(), rows.sql(relation).fetchall()


def test_events_lie_in_the_order_they_arrived(rows, real_events):
    columns, events = read(rows, f"SELECT * FROM read_parquet('{real_events}')")
    assert {name: type for name, type, *_ in columns} == {
        "customer_id": "BIGINT",
        "event_timestamp": "TIMESTAMP WITH TIME ZONE",
        "created_timestamp": "TIMESTAMP WITH TIME ZONE",
        "orders": "BIGINT",
        "order_value": "DECIMAL(18,2)",
        "sessions": "BIGINT",
    }
    arrivals = [(created, customer, happened) for customer, happened, created, *_ in events]
    assert len(arrivals) > 150_000
    assert arrivals == sorted(arrivals)


@pytest.mark.slow
def test_events_stay_what_they_were_when_a_test_of_the_project_fails(real_events, tmp_path):
    folder = tmp_path / "delivered"
    copytree(real_events.parent, folder)
    events, made = folder / real_events.name, folder / "customer_activity"
    with duckdb.connect(str(made / "warehouse.duckdb")) as warehouse:
        table = "data_warehouse.customer_events"
        warehouse.execute(f"UPDATE {table} SET sessions = orders + 1 WHERE customer_id = 3")
    with pytest.raises(RefusedError, match=r"FAIL \d+ a_day_never_counts_down"):
        write_events(events, made)
    assert events.read_bytes() == real_events.read_bytes()
    assert [file.name for file in folder.iterdir() if file.name.startswith(".")] == []


def test_events_of_another_upstream_are_not_replaced(real_events, tmp_path, monkeypatch):
    def as_dbt_delivers(*_: str | Path, **environment: str) -> None:
        Path(environment["CUSTOMER_ACTIVITY_EVENTS"]).write_bytes(real_events.read_bytes())

    monkeypatch.setattr("jobs.refreshing.customer_activity._build", as_dbt_delivers)
    events = tmp_path / real_events.name
    assert write_events(events, tmp_path / "customer_activity") > 150_000
    assert write_events(events, tmp_path / "customer_activity") > 150_000  # its own it replaces

    theirs = Event(1, *[datetime(2026, 1, 1, tzinfo=UTC)] * 2, 1, Decimal("9.99"), 1)
    write_events_to_parquet([theirs], events)
    before = events.read_bytes()
    with pytest.raises(RefusedError, match="holds 1 events that are not of these purchases"):
        write_events(events, tmp_path / "customer_activity")
    assert events.read_bytes() == before
    events.write_bytes(b"no parquet")
    with pytest.raises(RefusedError, match="is not what this job wrote"):
        _refuse_to_take_back(events, real_events)


def test_without_dbt_it_is_told_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setattr("jobs.refreshing.customer_activity._DBT", tmp_path / "dbt")
    with pytest.raises(RefusedError, match=r"no dbt at .*: run `make setup`"):
        write_events(tmp_path / "events.parquet", tmp_path / "made")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("ends", [RefusedError("it hangs"), KeyboardInterrupt()])
def test_dbt_does_not_wait_for_a_warehouse_that_hangs(tmp_path, monkeypatch, ends):
    hung = tmp_path / "dbt"
    hung.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/process\nexec sleep 600\n")
    hung.chmod(0o700)
    monkeypatch.setattr("jobs.refreshing.customer_activity._DBT", hung)
    monkeypatch.setattr("jobs.refreshing.customer_activity._LOOK_SECONDS", 0.05)
    looks = []

    def look() -> None:
        looks.append("still there")
        if len(looks) > 2 and (tmp_path / "process").exists():
            raise ends

    with pytest.raises(type(ends)):
        _build("production", tmp_path, look=look)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "process").read_text()), 0)


@pytest.mark.slow
def test_hours_are_added_once_and_none_before_it_is_over(tmp_path, rows, real_events):
    steps = ["2017-01-05T10:00:00", "2017-01-05T10:59:59", "2017-01-05T11:00:00"]
    counts = []
    for as_of in (*steps, steps[-1], "2017-01-20T07:30:00"):
        built(tmp_path, as_of=as_of)
        added = read(rows, f"SELECT * FROM read_parquet('{tmp_path / 'events.parquet'}')")
        assert added == read(
            rows,
            "SELECT * REPLACE ("  # a later delivery brings what happened since at its own instant
            f"CASE WHEN created_timestamp <= '{steps[-1]}+00' THEN created_timestamp "
            f"ELSE TIMESTAMPTZ '{as_of}+00' END AS created_timestamp) "
            f"FROM read_parquet('{real_events}') WHERE created_timestamp <= '{as_of}+00' "
            "ORDER BY created_timestamp, customer_id, event_timestamp",
        )
        counts.append(len(added[1]))
    assert counts[0] == counts[1] < counts[2] == counts[3] < counts[4]


TAMPERED = {
    "one_state_an_instant": "INSERT INTO {events} SELECT * FROM {events} LIMIT 1",
    "a_day_never_counts_down": "UPDATE {events} SET sessions = orders + 1 WHERE customer_id = 1",
    "delivered_after_it_happened": "UPDATE {events} SET created_timestamp = event_timestamp "
    "WHERE customer_id = 2",
    "every_order_is_counted_once": "DELETE FROM {events} WHERE event_timestamp >= '2017-02-27'",
    "not_null_customer_events_orders": "UPDATE {events} SET orders = NULL WHERE customer_id = 4",
}


@pytest.mark.slow
def test_each_of_its_tests_can_fail(tmp_path):
    built(tmp_path, as_of="2017-03-01T00:00:00")
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as warehouse:
        for tampering in TAMPERED.values():
            warehouse.execute(tampering.format(events="data_warehouse.customer_events"))
    done = dbt(tmp_path, "test", as_of="2017-03-01T00:00:00")
    assert done.returncode == 1
    for name in TAMPERED:
        assert re.search(rf"FAIL \d+ {name} ", done.stdout), name


@pytest.mark.slow
def test_the_warehouse_gets_the_same_and_is_refreshed_from_it(
    tmp_path, rows, real_events, warehouse: Database
):
    from refreshes import refresh_warehouse

    start, end = DAYS
    days = f"transaction_timestamp >= '{start:%F}' AND transaction_timestamp < '{end:%F}'"
    fill_raw(warehouse, tmp_path, days)
    for as_of in (end - timedelta(hours=4), end - timedelta(hours=3)):
        built(
            tmp_path,
            "--target",
            "production",
            as_of=f"{as_of:%FT%T}",
            **login_of(warehouse, PIPELINE),
        )
        with warehouse.connect() as owner:
            found = owner.execute(
                "SELECT customer_id, event_timestamp, created_timestamp, orders, order_value, "
                "sessions FROM data_warehouse.customer_events ORDER BY 3, 1, 2"
            ).fetchall()
        expected = rows.sql(
            f"SELECT * FROM read_parquet('{real_events}') WHERE event_timestamp >= '{start}' "
            f"AND created_timestamp <= '{as_of}' AND event_timestamp < '{end}' "
            "ORDER BY created_timestamp, customer_id, event_timestamp"
        ).fetchall()
        assert len(found) > 1_000
        assert found == expected
    refreshed = refresh_warehouse(
        warehouse.seen_by(PIPELINE, SECRET).address,
        as_of=found[-1][2],
        lookback_window=timedelta(days=30),
        allowed_lateness=timedelta(hours=24),
    )
    assert refreshed.events.ingested == len(found)
    assert refreshed.events.quarantined == 0
