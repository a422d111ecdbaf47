"""Canary, shadow compare and load test: real Feast, a small world, kept, broken and neither."""

import math
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from importlib import import_module
from pathlib import Path
from random import Random
from shutil import copytree
from types import ModuleType, SimpleNamespace
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer
from feast_copy import HISTORY, apply, copy_of_the_project
from typer.testing import CliRunner

import jobs.repository
from contract_checks.language.contract import Contract
from contract_checks.language.loader import load
from contract_checks.measures.mismatch_causes import Cause
from contract_checks.measures.proportions import upper_bound
from contract_checks.operations.log import ADDRESS_VARIABLE, OperationsLog, Record
from feature_access.offline_stores import duckdb_store, offline_table
from feature_access.training.hashing import HASH_KEY_VARIABLE
from feature_pipeline.change_log.aggregate import aggregate
from jobs.rehearsal import canary, load_test, sampling, shadow_compare
from jobs.repository import CONTRACT

PRESENT = datetime(2026, 3, 1, 12, tzinfo=UTC)
LOG_END = PRESENT + timedelta(days=2)
DAY = timedelta(days=1)
VIEW = "customer_profile_v1"
TABLE = f"feature_store_{VIEW}"
FEATURES = {"avg_order_value_30d", "distinct_order_days_30d", "orders_30d", "sessions_30d"}
# Long enough to be found in a text, and no part of any other number.
CUSTOMERS = range(77_000_001, 77_000_401)
LONG_GONE = CUSTOMERS[:40]
RETURNING = CUSTOMERS[40:60]
"""Those who come back the day after the present."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """400 customers, applied and materialized at the present; the change log runs on. Read only."""
    from feature_access.registry import open_store
    from feature_pipeline.online.materialize import materialize_up_to

    repository = copy_of_the_project(tmp_path_factory.mktemp("world"))
    _write_events(repository / HISTORY.with_name("customer_events.parquet"))
    aggregate(
        repository / HISTORY.with_name("customer_events.parquet"),
        repository / HISTORY,
        repository / HISTORY.with_name("quarantine.parquet"),
        as_of=LOG_END,
        lookback_window=timedelta(days=30),
        allowed_lateness=timedelta(hours=24),
    )
    apply(repository)
    copytree(repository, repository / "never_materialized", symlinks=True)
    store = open_store(repository)
    materialize_up_to(store, PRESENT - 60 * DAY)  # when the long gone were still there
    materialize_up_to(store, PRESENT)
    return repository


def _write_events(path: Path) -> None:
    random = Random(8)

    def event(customer: int, ago: timedelta) -> dict[str, Any]:
        happened = PRESENT - ago
        return {
            "customer_id": customer,
            "event_timestamp": happened,
            "created_timestamp": happened + timedelta(minutes=30),
            "orders": random.randint(1, 9),
            "order_value": float(random.randint(10, 900)),
            "sessions": random.randint(1, 9),
        }

    events = [event(c, 70 * DAY) for c in LONG_GONE]
    events += [event(c, random.randint(1, 25) * DAY) for c in CUSTOMERS[40:] for _ in range(2)]
    events += [event(c, -DAY) for c in RETURNING]
    unique = {(e["customer_id"], e["event_timestamp"]): e for e in events}
    zoned = pa.timestamp("us", tz="UTC")
    times = {"event_timestamp": zoned, "created_timestamp": zoned}
    table = pa.Table.from_pylist(list(unique.values()))
    schema = pa.schema([(f.name, times.get(f.name, f.type)) for f in table.schema])
    pq.write_table(table.cast(schema), path)


@pytest.fixture
def repository(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The world, yours to spoil; the jobs' commands work on it, and leave their records beside."""
    mine = copytree(world, tmp_path / "repository", symlinks=True)
    monkeypatch.setenv(ADDRESS_VARIABLE, f"sqlite:///{tmp_path}/operations.db")
    monkeypatch.delenv(HASH_KEY_VARIABLE, raising=False)
    monkeypatch.setattr(jobs.repository, "ROOT", mine)
    return mine


@pytest.fixture
def store(repository: Path) -> Any:
    from feature_access.registry import open_store

    return open_store(repository)


@pytest.fixture
def contract() -> Contract:
    return load(CONTRACT)


