"""What Spark cannot do is told in one line, and nothing half written stands in its place."""

import errno
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from engines import tables_in, terms_of
from event_strategies import DAY, HOUR, NOON
from oracle import read_change_log, write_events
from spark_readings import FEATURES, FEW, by_spark, opened, readings_of

from storage.errors import RefusedError
from storage.parquet_table import parts_of

pytest_plugins = ["spark_session"]
SETTING = "set FEATURE_STORE_SPARK_STAGING"

# Without Spark: what is refused before it starts, and what is said of what it says


def full(*_: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


STAGING: dict[str, tuple[Callable[[Path], str | None], str]] = {
    "none": (lambda folder: None, "is not named"),
    "empty": (lambda folder: "", "is not named"),
    "absent": (lambda folder: str(folder / "absent"), "is not there"),
    "a file": (lambda folder: str(folder / "file"), "is not there"),
    "relative": (lambda folder: "staging", "is no absolute path"),
    "of a home": (lambda folder: "~/staging", "is no absolute path"),
    "s3": (lambda folder: "s3://bucket/staging", "is an address"),
    "s3a": (lambda folder: "s3a://bucket/staging", "is an address"),
    "hdfs": (lambda folder: "hdfs://host/staging", "is an address"),
    "dbfs": (lambda folder: "dbfs:/staging", "is an address"),
    "an address of a file": (lambda folder: folder.as_uri(), "is an address"),
    "full": (str, "cannot be written (No space left on device)"),
}


@pytest.mark.parametrize("what", STAGING)
def test_a_staging_folder_of_no_use_is_refused_before_spark_starts(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from feature_access.offline_stores import spark_lake

    (tmp_path / "file").touch(), (tmp_path / "staging").mkdir()
    monkeypatch.chdir(tmp_path)
    named, why = STAGING[what]
    if what == "full":
        monkeypatch.setattr(os, "fsync", full)
    monkeypatch.setattr(spark_lake, "start_silently", lambda settings: pytest.fail("it started"))
    store = SimpleNamespace(staging_location=named(tmp_path), spark_conf={})
    with pytest.raises(RefusedError) as refused:
        spark_lake.spark_session(SimpleNamespace(offline_store=store))
    assert why in str(refused.value) and SETTING in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1
    assert [file.name for file in tmp_path.rglob("*")] in (["file", "staging"], ["staging", "file"])


TRACE = "\n\tat org.apache.spark.Task.run(Task.scala:147)" * 100
SAID = {
    "[FAILED_READ_FILE.NO_HINT] Encountered error while reading file "
    "file:///lake/a%20b/part-1.parquet. SQLSTATE: KD001": "cannot be read to its end (/lake/a b/"
    "part-1.parquet): write it anew",
    "[FAILED_READ_FILE.FILE_NOT_EXIST] Encountered error while reading file "
    "file:///staging/x/asked.parquet. File does not exist. SQLSTATE: KD001": "a worker does not "
    "find /staging/x/asked.parquet: let every worker see",
    "java.io.IOException: No space left on device": "a disk is full",
    "java.lang.OutOfMemoryError: Java heap space": "spark.executor.memory",
    "ExecutorLostFailure (executor 1 exited caused by one of the running tasks)": "memory ran out",
    "[ARITHMETIC_OVERFLOW] long overflow. Customer 4711. SQLSTATE: 22003": "mend the amounts",
    "org.apache.spark.SparkException: Could not parse Master URL: 'sprak://host'": "FEATURE_STORE_"
    "SPARK_MASTER",
    "All masters are unresponsive! Giving up.": "no Spark is at the master",
    "[CAST_INVALID_INPUT] The value 'customer 4711' of the type STRING": "Spark gave up ("
    "CAST_INVALID_INPUT)",
    "java.lang.IllegalStateException: customer 4711": "Spark gave up (java.lang.IllegalState",
}


@pytest.mark.parametrize("said", SAID)
@pytest.mark.parametrize("kind", ["as pyspark", "as py4j"])
def test_what_spark_says_is_one_line_without_a_value(said: str, kind: str) -> None:
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    from storage.spark_session import failures_refused

    error = PySparkException(said + TRACE)
    if kind == "as py4j":
        error = Py4JError(f"An error occurred while calling o7.parquet. Trace:\n{said}{TRACE}")
    with pytest.raises(RefusedError) as refused, failures_refused(RefusedError, "it was not read"):
        raise error
    message = str(refused.value)
    assert message.startswith("it was not read: ") and SAID[said] in message
    assert len(message.splitlines()) == 1 and len(message) < 400
    assert "4711" not in message and ".scala" not in message
    assert refused.value.__suppress_context__  # or its frames would be shown with it


def test_a_driver_that_has_ended_is_told_as_such() -> None:
    from py4j.protocol import Py4JError, Py4JNetworkError

    from storage.spark_session import why_it_failed

    for error in (
        Py4JNetworkError("Answer from Java side is empty"),
        Py4JError("An error occurred while calling o7.parquet"),
        ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"),
        ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"),
        EOFError(),
    ):
        assert "driver, a Java process, ended" in why_it_failed(error), error


COMPLAINTS = {
    "Error: Could not reserve enough space for object heap": "does not start (Error: Could not re",
    'Exception in thread "main" java.lang.UnsupportedClassVersionError': "install Java 17 or later",
    "org.apache.spark.SparkException: Master must either be yarn or start with spark, k8s, or "
    "local": "FEATURE_STORE_SPARK_MASTER",
}


@pytest.mark.parametrize("complaint", COMPLAINTS)
def test_a_driver_that_does_not_start_is_told_in_a_line_and_shows_no_other(
    complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    from pyspark import SparkContext

    from feature_access.offline_stores.spark_lake import spark_session

    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    trace = "\tat org.apache.spark.deploy.SparkSubmit.main\n" * 30
    java.write_text(
        f"#!/bin/sh\ncat >&2 <<'END'\nWARNING: incubator\n{complaint}\n{trace}END\nexit 1"
    )
    java.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    monkeypatch.setattr(SparkContext, "_gateway", None)
    store = SimpleNamespace(staging_location=str(tmp_path), spark_conf={"spark.master": "local"})
    with pytest.raises(RefusedError) as refused:
        spark_session(SimpleNamespace(offline_store=store))
    assert COMPLAINTS[complaint] in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1
    assert capfd.readouterr() == ("", "")


def test_an_error_of_our_own_is_not_spark_s() -> None:
    from storage.spark_session import failures_refused

    with pytest.raises(KeyError), failures_refused(RefusedError, "it was not read"):
        raise KeyError("ours")


# With Spark


@pytest.fixture
def losing(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """What is written below a folder of that name loses a part, as of a worker with its own."""
    from pyspark.sql import DataFrameWriter

    write, lost = DataFrameWriter.parquet, []

    def written(self: Any, path: str, *how: Any, **more: Any) -> None:
        write(self, path, *how, **more)
        if any(name in path for name in lost):
            held = [p for p in Path(path).glob("part-*") if pq.read_metadata(p).num_rows]
            for part in held[:1]:
                part.unlink()

    monkeypatch.setattr(DataFrameWriter, "parquet", written)
    yield lost.append


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pulled", "found"])
def test_an_answer_of_which_a_part_is_missing_is_none(spark, losing, tmp_path, name) -> None:
    rows = {(sensor, NOON): (1, "x") for sensor in map(str, range(20))}
    store = opened(tmp_path, readings_of(rows))
    frame = pd.DataFrame({"sensor": [*map(str, range(20))], "event_timestamp": NOON})
    losing(name)
    with pytest.raises(RefusedError) as refused:
        if name == "pulled":
            store.materialize(NOON - HOUR, NOON)
        else:
            store.get_historical_features(frame, FEATURES).to_arrow()
    assert "workers wrote 20 rows" in str(refused.value) and SETTING in str(refused.value)
    assert list(tmp_path.glob("staged-*")) == []
    answer = store.get_online_features(FEATURES[:1], [{"sensor": "1"}]).to_dict()
    assert answer["value"] == [None]


@pytest.mark.slow
def test_a_lake_of_which_a_part_is_missing_is_not_put_in_place(spark, losing, tmp_path) -> None:
    tables = tables_in(tmp_path)
    write_events(FEW.events, tables.events)
    by_spark(spark, NOON + HOUR, tables, terms_of(FEW))
    before = read_change_log(tables.history).rows
    losing("parts")
    with pytest.raises(RefusedError, match=r"data/data_warehouse under the same path"):
        by_spark(spark, NOON + 2 * DAY, tables, terms_of(FEW))
    assert read_change_log(tables.history).rows == before
    tables.history.unlink()
    with pytest.raises(RefusedError, match=r"data/data_warehouse under the same path"):
        by_spark(spark, NOON + 2 * DAY, tables, terms_of(FEW))
    assert not tables.history.exists()


WHOLE = pa.array([1])
BESIDE: dict[str, list[pa.Array]] = {
    "nanoseconds": [pa.array([1], pa.timestamp("ns"))],
    "a time of day": [pa.array([1], pa.time64("us"))],
    "a duration": [pa.array([1], pa.duration("us"))],
    "a half float": [pa.array([np.float16(1.5)])],
    "many digits": [WHOLE.cast(pa.decimal256(60, 0))],
    "uint64": [pa.array([2**64 - 1], pa.uint64())],
    "a list": [pa.array([[1]])],
    "a struct": [pa.array([{"a": 1}])],
    "two types": [WHOLE, pa.array(["x"])],
    **{name: [WHOLE] for name in ("reason", "Reason", "a`b", "Note", "note", "_file", "x.y")},
}
"""Columns of no event: in both parts of a table alike, or in each as it stands here."""


@pytest.mark.slow
def test_a_column_that_is_not_asked_for_stops_nobody(spark, tmp_path) -> None:
    from refreshes import bring_up_to

    tables = tables_in(tmp_path)
    tables.events.mkdir()
    for number in (0, 1):
        late = FEW.events[0]._replace(created_timestamp=NOON + 9 * DAY + 2 * number * HOUR)
        table = pq.read_table(write_events([FEW.events[number], late], tmp_path / "one.parquet"))
        for name, columns in BESIDE.items():
            column = columns[number % len(columns)]
            table = table.append_column(name, pa.chunked_array([column, column]))
        pq.write_table(table, tables.events / f"{number}.parquet")
    by_duckdb = [NOON + DAY, NOON + 9 * DAY + HOUR, NOON + 9 * DAY + 3 * HOUR]
    for as_of in by_duckdb:
        bring_up_to(as_of, tables, terms_of(FEW))
    assert len(parts_of(tables.quarantine)) == 3
    then = by_spark(spark, NOON + 12 * DAY, tables, terms_of(FEW))
    assert (then.made_anew, then.events.quarantined) == (None, 2)
    tables.history.unlink()
    anew = by_spark(spark, NOON + 12 * DAY, tables, terms_of(FEW))
    assert (anew.events, anew.history_rows) == (then.events, then.history_rows)
    (part,) = (p for p in parts_of(tables.quarantine) if pq.read_metadata(p).num_rows)
    kept = {"reason", "uint64", "a`b", "_file", "x.y"}
    assert kept == {*pq.read_schema(part).names} & {*BESIDE}
    assert pq.read_schema(part).field("uint64").type == pa.uint64()
    assert pq.read_table(part)["uint64"].to_pylist() == [2**64 - 1] * 2


@pytest.mark.slow
def test_an_unsigned_id_is_stored_as_duckdb_stores_it(spark, tmp_path) -> None:
    from refreshes import bring_up_to

    schemas = []
    for name, refresh in (
        ("theirs", bring_up_to),
        ("ours", lambda *asked: by_spark(spark, *asked)),
    ):
        (tmp_path / name).mkdir()
        tables = tables_in(tmp_path / name)
        late = FEW.events[0]._replace(created_timestamp=NOON + 9 * DAY)
        rows = pq.read_table(write_events([*FEW.events, late], tables.events))
        for place, column, kind in ((0, "customer_id", pa.uint32()), (3, "orders", pa.uint8())):
            assert rows.column_names[place] == column
            rows = rows.set_column(place, column, rows[column].cast(kind))
        pq.write_table(rows, tables.events)
        for as_of in (NOON + DAY, NOON + 9 * DAY, NOON + 9 * DAY + HOUR, NOON + 20 * DAY):
            refresh(as_of, tables, terms_of(FEW))
        for table in (tables.history, tables.quarantine):
            (schema,) = {pq.read_schema(part).remove_metadata() for part in parts_of(table)}
            schemas.append({field.name: field.type for field in schema})
    history, quarantine, *ours = schemas
    assert (history["customer_id"], quarantine["orders"]) == (pa.uint32(), pa.uint8())
    for mine, other in zip(ours, (history, quarantine), strict=True):
        unsigned = {name: kind for name, kind in other.items() if str(kind).startswith("uint")}
        assert unsigned.items() <= mine.items()


@pytest.mark.slow
def test_a_view_s_table_is_read_by_the_columns_that_it_declares(spark, tmp_path) -> None:
    store = opened(tmp_path, readings_of({("a", NOON): (1, "x"), ("b", NOON): (2, "y")}))
    for part in parts_of(tmp_path / "readings.parquet"):
        table = pq.read_table(part)
        for name, (column, *_) in BESIDE.items():
            if name != "note":
                table = table.append_column(name, column)
        pq.write_table(table, part)
    frame = pd.DataFrame({"sensor": ["a", "b"], "event_timestamp": [NOON] * 2})
    answer = store.get_historical_features(frame, FEATURES).to_arrow()
    assert answer["value"].to_pylist() == [1, 2]
    store.materialize(NOON - HOUR, NOON)
    served = store.get_online_features(FEATURES[:2], [{"sensor": "b"}]).to_dict()
    assert (served["value"], served["note"]) == ([2], ["y"])


@pytest.mark.slow
def test_an_unsigned_number_is_one_again(spark, tmp_path) -> None:
    store = opened(tmp_path, readings_of({("a", NOON): (1, "x"), ("b", NOON): (2, "y")}))
    for part in parts_of(tmp_path / "readings.parquet"):
        table = pq.read_table(part)
        value = pa.array([2**63 + 5], pa.uint64())
        pq.write_table(table.set_column(2, "value", value), part)
    frame = pd.DataFrame({"sensor": ["a"], "event_timestamp": [NOON]})
    answer = store.get_historical_features(frame, ["readings:level", "readings:note"]).to_arrow()
    assert answer["note"].to_pylist() == ["x"]
    offline, (view,) = store._get_provider().offline_store, store.list_feature_views()
    pulled = offline.pull_all_from_table_or_query(
        store.config, view.batch_source, ["sensor"], ["value"], "at", None, NOON - HOUR, NOON
    ).to_arrow()
    assert pulled.schema.field("value").type == pa.uint64()
    assert pulled["value"].to_pylist() == [2**63 + 5] * 2


@pytest.mark.slow
def test_refusals_name_the_first_example_as_duckdb_does(spark, tmp_path) -> None:
    from refreshes import bring_up_to

    tables = tables_in(tmp_path)
    write_events(FEW.events, tables.events)
    by_spark(spark, NOON + 2 * DAY, tables, terms_of(FEW))
    fewer = [event for event in FEW.events if event.customer_id != 2]
    other = [FEW.events[0]._replace(customer_id=9, created_timestamp=NOON + HOUR / 3)]
    for events, as_of in (
        (fewer, NOON + 3 * DAY),
        ([*FEW.events, *other], NOON + 3 * DAY),
        (FEW.events, datetime(1999, 1, 1, tzinfo=UTC)),
    ):
        if as_of < NOON:
            tables.history.unlink()
        write_events(events, tables.events)
        told = []
        for refresh in (bring_up_to, lambda *asked: by_spark(spark, *asked)):
            with pytest.raises(RefusedError) as refused:
                refresh(as_of, tables, terms_of(FEW))
            told.append(str(refused.value))
        assert told[0] == told[1]
