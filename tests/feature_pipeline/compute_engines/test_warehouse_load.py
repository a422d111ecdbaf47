"""Events come into the warehouse by COPY: all of a file's, once each, or none."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from event_strategies import HOUR, NOON, state
from oracle import Event, events_table, write_events
from postgres_server import Database, PostgresServer
from refreshes import refresh_warehouse
from waiting import eventually
from warehouse import EVENTS, KEPT_FROM, LOG, PIPELINE, RETENTION, SECRET, TRAINING

from feature_pipeline.compute_engines.postgres.load import load_events
from feature_pipeline.compute_engines.postgres.warehouse import session, writing_alone
from storage.errors import RefusedError

pytest_plugins = ["postgres_server", "warehouse"]

STATES = [
    state(NOON, HOUR, 1, "10.10", 2),
    state(NOON + timedelta(microseconds=1), HOUR, 2, "0.30", 3),
]


def load(warehouse: Database, file: Path, login: str = PIPELINE) -> tuple[int, int]:
    loaded = load_events(warehouse.seen_by(login, SECRET).address, file)
    return loaded.appended, loaded.there_already


def held(warehouse: Database) -> list[Event]:
    with warehouse.connect() as connection:
        connection.execute("SET TIME ZONE 'UTC'")
        return [Event(*row) for row in connection.execute(f"TABLE {EVENTS} ORDER BY 1, 2, 3")]


@pytest.mark.parametrize("money", [Decimal, float])
def test_what_is_there_already_is_not_loaded_again(
    warehouse: Database, tmp_path: Path, money: type
) -> None:
    states = [one._replace(order_value=money(one.order_value)) for one in STATES]
    assert load(warehouse, write_events(states[:1], tmp_path / "first")) == (1, 0)
    assert load(warehouse, write_events(states, tmp_path / "second")) == (1, 1)
    assert held(warehouse) == STATES


def test_real_events_arrive_whole(warehouse: Database, real_events: Path) -> None:
    rows = pq.read_metadata(real_events).num_rows
    assert load(warehouse, real_events) == (rows, 0)
    assert load(warehouse, real_events) == (0, rows)


def test_malformed_amounts_come_in_to_be_set_aside(warehouse: Database, tmp_path: Path) -> None:
    amounts = [(None, 1.0, 1), (1, float("nan"), 1), (1, float("inf"), 1), (1, 1.0, None)]
    events = [Event(n, NOON, NOON, *three) for n, three in enumerate(amounts)]
    assert load(warehouse, write_events(events, tmp_path / "events")) == (4, 0)


def test_finer_times_are_cut_off_not_rounded(warehouse: Database, tmp_path: Path) -> None:
    table = events_table(STATES[:1])
    finer = pa.array([int(NOON.timestamp()) * 10**9 + 999], pa.timestamp("ns", "America/New_York"))
    pq.write_table(table.set_column(1, "event_timestamp", finer), tmp_path / "events")
    load(warehouse, tmp_path / "events")
    assert held(warehouse) == STATES[:1]


def test_a_folder_is_loaded_part_by_part_all_or_none(warehouse: Database, tmp_path: Path) -> None:
    folder = tmp_path / "events"
    for number, one in enumerate(STATES):
        (folder / f"hour={number}").mkdir(parents=True)
        write_events([one], folder / f"hour={number}" / "part.parquet")
    (folder / "hour=0" / "_SUCCESS").touch()
    assert load(warehouse, folder) == (2, 0)
    (folder / "stray.txt").touch()
    write_events([STATES[0]._replace(customer_id=3)], folder / "another.parquet")
    with pytest.raises(RefusedError, match=r"stray\.txt is no part of"):
        load(warehouse, folder)
    assert held(warehouse) == STATES


def test_a_customer_that_is_no_number_is_refused(warehouse: Database, tmp_path: Path) -> None:
    events = write_events([STATES[0]._replace(customer_id="seven")], tmp_path / "events")
    with pytest.raises(RefusedError, match=r"bigint.*nothing was written"):
        load(warehouse, events)
    assert held(warehouse) == []


def test_what_is_no_events_table_is_refused(warehouse: Database, tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="no events file"):
        load(warehouse, tmp_path / "nothing")
    (tmp_path / "text").write_text("no parquet")
    with pytest.raises(RefusedError, match="not a readable parquet file"):
        load(warehouse, tmp_path / "text")
    table = events_table(STATES)
    pq.write_table(table.drop_columns("sessions"), tmp_path / "lacking")
    with pytest.raises(RefusedError, match="lacks sessions"):
        load(warehouse, tmp_path / "lacking")
    naive = table.set_column(1, "event_timestamp", table[1].cast(pa.timestamp("us")))
    pq.write_table(naive, tmp_path / "naive")
    with pytest.raises(RefusedError, match="a naive one names no instant"):
        load(warehouse, tmp_path / "naive")


def test_another_role_may_not(warehouse: Database, tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="permission denied"):
        load(warehouse, write_events(STATES, tmp_path / "events"), TRAINING)


# What a refresh has passed by.


AS_OF = NOON + timedelta(hours=6)


@pytest.fixture
def refreshed(warehouse: Database, tmp_path: Path) -> Database:
    """One whose change log is known up to AS_OF."""
    load(warehouse, write_events(STATES, tmp_path / "first"))
    refresh(warehouse, AS_OF)
    return warehouse


def refresh(warehouse: Database, as_of: datetime) -> int:
    return refresh_warehouse(
        warehouse.seen_by(PIPELINE, SECRET).address,
        as_of=as_of,
        lookback_window=timedelta(days=30),
        allowed_lateness=timedelta(hours=24),
    ).history_rows


def arriving(at: datetime, customer: int = 9) -> Event:
    return Event(customer, at - HOUR, at, 1, Decimal(5), 1)


@pytest.mark.parametrize(
    ("arrived", "comes_in"),
    [(AS_OF - HOUR, False), (AS_OF, False), (AS_OF + timedelta(microseconds=1), True)],
)
def test_what_a_refresh_should_have_seen_does_not_come_in(
    refreshed: Database, tmp_path: Path, arrived: datetime, comes_in: bool
) -> None:
    file = write_events([*STATES, arriving(AS_OF + HOUR, 8), arriving(arrived)], tmp_path / "next")
    if comes_in:
        assert load(refreshed, file) == (2, 2)
    else:
        with pytest.raises(RefusedError, match=r"1 events .* Let created_timestamp say"):
            load(refreshed, file)
        assert held(refreshed) == STATES
    refresh(refreshed, AS_OF + 2 * HOUR)  # which must not refuse


def test_nothing_comes_in_beside_a_job_that_writes(refreshed: Database, tmp_path: Path) -> None:
    file = write_events([arriving(AS_OF + HOUR)], tmp_path / "next")
    address = refreshed.seen_by(PIPELINE, SECRET).address
    refused = pytest.raises(RefusedError, match="another job is writing")
    with session(address) as other, writing_alone(other), refused:
        load(refreshed, file)
    assert load(refreshed, file) == (1, 0)


def test_a_whole_delivery_after_a_retention_and_an_erasure_is_no_arrival_of_then(
    refreshed: Database, tmp_path: Path
) -> None:
    """What was let go of and whoever was erased are in it again, and stay gone."""
    from feature_pipeline.compute_engines.postgres.row_deletion import TABLES, delete_customer_rows
    from feature_pipeline.erasure.erased_customers import ErasedCustomers

    gone, erased = STATES[0], ErasedCustomers(b"k" * 16).with_one_more(7)
    new = [arriving(AS_OF + HOUR), arriving(AS_OF + HOUR, 7)]
    old = arriving(AS_OF - HOUR, 7)
    with refreshed.connect() as connection:
        connection.execute(f"DELETE FROM {EVENTS}")
        connection.execute(f"INSERT INTO {KEPT_FROM} VALUES (%s)", [NOON + 2 * HOUR])
    file = write_events([gone, old, *new], tmp_path / "whole")
    loaded = load_events(refreshed.seen_by(PIPELINE, SECRET).address, file, erased)
    assert (loaded.appended, loaded.there_already, loaded.left_out) == (1, 1, 2)
    assert held(refreshed) == new[:1]
    for table in TABLES.values():
        delete_customer_rows(refreshed.seen_by(RETENTION, SECRET).address, table, "9")
    assert held(refreshed) == []


# What logs tell of whom.


def test_no_identifier_is_in_the_servers_log(
    refreshed: Database, postgres: PostgresServer, tmp_path: Path
) -> None:
    """Of an erasure, of a refresh that leaves somebody out, and of one that the server refuses."""
    from feature_pipeline.compute_engines.postgres.row_deletion import (
        delete_customer_rows,
        rows_of_customer,
    )
    from feature_pipeline.erasure.erased_customers import ErasedCustomers

    who = 918_273_645_546
    load(refreshed, write_events([arriving(AS_OF + HOUR, who)], tmp_path / "next"))
    with refreshed.connect() as connection:
        connection.execute(f"ALTER DATABASE {refreshed.name} SET log_statement = 'all'")
        connection.execute(f"REVOKE DELETE ON {LOG} FROM feature_store_retention")
    retention = refreshed.seen_by(RETENTION, SECRET).address
    with pytest.raises(RefusedError, match="not ready for this login"):
        delete_customer_rows(retention, LOG, str(who))
    refresh_warehouse(
        refreshed.seen_by(PIPELINE, SECRET).address,
        as_of=AS_OF + 2 * HOUR,
        lookback_window=timedelta(days=30),
        allowed_lateness=timedelta(hours=24),
        erased=ErasedCustomers(b"k" * 16).with_one_more(who),
    )
    assert rows_of_customer(retention, EVENTS, str(who)) == 1
    delete_customer_rows(retention, EVENTS, str(who))
    assert rows_of_customer(retention, EVENTS, str(who)) == 0
    log = (postgres.folder / "log").read_text()
    assert f"DELETE FROM {EVENTS}" in log
    assert "erased_here" in log
    assert str(who) not in log


def test_what_a_copy_failed_at_is_told_without_its_row(warehouse: Database) -> None:
    address = warehouse.seen_by(PIPELINE, SECRET).address
    with pytest.raises(psycopg.Error) as quoting, session(address) as connection:
        connection.execute("CREATE TEMP TABLE frame (customer_id bigint)")
        with connection.cursor().copy("COPY frame FROM STDIN") as copy:
            copy.write("1,2017-06-01\n")
    assert "COPY frame" not in str(quoting.value)


WHO = 918_273_645_546


def lent(session: "psycopg.Connection[Any]", rows: Iterable[int]) -> None:
    from feature_pipeline.compute_engines.postgres.keys import copy_texts

    session.execute("CREATE TEMP TABLE whose (customer_id text)")
    copy_texts(session, "whose", 1, ([str(one)] for one in rows))


def sent(session: "psycopg.Connection[Any]", rows: Iterable[int]) -> None:
    from storage import postgres_arrow

    session.execute("CREATE TEMP TABLE asked (customer_id bigint)")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(postgres_arrow, "binary_rows", lambda asked: binary(rows))
        postgres_arrow.copied_in(session, pa.table({"customer_id": [WHO]}), "asked")


def binary(rows: Iterable[int]) -> Iterator[bytes]:
    from storage.postgres_copy import binary_rows

    header, *_ = binary_rows(pa.table({"customer_id": pa.array([], pa.int64())}))
    yield header
    for some in batched(rows, 1_000):
        yield [*binary_rows(pa.table({"customer_id": some}))][1]


def batched(rows: Iterable[int], size: int) -> Iterator[list[int]]:
    remaining = iter(rows)
    while some := [*islice(remaining, size)]:
        yield some


@pytest.mark.parametrize("copy", [lent, sent])
@pytest.mark.parametrize("how", ["cancelled", "refused"])
def test_a_copy_that_is_ended_amid_its_rows_quotes_none(
    warehouse: Database, postgres: PostgresServer, copy: Any, how: str
) -> None:
    """Neither to the job nor in the server's own log, whatever that is told to log."""
    from contract_checks.failure import one_line

    with warehouse.connect() as owner:
        for setting in ("log_statement = 'all'", "log_min_error_statement = debug5"):
            owner.execute(f"ALTER DATABASE {warehouse.name} SET {setting}")

    def rows(session: "psycopg.Connection[Any]") -> Iterator[int]:
        for number in range(20_000):
            if number == 10_000:
                if how == "refused":
                    raise ValueError("the file is at its end")
                with warehouse.connect() as operator:
                    ended = "SELECT pg_terminate_backend(%s)"
                    operator.execute(ended, [session.info.backend_pid])
            yield WHO

    log = postgres.folder / "log"
    before = len(log.read_text())
    address = warehouse.seen_by(PIPELINE, SECRET).address
    kind = psycopg.Error if how == "cancelled" else ValueError
    with pytest.raises(kind) as failed, session(address) as connection:
        copy(connection, rows(connection))
    eventually(lambda: ended_in(log.read_text()[before:]), AssertionError)
    assert str(WHO) not in log.read_text()[before:]
    assert str(WHO) not in str(failed.value) + one_line(failed.value)


def ended_in(log: str) -> None:
    assert "CONTEXT:  COPY" in log


def test_an_event_that_cannot_be_read_is_refused_without_its_values(
    refreshed: Database, tmp_path: Path
) -> None:
    event = {**arriving(AS_OF + HOUR)._asdict(), "customer_id": f"c{WHO}"}
    file = tmp_path / "of_texts.parquet"
    pq.write_table(pa.Table.from_pylist([event]), file)
    with pytest.raises(RefusedError, match=r"bigint.*nothing was written") as refused:
        load(refreshed, file)
    assert str(WHO) not in str(refused.value)