def run(script: ModuleType, *arguments: object, as_of: datetime = PRESENT) -> Any:
    app = typer.Typer()
    app.command()(import_module(f"scripts.{script.__name__.rpartition('.')[2]}").main)
    written = ["--as-of", as_of.isoformat(), *map(str, arguments)]
    return CliRunner().invoke(app, written, catch_exceptions=False)


def records(repository: Path) -> tuple[Record, ...]:
    log = repository.with_name("operations.db")
    return OperationsLog(f"sqlite:///{log}").records(LOG_END) if log.exists() else ()


def online(repository: Path) -> sqlite3.Connection:
    return sqlite3.connect(repository / "data" / "online_store.db")


def spoil(repository: Path, customers: int, feature: str = "orders_30d") -> None:
    """Put a value that no customer has in the online store, for so many of them."""
    from feast.protos.feast.types.Value_pb2 import Value

    chosen = f"""SELECT entity_key FROM {TABLE} WHERE feature_name = ?
        AND NOT instr(entity_key, CAST('__heartbeat__' AS BLOB))
        ORDER BY entity_key LIMIT {customers}"""
    with online(repository) as connection:
        changed = connection.execute(
            f"UPDATE {TABLE} SET value = ? WHERE feature_name = ? AND entity_key IN ({chosen})",
            (Value(int64_val=777_777).SerializeToString(), feature, feature),
        )
    assert changed.rowcount == customers


def flush(repository: Path) -> None:
    with online(repository) as connection:
        connection.execute(f"DELETE FROM {TABLE}")


# --- whom they ask ------------------------------------------------------------------------------


def test_the_same_customers_for_the_same_time_and_others_for_another(store, contract):
    def drawn(as_of: datetime) -> list[int]:
        return sampling.sampled(store, contract, as_of, 50)["customer_id"].to_pylist()

    assert drawn(PRESENT) == drawn(PRESENT)
    assert len(set(drawn(PRESENT))) == 50
    assert set(drawn(PRESENT)) != set(drawn(PRESENT + DAY))
    assert set(drawn(PRESENT)) <= set(CUSTOMERS)


def test_only_customers_known_by_then_are_drawn(store, contract):
    early = sampling.sampled(store, contract, PRESENT - 69 * DAY, 1_000)
    assert sorted(early["customer_id"].to_pylist()) == list(LONG_GONE)


def test_unknown_customers_are_in_no_table(store, contract):
    known = sampling.sampled(store, contract, PRESENT, 10)
    strangers = sampling.unknown(store, contract, known)
    assert strangers.schema == known.schema
    assert len(set(strangers["customer_id"].to_pylist()) - set(CUSTOMERS)) == 10


# --- shadow compare -----------------------------------------------------------------------------


def test_shadow_compare_is_kept_where_both_stores_agree(repository):
    done = run(shadow_compare)
    assert done.exit_code == 0, done.output
    (record,) = records(repository)
    assert (record.job, record.subject, record.at) == ("shadow_compare", VIEW, PRESENT)
    assert record.passed
    assert record.figures["outcome"] == "kept"
    assert record.figures["reads"] == 400 + 10  # the unknown ones are read too
    assert record.figures["features"] == {
        name: {"compared": 410, "mismatched": 0, "upper_bound": upper_bound(0, 410)}
        for name in FEATURES
    }


def test_shadow_compare_is_broken_by_wrong_values_online(repository):
    spoil(repository, 20)
    done = run(shadow_compare)
    assert done.exit_code == 1
    assert "broken: 20 of 410 reads differ" in done.output
    assert "tampered value" in done.output
    (record,) = records(repository)
    assert not record.passed
    assert record.figures["outcome"] == "broken"
    mismatched = {name: f["mismatched"] for name, f in record.figures["features"].items()}
    assert mismatched == dict.fromkeys(FEATURES, 0) | {"orders_30d": 20}
    assert record.figures["causes"] == {name: {} for name in FEATURES} | {
        "orders_30d": {"tampered value": 20}
    }
    ages = record.figures["ages"]["orders_30d"]
    assert [sum(counts) for counts in zip(*ages.values(), strict=True)] == [410, 20]
    assert ages["no row"] == [10, 0]


@pytest.mark.parametrize(("reads", "spoilt"), [(298, 0), (1_000, 3)])
def test_shadow_compare_with_too_few_reads_to_tell_is_unknown(repository, reads, spoilt):
    spoil(repository, spoilt)
    done = run(shadow_compare, "--reads", reads)
    assert done.exit_code == 2
    assert "unknown: " in done.output
    (record,) = records(repository)
    assert (record.passed, record.figures["outcome"]) == (False, "unknown")


