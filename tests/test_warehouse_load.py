"""Events come into the warehouse by COPY: all of a file's, once each, or none."""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from oracle import Event, events_table, write_events
from postgres_server import Database
from test_change_log_exactness import HOUR, NOON, state
from warehouse import EVENTS, PIPELINE, SECRET, TRAINING

from feature_pipeline.refusal import RefusedError
from feature_pipeline.warehouse_load import load_events

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
