"""Spark makes the lake that DuckDB makes, and reads from it what DuckDB reads.

What is asked of every engine is asked in test_refresh_exactness.py and its neighbours.
"""

import multiprocessing
import os
import signal
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from crowd import crowd
from engines import by_duckdb, tables_in, terms_of
from event_strategies import DAY, HOUR, LEAP_DAY, NOON
from oracle import MICROSECOND, Event, read_change_log, write_events
from refreshes import bring_up_to
from spark_readings import FEATURES, FEW, TTL, by_spark, opened, readings_of
from waiting import GIVE_UP_SECONDS

from feature_pipeline.refreshed import Tables
from storage.errors import RefusedError

pytest_plugins = ["spark_session"]


def lake(folder: Path, events: Iterable[Event]) -> Tables:
    folder.mkdir()
    tables = tables_in(folder)
    write_events(events, tables.events)
    return tables


def in_order(table: Path) -> pa.Table:
    rows = pq.read_table(table)
    keys = ("customer_id", "event_timestamp", "created_timestamp")
    return rows.sort_by([(key, "ascending") for key in keys if key in rows.column_names])


@pytest.mark.parametrize(
    ("customers", "runs"), [(6, 2), pytest.param(150, 3, marks=pytest.mark.slow)]
)
def test_the_lake_is_duckdbs_row_for_row_whoever_went_on_with_it(
    spark, tmp_path, customers, runs
) -> None:
    oracle = crowd(customers, seed=20240229)
    ours = lake(tmp_path / "o[u]rs {1,2}*", oracle.events)
    theirs = lake(tmp_path / "theirs", oracle.events)
    noon = LEAP_DAY + DAY + 12 * HOUR
    for number, as_of in enumerate((noon, noon + HOUR, noon + 40 * DAY)[:runs]):
        done = bring_up_to(as_of, theirs, terms_of(oracle))
        if number == 1:
            assert bring_up_to(as_of, ours, terms_of(oracle)) == done
        else:
            assert by_spark(spark, as_of, ours, terms_of(oracle)) == done
        for mine, other in ((ours.history, theirs.history), (ours.quarantine, theirs.quarantine)):
            assert in_order(mine).equals(in_order(other))


@pytest.mark.slow
def test_the_parts_of_a_day_that_is_over_are_joined(spark, tmp_path) -> None:
    tables = lake(tmp_path / "lake", FEW.events)
    hours = [NOON + hour * HOUR for hour in (1, 2, 3)]
    for as_of in (*hours, NOON + 2 * DAY):
        by_spark(spark, as_of, tables, terms_of(FEW))
    # The first run's whole log, the other two of its day as one, and the last.
    assert {part.name[:11] for part in tables.history.glob("*.parquet")} == {
        "20240229T13",
        "20240229T15",
        "20240302T12",
    }
    whole = by_duckdb(FEW, NOON + 2 * DAY).log.rows
    assert sorted(read_change_log(tables.history).rows) == whole


def test_nanoseconds_are_refused(spark, tmp_path) -> None:
    tables = lake(tmp_path / "lake", FEW.events)
    rows = pq.read_table(tables.events)
    fine = rows["event_timestamp"].cast(pa.timestamp("ns", "UTC"))
    pq.write_table(rows.set_column(1, "event_timestamp", fine), tables.events)
    with pytest.raises(RefusedError, match="event_timestamp in nanoseconds"):
        by_spark(spark, NOON + DAY, tables, terms_of(FEW))


# Reads.