def test_shadow_compare_sees_what_the_online_store_has_not_heard_of(repository, store, contract):
    shadow = shadow_compare.shadow_compare(store, contract, PRESENT + 1.5 * DAY)
    compared = shadow.compared
    assert compared.differing == len(RETURNING)
    assert shadow.counted("orders_30d") == {Cause.STALE: len(RETURNING)}
    assert compared.features["orders_30d"].groups["< 1 d"] == (20, 20)
    late = {pair.keys[0] for f in compared.features.values() for pair in f.worst}
    assert late
    assert late <= set(RETURNING)


@pytest.fixture
def known_to_the_present(monkeypatch: pytest.MonkeyPatch) -> None:
    """The log tells that it is, as one that a refresh has left."""
    for module in (duckdb_store, offline_table):
        monkeypatch.setattr(module, "known_up_to", lambda path: PRESENT)


@pytest.mark.usefixtures("known_to_the_present")
def test_between_two_refreshes_what_is_known_is_compared_and_no_later_time(repository, tmp_path):
    now = PRESENT + 1.5 * DAY
    done = run(shadow_compare, as_of=now)
    assert done.exit_code == 0, done.output
    assert "0 of 410 reads differ" in done.output
    assert run(canary, as_of=now).exit_code == 0
    assert [record.at for record in records(repository)] == [now, now]


def test_a_request_of_a_time_that_is_not_known_yet_is_refused(
    repository, tmp_path, request: pytest.FixtureRequest
):
    requests = logged(tmp_path / "requests.parquet")
    later = sum(pq.read_table(requests)["read_at"].to_pandas() > PRESENT)
    request.getfixturevalue("known_to_the_present")
    refused = run(shadow_compare, "--requests", requests, as_of=LOG_END)
    assert refused.exit_code == 2
    assert refused.stderr.startswith(f"refused: {later} rows ask {VIEW} for times after 2026-03-01")


def logged(file: Path, wrong: int = 0, reads: int = 400) -> Path:
    """A log of requests at three instants, with what was served then, but for the wrong ones."""
    from feature_access.registry import open_store

    store = open_store(file.with_name("repository"))
    random, moments = Random(3), (PRESENT - 40 * DAY, PRESENT, PRESENT + 1.5 * DAY)
    asked = [(random.choice([*CUSTOMERS, 5]), random.choice(moments)) for _ in range(reads)]
    frame = pd.DataFrame(asked, columns=["customer_id", "event_timestamp"])
    service = store.get_feature_service(VIEW)
    served = store.get_historical_features(frame, service).to_df()
    served = served.rename(columns={"event_timestamp": "read_at"})
    served.loc[served.index[:wrong], "sessions_30d"] = 777_777
    served.to_parquet(file) if file.suffix == ".parquet" else served.to_csv(file, index=False)
    return file


@pytest.mark.parametrize("name", ["requests.parquet", "requests.csv"])
def test_requests_that_were_logged_are_held_against_offline_as_of_each(repository, tmp_path, name):
    flush(repository)  # what is served now is of no account
    done = run(shadow_compare, "--requests", logged(tmp_path / name), as_of=LOG_END)
    assert done.exit_code == 0, done.output + done.stderr
    (record,) = records(repository)
    assert (record.figures["logged"], record.figures["reads"]) == (True, 400)
    assert record.figures["causes"] == {name: {} for name in FEATURES}
    ages = record.figures["ages"]["orders_30d"]
    assert sum(compared for compared, _ in ages.values()) == 400
    assert {"< 1 d", "older", "no row"} <= set(ages)


def test_a_logged_request_that_was_answered_wrong_is_found_with_its_cause(repository, tmp_path):
    done = run(shadow_compare, "--requests", logged(tmp_path / "r.csv", wrong=30), as_of=LOG_END)
    assert done.exit_code == 1
    assert "broken: 30 of 400 reads differ" in done.output
    (record,) = records(repository)
    assert record.figures["causes"]["sessions_30d"] == {"tampered value": 30}
    assert "77000" not in done.output + str(record)


def test_too_few_logged_requests_are_unknown(repository, tmp_path):
    requests = logged(tmp_path / "r.parquet", reads=298)
    assert run(shadow_compare, "--requests", requests, as_of=LOG_END).exit_code == 2


