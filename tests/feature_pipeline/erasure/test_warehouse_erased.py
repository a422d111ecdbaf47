"""Whoever one host erased comes back by no job of another host, whose `data/` is its own."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from oracle import Event, write_events
from postgres_server import Database
from refreshes import refresh_warehouse
from warehouse import ERASED, EVENTS, LOG, PIPELINE, RETENTION, SECRET, change_log, empty, fill

from feature_pipeline.compute_engines.postgres.backfill import compare_in_warehouse
from feature_pipeline.compute_engines.postgres.load import load_events
from feature_pipeline.compute_engines.postgres.row_deletion import TABLES, delete_customer_rows
from feature_pipeline.erasure.erased_customers import ErasedCustomers
from jobs.privacy import erased
from storage.errors import RefusedError

pytest_plugins = ["postgres_server", "warehouse"]

KEY, WHO, OTHER = "sixteen or more characters", 33, 7
AS_OF = datetime(2024, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
TERMS = {"lookback_window": timedelta(days=30), "allowed_lateness": timedelta(hours=24)}
BOUGHT = [Event(c, AS_OF - HOUR, AS_OF - HOUR, 1, Decimal(10), 1) for c in (WHO, OTHER, 1)]
AGAIN = [Event(c, AS_OF + HOUR, AS_OF + HOUR, 1, Decimal(10), 1) for c in (WHO, OTHER, 1)]

OnHost = Callable[[str], Path]


@pytest.fixture
def stores(shared_warehouse: Database) -> Database:
    empty(shared_warehouse)
    fill(shared_warehouse, BOUGHT)
    return shared_warehouse


@pytest.fixture
def on_host(stores: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OnHost:
    """Be a job of that host, with its own `data/` and a login; returns where its file was."""
    monkeypatch.setenv("FEATURE_STORE_HASH_KEY", KEY)

    def be(host: str, login: str = PIPELINE) -> Path:
        monkeypatch.setattr(erased, "ERASED", tmp_path / host / "erased_customers.txt")
        monkeypatch.setattr(erased, "chosen_warehouse", lambda: address(stores, login))
        return erased.ERASED

    return be


def address(stores: Database, login: str) -> str:
    return stores.seen_by(login, SECRET).address


def erase(stores: Database, *customers: int) -> None:
    """As scripts/erase.py does of the warehouse."""
    for customer in customers:
        for table in TABLES.values():
            delete_customer_rows(address(stores, RETENTION), table, str(customer))
        erased.keep(erased.listed_with(KEY.encode()).with_one_more(customer))


def refresh(stores: Database, as_of: datetime, who: ErasedCustomers) -> Any:
    return refresh_warehouse(address(stores, PIPELINE), as_of=as_of, erased=who, **TERMS)


def customers_in(stores: Database, table: str) -> set[int]:
    with stores.connect() as connection:
        return {c for (c,) in connection.execute(f"SELECT DISTINCT customer_id FROM {table}")}


def old_list(file: Path, *customers: int, key: str = KEY) -> None:
    """What an older version left beside a warehouse."""
    file.parent.mkdir(parents=True, exist_ok=True)
    before = ErasedCustomers(key.encode())
    for customer in customers:
        before = before.with_one_more(customer)
    before.write(file)


def test_whom_host_3_erased_no_job_of_host_2_brings_back(
    stores: Database, on_host: OnHost, tmp_path: Path
) -> None:
    on_host("host 2")
    refresh(stores, AS_OF, erased.erased_customers_of_all_hosts())
    assert customers_in(stores, LOG) == {WHO, OTHER, 1}
    on_host("host 3", RETENTION)
    erase(stores, WHO)

    on_host("host 2")
    again = write_events([*BOUGHT, *AGAIN], tmp_path / "delivery")
    who = erased.erased_customers_of_all_hosts()
    loaded = load_events(address(stores, PIPELINE), again, who)
    assert (loaded.appended, loaded.left_out) == (2, 2)
    assert customers_in(stores, EVENTS) == {OTHER, 1}
    fill(stores, AGAIN[:1])  # an ingestion that asks nobody
    done = refresh(stores, AS_OF + 2 * HOUR, erased.erased_customers_of_all_hosts())
    assert done.left_out == 1
    assert customers_in(stores, LOG) == {OTHER, 1}
    bounds = {"as_of": AS_OF + 2 * HOUR, "stretch": timedelta(days=7)} | TERMS
    who = erased.erased_customers()
    compared = compare_in_warehouse(address(stores, "judging_job"), tmp_path, erased=who, **bounds)
    assert compared.differing == 0
    assert not list(tmp_path.rglob("erased_customers.txt"))


@pytest.mark.parametrize("job", ["a refresh", "an erasure"])
def test_the_file_of_before_becomes_the_warehouses(
    stores: Database, on_host: OnHost, job: str
) -> None:
    old_list(on_host("host 3"), WHO)
    file = on_host("host 2", RETENTION)
    old_list(file, OTHER, 5)
    assert {c for c in (WHO, OTHER, 5, 1) if c in erased.erased_customers()} == {OTHER, 5}
    assert file.is_file()  # who only reads, writes nothing
    if job == "a refresh":
        on_host("host 2", PIPELINE)
        erased.erased_customers_of_all_hosts()
    else:
        erase(stores, OTHER)  # whom the file lists already
    assert not file.is_file()
    file = on_host("host 3")
    who = erased.erased_customers_of_all_hosts()
    assert {c for c in (WHO, OTHER, 5, 1) if c in who} == {WHO, OTHER, 5}
    assert not file.is_file()
    on_host("host 4")
    who = erased.erased_customers()
    assert {c for c in (WHO, OTHER, 5, 1) if c in who} == {WHO, OTHER, 5}


def test_nobody_erased_asks_for_no_key(
    stores: Database, on_host: OnHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_host("host 2")
    monkeypatch.delenv("FEATURE_STORE_HASH_KEY")
    assert not erased.erased_customers_of_all_hosts()
    refresh(stores, AS_OF, erased.erased_customers_of_all_hosts())
    assert len(change_log(stores).rows) == 3


@pytest.mark.parametrize("place", ["warehouse", "file"])
@pytest.mark.parametrize("key", [None, "another key of sixteen"])
def test_without_the_key_nobody_is_let_back(
    stores: Database,
    on_host: OnHost,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
    key: str | None,
) -> None:
    file = on_host("host 3", RETENTION)
    if place == "warehouse":
        erase(stores, WHO)
    else:
        old_list(file, WHO)
    on_host("host 3")
    if key:
        monkeypatch.setenv("FEATURE_STORE_HASH_KEY", key)
    else:
        monkeypatch.delenv("FEATURE_STORE_HASH_KEY")
    held_in = ERASED if place == "warehouse" else str(file)
    with pytest.raises(RefusedError, match=r"FEATURE_STORE_HASH_KEY .*set") as refused:
        erased.erased_customers_of_all_hosts()
    assert held_in in str(refused.value)
    assert file.is_file() == (place == "file")


def test_two_keys_are_no_one_list(stores: Database, on_host: OnHost) -> None:
    file = on_host("host 3", RETENTION)
    erase(stores, WHO)
    old_list(file, OTHER, key="another key of sixteen")
    with pytest.raises(RefusedError, match="another FEATURE_STORE_HASH_KEY"):
        erased.erased_customers_of_all_hosts()
    assert file.is_file()


def test_a_damaged_file_is_refused_and_stays(stores: Database, on_host: OnHost) -> None:
    file = on_host("host 2")
    file.parent.mkdir()
    file.write_text("33\n")
    with pytest.raises(RefusedError, match=r"is damaged: .* Restore it from a backup"):
        erased.erased_customers_of_all_hosts()
    assert file.read_text() == "33\n"


def test_a_warehouse_of_before_is_to_be_migrated(stores: Database, on_host: OnHost) -> None:
    on_host("host 2")
    with stores.connect() as owner:
        owner.execute(f"ALTER TABLE {ERASED} RENAME TO not_yet")
        try:
            with pytest.raises(RefusedError, match=r"is not ready .*erased_customers.*migrate it"):
                erased.erased_customers_of_all_hosts()
        finally:
            owner.execute("ALTER TABLE data_warehouse.not_yet RENAME TO erased_customers")


def test_the_list_takes_digests_alone(stores: Database) -> None:
    with stores.connect() as owner, pytest.raises(psycopg.errors.CheckViolation):
        owner.execute(f"INSERT INTO {ERASED} VALUES ('33', repeat('a', 64))")


def test_a_profile_of_files_keeps_its_file(
    on_host: OnHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = on_host("host 1")
    monkeypatch.setattr(erased, "chosen_warehouse", lambda: None)
    old_list(file, WHO)
    held = file.stat()
    assert WHO in erased.erased_customers_of_all_hosts()
    assert file.stat() == held