def test_every_answer_is_the_plain_one_in_the_callers_order(spark, tmp_path) -> None:
    random = Random(7)
    sensors = ["a", "", 'q"uote\n', *map(str, range(12)), "Ünal"]
    edges = [NOON + day * DAY + more * MICROSECOND for day in range(5) for more in (-1, 0, 1)]
    notes = [None, "", "7", "a,b", "\\N"]
    rows = {
        (sensor, at): (random.choice([None, 0, 2**63 - 1, -(2**63)]), random.choice(notes))
        for sensor in sensors[:-1]
        for at in random.sample(edges, 2)
    }
    questions = [(sensor, at) for sensor in (*sensors, None) for at in edges * 2]
    random.shuffle(questions)

    def plainly(sensor: str | None, moment: datetime) -> tuple[int, str | None]:
        there = [at for who, at in rows if who == sensor and moment - TTL <= at <= moment]
        value, note = rows[sensor, max(there)] if there else (None, None)
        return -1 if value is None else value, note

    store = opened(tmp_path, readings_of(rows | {(None, NOON): (5, "x"), ("a", None): (6, "x")}))
    frame = pd.DataFrame(questions, columns=["sensor", "event_timestamp"])
    frame = frame.assign(event_timestamp=pd.to_datetime(frame["event_timestamp"], utc=True))
    job = store.get_historical_features(frame.assign(label="l"), FEATURES)
    answer = job.to_arrow()
    got = list(zip(answer["value"].to_pylist(), answer["note"].to_pylist(), strict=True))
    assert got == [plainly(*question) for question in questions]
    assert answer["sensor"].to_pylist() == [sensor for sensor, _ in questions]
    assert answer.schema.field("value").type == pa.int64()
    naive = frame.assign(event_timestamp=frame["event_timestamp"].dt.tz_localize(None))
    assert store.get_historical_features(naive, FEATURES).to_arrow()["value"] == answer["value"]
    assert list(tmp_path.glob("tmp*")) == []


@pytest.mark.parametrize("only_latest", [False, True])
def test_materialization_reads_in_utc(spark, tmp_path, only_latest) -> None:
    rows = {("a", NOON + hour * HOUR): (hour, "x") for hour in range(24)}
    store = opened(tmp_path, readings_of(rows), only_latest=only_latest)
    store.materialize(NOON, NOON + 5 * HOUR)
    answer = store.get_online_features(FEATURES[:1], [{"sensor": "a"}]).to_dict()
    assert answer["value"] == [5]


def test_what_it_will_not_answer(spark, tmp_path) -> None:
    from feature_access.offline_stores.offline_table import OfflineStoreEmptyError

    frame = pd.DataFrame({"sensor": ["a"], "event_timestamp": [datetime(2024, 3, 1, tzinfo=UTC)]})
    store = opened(tmp_path, readings_of({("a", NOON): (1, "x"), ("b", NOON): (2, "x")}))
    with pytest.raises(ValueError, match="must be a DataFrame"):
        store.get_historical_features("SELECT 1", FEATURES)
    with pytest.raises(ValueError, match="give an entity frame"):
        store.get_historical_features(features=FEATURES, start_date=NOON, end_date=NOON + HOUR)
    (tmp_path / "readings.parquet").unlink()
    with pytest.raises(OfflineStoreEmptyError, match="holds nothing of readings"):
        store.get_historical_features(frame, FEATURES).to_arrow()


def staged_and_killed(config: Any) -> None:
    from feature_access.offline_stores.spark_staging import staging_folder

    with staging_folder(config) as staging:
        (staging / "asked.parquet").touch()
        os.kill(os.getpid(), signal.SIGKILL)


def test_what_a_killed_read_staged_goes_with_the_next_and_what_is_being_read_stays(
    tmp_path,
) -> None:
    from feature_access.offline_stores.spark_staging import staging_folder

    config = SimpleNamespace(offline_store=SimpleNamespace(staging_location=str(tmp_path)))
    (tmp_path / "another's").mkdir()
    elsewhere = tmp_path / "staged-another-machine-xyz-1073741824"
    elsewhere.mkdir()
    killed = multiprocessing.get_context("fork").Process(target=staged_and_killed, args=[config])
    killed.start()
    killed.join(GIVE_UP_SECONDS)
    assert killed.exitcode == -signal.SIGKILL
    (left,) = tmp_path.glob("staged-*/asked.parquet")
    with staging_folder(config) as being_read, staging_folder(config) as another:
        assert being_read.is_dir() and another.is_dir() and not left.exists()
    assert {file.name for file in tmp_path.iterdir()} == {"another's", elsewhere.name}