@pytest.mark.usefixtures("repository")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("customer_id,read_at\n1,2026-03-01\n", "lacks the columns avg_order_value_30d"),
        ("{columns}\n", "holds no request"),
        ("{columns}\n1,2026-03-01,1,1,1,1\n2,,1,1,1,1\n", "1 requests of"),
        ("{columns}\n1,17,1,1,1,1\n", "read_at holds numbers, which name no unit"),
        ("{columns}\n1,2026-03-01,1,1,1,1\n07,2026-03-01,1,1,1,1\n", "row 2: holds a text that"),
        ("{columns}\n1,2026-03-04,1,1,1,1\n", "after 2026-03-03T12:00:00+00:00"),
        ("{columns}\n1,soon,1,1,1,1\n", "soon"),
    ],
)
def test_requests_that_cannot_be_compared_are_refused(repository, tmp_path, text, message):
    columns = ",".join(["customer_id", "read_at", *sorted(FEATURES)])
    (tmp_path / "r.csv").write_text(text.format(columns=columns))
    refused = run(shadow_compare, "--requests", tmp_path / "r.csv", as_of=LOG_END)
    assert refused.exit_code == 2
    assert message in refused.stderr
    assert records(repository) == ()


def test_shadow_compare_is_refused_where_nothing_can_be_compared(repository, monkeypatch):
    refused = run(shadow_compare, as_of=PRESENT - timedelta(microseconds=1))
    assert refused.exit_code == 2
    assert "the online store stands at 2026-03-01T12:00:00+00:00" in refused.stderr
    monkeypatch.setattr(jobs.repository, "ROOT", repository / "never_materialized")
    refused = run(shadow_compare)
    assert refused.exit_code == 2
    assert "never materialized: run scripts/refresh.py" in refused.stderr
    assert records(repository) == ()


def test_shadow_compare_of_a_flushed_store_is_on_record_as_failed(repository):
    flush(repository)
    failed = run(shadow_compare)
    assert failed.exit_code == 2
    assert "the online store holds nothing" in failed.stderr
    (record,) = records(repository)
    assert not record.passed
    assert "OnlineStoreEmptyError" in record.figures["error"]


def test_no_customer_is_named_and_only_a_key_shows_their_hashes(repository, monkeypatch):
    from feature_access.training.hashing import hashed

    spoil(repository, 400)
    done = run(shadow_compare)
    assert "77000" not in done.output
    assert "Worst rows" not in done.output
    key = "a key of sixteen characters and more"
    monkeypatch.setenv(HASH_KEY_VARIABLE, key)
    done = run(shadow_compare)
    assert "Worst rows" in done.output
    hashes = hashed(pa.chunked_array([pa.array(CUSTOMERS)]), key.encode()).to_pylist()
    assert sum(digest[:12] in done.output for digest in hashes) == 20
    assert "77000" not in done.output
    assert len(records(repository)) == 2
    assert "77000" not in str(records(repository))


def test_a_hash_key_too_short_is_refused_before_anything_is_read(repository, monkeypatch):
    monkeypatch.setenv(HASH_KEY_VARIABLE, "short")
    assert run(shadow_compare).exit_code == 2
    assert records(repository) == ()


# --- canary -------------------------------------------------------------------------------------


def tables(repository: Path) -> dict[str, list[Any]]:
    """Every table of the online store with its rows."""
    with online(repository) as connection:
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        return {
            name: connection.execute(f"SELECT * FROM {name} ORDER BY 1, 2").fetchall()
            for (name,) in names
        }


@pytest.fixture
def untouched(repository: Path) -> Iterator[None]:
    """What is served and registered is afterwards as it was before."""
    registry = repository / "data" / "registry.db"
    before = registry.read_bytes(), tables(repository)
    assert list(before[1]) == [TABLE]
    assert len(before[1][TABLE]) > 400 * 4
    yield
    assert (registry.read_bytes(), tables(repository)) == before


def counted(record):
    """What a canary counted, of which code."""
    figures = dict(record.figures)
    assert {
        "feature_access/online_stores/sqlite_store.py",
        "feature_pipeline/online/canary.py",
    } <= set(figures.pop("files"))
    return figures


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("as_of", [PRESENT, PRESENT - 50 * DAY, PRESENT + DAY])
def test_canary_is_kept_and_leaves_no_trace(repository, as_of):
    done = run(canary, "--customers", 30, as_of=as_of)
    assert done.exit_code == 0, done.output
    assert "30 customers materialized, 0 differ" in done.output
    (record,) = records(repository)
    assert (record.job, record.subject, record.at) == ("canary", VIEW, as_of)
    assert (record.passed, counted(record)) == (True, {"customers": 30, "differing": 0})


def losing(rows: int) -> Any:
    """A write that loses so many rows."""
    from feature_access.online_stores.sqlite_store import DefaultingSqliteOnlineStore as Store

    whole = Store.online_write_batch

    def write(self: Any, config: Any, table: Any, data: Any, progress: Any) -> None:
        assert config.project == "feature_store_canary"
        whole(self, config, table, data[rows:], progress)

    return write


@pytest.fixture
def write_path() -> str:
    return (
        "feature_access.online_stores.sqlite_store.DefaultingSqliteOnlineStore.online_write_batch"
    )


@pytest.mark.usefixtures("untouched")
def test_canary_is_broken_where_a_write_loses_rows(repository, monkeypatch, write_path):
    monkeypatch.setattr(write_path, losing(2))
    done = run(canary, "--customers", 30)
    assert done.exit_code == 1
    (record,) = records(repository)
    assert not record.passed
    assert counted(record) == {"customers": 30, "differing": 2}


def test_what_a_killed_canary_left_does_not_pass_for_what_is_written_now(
    repository, monkeypatch, write_path
):
    with online(repository) as connection:
        connection.execute(f"CREATE TABLE feature_store_canary_{VIEW} AS SELECT * FROM {TABLE}")
    monkeypatch.setattr(write_path, losing(2))
    assert run(canary, "--customers", 30).exit_code == 1
    assert list(tables(repository)) == [TABLE]


@pytest.mark.usefixtures("untouched")
def test_canary_clears_up_after_a_failure(repository, monkeypatch):
    from feature_pipeline.online import canary as materializing

    whole = materializing.materialize_up_to

    def fail_at_last(store: Any, end: datetime) -> None:
        whole(store, end)
        assert len(tables(repository)) == 2
        raise RuntimeError("the power went out")

    monkeypatch.setattr(materializing, "materialize_up_to", fail_at_last)
    with pytest.raises(RuntimeError, match="the power went out"):
        run(canary)
    (record,) = records(repository)
    assert (record.passed, record.figures["error"]) == (False, "RuntimeError: the power went out")


def test_canary_is_refused_where_another_view_has_its_place(repository, store):
    view = store.get_feature_view(VIEW)
    view.name = f"canary_{VIEW}"
    store.apply([view])
    before = tables(repository)
    assert list(before) == [TABLE, f"feature_store_canary_{VIEW}"]
    refused = run(canary)
    assert refused.exit_code == 2
    assert f"feature view canary_{VIEW} lies where the canary" in refused.stderr
    assert tables(repository) == before


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("as_of", [PRESENT - 365 * DAY, PRESENT + 90 * DAY])
def test_canary_is_refused_where_no_customer_would_be_materialized(repository, as_of):
    refused = run(canary, as_of=as_of)
    assert refused.exit_code == 2
    assert "has no row from" in refused.stderr
    assert records(repository) == ()


# --- load test ----------------------------------------------------------------------------------


def promising(contract: Contract, latency: timedelta, error_rate: float) -> Any:
    performance = contract.test_plan.performance.model_copy(
        update={"maximum_latency": latency, "maximum_error_rate": error_rate}
    )
    plan = contract.test_plan.model_copy(update={"performance": performance})
    return lambda _: contract.model_copy(update={"test_plan": plan})


@pytest.fixture
def lenient(contract: Contract, monkeypatch: pytest.MonkeyPatch) -> None:
    """A promise that the busiest machine keeps."""
    monkeypatch.setattr(
        "scripts.load_test.contract_of_own_tables", promising(contract, timedelta(seconds=30), 0.03)
    )


@pytest.mark.usefixtures("lenient")
def test_load_test_is_kept(repository):
    done = run(load_test, "--requests", 100, "--rate", 200)
    assert done.exit_code == 0, done.output
    (record,) = records(repository)
    figures = record.figures
    assert (record.job, record.subject, record.at) == ("load_test", VIEW, PRESENT)
    assert (record.passed, figures["outcome"]) == (True, "kept")
    assert (figures["requests"], figures["errors"], figures["error_rate"]) == (100, 0, 0)
    assert 0 < figures["p50_ms"] <= figures["p95_ms"] <= figures["p99_ms"] < 30_000
    uppers, counts = zip(*figures["histogram"], strict=True)
    assert list(uppers) == sorted(uppers)
    assert sum(counts) == 100


@pytest.mark.usefixtures("lenient")
def test_load_test_with_too_few_requests_to_tell_is_unknown(repository):
    done = run(load_test, "--requests", 98, "--rate", 500)
    assert done.exit_code == 2
    assert upper_bound(0, 98) > 0.03 >= upper_bound(0, 99)
    (record,) = records(repository)
    assert (record.passed, record.figures["outcome"]) == (False, "unknown")


def test_load_test_is_broken_by_latency(repository, contract, monkeypatch):
    promised = promising(contract, timedelta(microseconds=1), 0.03)
    monkeypatch.setattr("scripts.load_test.contract_of_own_tables", promised)
    assert run(load_test, "--requests", 100, "--rate", 500).exit_code == 1
    (record,) = records(repository)
    assert (record.passed, record.figures["outcome"]) == (False, "broken")
    assert record.figures["errors"] == 0


@pytest.mark.usefixtures("lenient")
def test_load_test_is_broken_by_errors(repository):
    flush(repository)
    done = run(load_test, "--requests", 100, "--rate", 500)
    assert done.exit_code == 1
    assert "OnlineStoreEmptyError" in done.output
    (record,) = records(repository)
    assert (record.passed, record.figures["error_rate"]) == (False, 1.0)


def test_load_test_is_refused_where_nobody_can_be_asked_for(repository):
    refused = run(load_test, as_of=PRESENT - 365 * DAY)
    assert refused.exit_code == 2
    assert records(repository) == ()


class FakeStore:
    """A store that takes as long as it is told for each request, on a clock of its own."""

    def __init__(self, seconds: list[float], answers: dict[int, Any] | None = None) -> None:
        self.now = 1_000.0
        self.asked: list[int] = []
        self._seconds = [0.0, *seconds]  # the first look-up only warms the store up
        self._answers = answers or {}

    def get_feature_service(self, name: str) -> Any:
        field = SimpleNamespace(name="orders_30d")
        return SimpleNamespace(feature_view_projections=[SimpleNamespace(features=[field])])

    def get_online_features(self, service: Any, rows: list[dict[str, int]]) -> Any:
        self.now += self._seconds[len(self.asked)]
        self.asked.append(rows[0]["customer_id"])
        answer = self._answers.get(len(self.asked) - 1, {"customer_id": [1], "orders_30d": [0]})
        if isinstance(answer, Exception):
            raise answer
        return SimpleNamespace(to_dict=lambda: answer)

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds


def measured(store: FakeStore, requests: int, rate: float) -> Any:
    from feature_access.load_test import load_test as measure

    customers = [{"customer_id": 1}, {"customer_id": 2}, {"customer_id": 3}]
    return measure(
        store,
        VIEW,
        customers,
        requests=requests,
        rate=rate,
        clock=lambda: store.now,
        sleep=store.sleep,
    )


def test_a_stall_counts_against_every_request_it_delays():
    """1,000 requests 10 ms apart take 1 ms each, but the 100th takes 2 s."""
    seconds = [0.001] * 1_000
    seconds[100] = 2.0
    got = measured(FakeStore(seconds), 1_000, rate=100)

    done, late = 0.0, []
    for i, took in enumerate(seconds):
        done = max(done, i / 100) + took
        late.append(1_000 * (done - i / 100))
    late.sort()
    assert late[949] > 1_000  # one after the other, this would be 1 ms
    for percentile in (50, 75, 90, 95, 99):
        nearest_rank = late[math.ceil(percentile * 10) - 1]
        assert got.latency(percentile) == pytest.approx(nearest_rank, abs=1e-6)
    for upper, count in got.histogram()[:10]:
        assert count <= sum(value <= upper * 1.002 for value in late)
    assert sum(count for _, count in got.histogram()) == 1_000
    assert len(got.histogram()) <= 40


def test_a_request_longer_than_a_minute_is_not_lost():
    got = measured(FakeStore([0.0001, 3_600.0, 0.0001]), 3, rate=1)
    assert sum(count for _, count in got.histogram()) == 3
    assert got.latency(99) == 3_600_000
    assert len(got.histogram()) <= 40


@pytest.mark.parametrize(
    ("requests", "slow", "took", "outcome"),
    [
        (3_000, 3_000, 0.050, "KEPT"),  # exactly what is promised
        (3_000, 151, 0.050_000_001, "BROKEN"),  # a nanosecond beyond it
        (3_000, 150, 9.0, "KEPT"),  # the 2,850th is fast
        (3_000, 151, 0.0501, "BROKEN"),
        (2_999, 149, 9.0, "KEPT"),  # ⌈0.95 · 2,999⌉ = 2,850
        (2_999, 150, 0.0501, "BROKEN"),
        (2_994, 0, 0.0, "UNKNOWN"),
        (1, 1, 0.0501, "BROKEN"),
    ],
)
def test_a_percentile_is_the_time_of_the_nearest_rank(contract, requests, slow, took, outcome):
    seconds = [0.001] * (requests - slow) + [took] * slow
    got = measured(FakeStore(seconds), requests, rate=0.1)
    assert load_test.outcome(got, contract).name == outcome


@pytest.mark.parametrize("percentile", [0.1, 1, 50, 90, 94.9, 95, 99, 99.9, 99.99])
@pytest.mark.parametrize("requests", [1, 2, 19, 20, 21, 999, 1_000, 1_001])
def test_nearest_rank_by_counting(requests, percentile):
    """The shortest time that at least so many of the requests stayed within."""
    got = measured(FakeStore([n / 1_000 for n in range(requests)]), requests, rate=0.1)
    enough = Fraction(str(percentile)) / 100 * requests
    expected = next(n for n in range(requests) if n + 1 >= enough)
    assert got.latency(percentile) == expected


@pytest.mark.parametrize(
    ("requests", "errors", "outcome"),
    [
        (2_995, 0, "KEPT"),
        (2_994, 0, "UNKNOWN"),
        (3_000, 3, "UNKNOWN"),  # exactly 0.1 %, which so few requests do not show
        (3_000, 4, "BROKEN"),
        (7_751, 3, "UNKNOWN"),
        (7_752, 3, "KEPT"),
    ],
)
def test_an_error_rate_is_kept_once_it_is_shown(contract, requests, errors, outcome):
    wrong = {n + 1: TimeoutError("slow") for n in range(errors)}
    got = measured(FakeStore([0.001] * requests, wrong), requests, rate=100)
    assert got.errors == errors
    assert load_test.outcome(got, contract).name == outcome


def test_customers_are_asked_for_in_turn():
    store = FakeStore([0.001] * 7)
    measured(store, 7, rate=100)
    assert store.asked == [1, *[1, 2, 3, 1, 2, 3, 1]]


def test_an_exception_a_null_and_an_absent_feature_are_errors():
    wrong = {
        2: TimeoutError("slow"),
        3: {"customer_id": [1], "orders_30d": [None]},
        5: {"customer_id": [1]},
    }
    got = measured(FakeStore([0.001] * 10, wrong), 10, rate=100)
    assert (got.requests, got.errors, got.error_rate) == (10, 3, 0.3)
    assert got.failures == {"TimeoutError": 1, "no value of orders_30d": 2}
    assert sum(count for _, count in got.histogram()) == 10


# --- the evidence of parity ---------------------------------------------------------------------


def test_parity_counts_and_shows_the_pairs(repository, contract):
    from contract_checks.evidence.facts import Parity
    from contract_checks.evidence.parity import read_parity
    from contract_checks.evidence.registry import online_reader, read_registry
    from contract_checks.evidence.tables import offline_sessions

    def read() -> Parity:
        view = read_registry(repository).views[VIEW]
        reader = online_reader(repository, VIEW)
        return read_parity(contract, view, reader, offline_sessions(contract, view))

    kept = read()
    assert (kept.compared, kept.differing, kept.sample) == (400, dict.fromkeys(FEATURES, 0), ())
    assert {name: len(pairs) for name, pairs in kept.pairs.items()} == dict.fromkeys(FEATURES, 400)
    assert all(before == now for pairs in kept.pairs.values() for before, now in pairs)
    assert len(set(kept.pairs["orders_30d"])) > 5

    spoil(repository, 7)
    broken = read()
    assert broken.differing == dict.fromkeys(FEATURES, 0) | {"orders_30d": 7}
    assert [now for before, now in broken.pairs["orders_30d"] if before != now] == [777_777.0] * 7
    assert len(broken.sample) == 3
    assert all("orders_30d offline " in shown for shown in broken.sample)
