"""The warehouse gives a judgement the evidence that files give, whatever zone the server has."""

import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import copytree

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from feast_copy import ROOT
from production import Production
from warehouse import EVENTS, JUDGE, LOG, SECRET

from contract_checks.evidence.declared import RegisteredView, Registry, Warehouse
from contract_checks.evidence.drift import freeze
from contract_checks.evidence.facts import MissingEvidence, Operations, there
from contract_checks.evidence.online import OnlineStore
from contract_checks.evidence.probe_run import run_probes
from contract_checks.evidence.profile import chosen_profile
from contract_checks.evidence.registry import read_registry
from contract_checks.evidence.retention import read_oldest
from contract_checks.evidence.stored import WarehouseTable, events_of, offline_of
from contract_checks.evidence.tables import (
    DuckTable,
    interval_digest,
    offline_session,
    offline_sessions,
    read_join,
    read_offline_store,
)
from contract_checks.evidence.warehouse import lent, session
from contract_checks.language.contract import Contract
from contract_checks.language.loader import load
from contract_checks.receipts.inputs import data_in, data_now, declarations

pytest_plugins = ["feast_repository", "postgres_server", "warehouse", "production"]

AS_OF = datetime(2017, 12, 1, tzinfo=UTC)
VIEW = "customer_profile_v1"


@pytest.fixture(scope="module")
def judged(production: Production) -> Iterator[Path]:
    """The production repository and its contract, for a login that judges."""
    copytree(ROOT / "contracts", production.repository / "contracts")
    with pytest.MonkeyPatch.context() as process:
        process.setenv("FEATURE_STORE_WAREHOUSE_USER", JUDGE)
        yield production.repository


@pytest.fixture(scope="module")
def contract(judged: Path) -> Contract:
    return load(judged / "contracts" / "customer_profile_v1.md")


@pytest.fixture(scope="module")
def registry(judged: Path) -> Registry:
    return there(read_registry(judged))


@pytest.fixture(scope="module")
def view(registry: Registry) -> RegisteredView:
    return registry.views[VIEW]


@pytest.fixture(scope="module")
def in_files(
    production: Production, view: RegisteredView, tmp_path_factory: pytest.TempPathFactory
) -> RegisteredView:
    """The same view over the same rows, which lie in parquet."""
    folder = tmp_path_factory.mktemp("in_files")
    with production.warehouse.connect() as connection:
        connection.execute("SET TIME ZONE 'UTC'")
        for table in (LOG, EVENTS):
            found = connection.execute(f"TABLE {table}")
            names = [column.name for column in found.description or ()]
            rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
            file = folder / f"{table.partition('.')[2]}.parquet"
            pq.write_table(pa.Table.from_pylist(rows), file)
    offline = folder / "customer_features_offline.parquet"
    return replace(view, source_path=str(offline), warehouse=None)


def test_a_view_says_where_its_table_lies_and_not_who_may_ask(view: RegisteredView) -> None:
    assert view.source_path == LOG
    assert isinstance(view.warehouse, Warehouse)
    said = repr(view) + str(offline_of(view))
    assert f"127.0.0.1:{view.warehouse.port}" in said
    assert SECRET not in said
    assert JUDGE not in said


def test_history_is_that_of_files(
    contract: Contract, view: RegisteredView, in_files: RegisteredView
) -> None:
    """Row by row, and up to the same microsecond."""
    stretch = (AS_OF - timedelta(days=60), AS_OF - timedelta(days=1))

    def told(of: RegisteredView) -> list[object]:
        connection = there(offline_session(contract, of, AS_OF))
        history = DuckTable(connection, "history")
        lately = there(offline_session(contract, of, AS_OF, since=stretch[0]))
        store = read_offline_store(contract, of, lately)
        digest = interval_digest(history, view.timestamp_field, *stretch)
        return [dict(history.columns), history.count(), digest, store.history.count(), store.newest]

    in_warehouse = told(view)
    assert in_warehouse == told(in_files)
    assert in_warehouse[1] > in_warehouse[3] > 1_000


def test_baseline_and_join_are_those_of_files(
    contract: Contract, view: RegisteredView, in_files: RegisteredView
) -> None:
    assert freeze(contract, view, AS_OF) == freeze(contract, in_files, AS_OF)
    join, filed = (
        there(read_join(contract, of, offline_sessions(contract, of), AS_OF))
        for of in (view, in_files)
    )
    assert join == filed
    assert join.matched > 1_000


def test_the_oldest_rows_are_those_of_files(
    contract: Contract, view: RegisteredView, in_files: RegisteredView
) -> None:
    nothing = Operations(records=()), OnlineStore(None, None, None), ()
    oldest = read_oldest(contract, view, *nothing)
    assert oldest == read_oldest(contract, in_files, *nothing)
    assert set(oldest) == {"offline", "events"}


def test_probes_run_through_the_warehouses_join(
    judged: Path, contract: Contract, view: RegisteredView, production: Production
) -> None:
    run = there(run_probes(contract, judged, view))
    wrong = [a.probe.name for a in run.answers if dict(a.got) != dict(a.probe.expected)]
    assert wrong == []
    assert len(run.answers) > 5
    assert _lent_tables(production) == []


@pytest.mark.parametrize(
    ("says", "instead"),
    [
        ("event_timestamp + $lookback_window", "created_timestamp + $lookback_window"),
        ("created_timestamp AS in_force_from", "event_timestamp AS in_force_from"),
        pytest.param(
            "ORDER BY event_timestamp DESC, created", "ORDER BY created", marks=pytest.mark.slow
        ),
        pytest.param(
            "customer_id, day",
            "customer_id, CAST(created_timestamp AS DATE)",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "AND in_force_until <= $as_of",
            "AND in_force_until < $as_of - INTERVAL 36500 DAY",
            marks=pytest.mark.slow,
        ),
        pytest.param("(order_value, orders)", "(order_value, order_days)", marks=pytest.mark.slow),
    ],
)
def test_probes_are_of_the_statement_that_the_warehouse_runs(
    says: str, instead: str, judged: Path, contract: Contract, view: RegisteredView
) -> None:
    statement = judged / "feature_pipeline" / "change_log" / "aggregate.sql"
    right = statement.read_text(encoding="utf-8")
    assert says in right
    statement.write_text(right.replace(says, instead), encoding="utf-8")
    try:
        run = there(run_probes(contract, judged, view))
    finally:
        statement.write_text(right, encoding="utf-8")
    assert [a.probe.name for a in run.answers if dict(a.got) != dict(a.probe.expected)]


def test_what_is_lent_goes_with_the_block_and_what_a_killed_one_left_is_replaced(
    view: RegisteredView, production: Production, tmp_path: Path
) -> None:
    assert view.warehouse
    history = tmp_path / "history.parquet"
    duckdb.sql(f"COPY (SELECT 7 AS n, 'a,b' AS text) TO '{history}'")
    with session(view.warehouse) as left:
        left.execute("CREATE TABLE feature_probes.history (other int)")
    with lent(view.warehouse, history) as table, session(view.warehouse) as connection:
        assert connection.execute(f"TABLE {table}").fetchall() == [(7, "a,b")]
    assert _lent_tables(production) == []


def _lent_tables(production: Production) -> list[object]:
    with production.warehouse.connect() as connection:
        query = "SELECT tablename FROM pg_tables WHERE schemaname = 'feature_probes'"
        return connection.execute(query).fetchall()


def test_a_receipt_is_of_every_row_of_a_table_in_whatever_order(
    view: RegisteredView, contract: Contract, judged: Path, production: Production
) -> None:
    events = events_of(contract, view)
    assert isinstance(events, WarehouseTable)
    before = data_in(events, judged)
    assert before.path == f"warehouse:{EVENTS}"
    with production.warehouse.connect() as connection:
        one = connection.execute(
            f"""DELETE FROM {EVENTS} WHERE ctid = (SELECT min(ctid) FROM {EVENTS}) RETURNING *"""
        ).fetchone()
        without = data_now(before, view, judged)
        connection.execute(f"INSERT INTO {EVENTS} VALUES (%s, %s, %s, %s, %s, %s)", one)
    assert without.sha256 != before.sha256
    assert data_now(before, view, judged) == before


def test_a_receipts_registry_is_the_same_wherever_the_warehouse_lies(
    registry: Registry, judged: Path
) -> None:
    view = registry.views[VIEW]
    assert view.warehouse
    moved = replace(view, warehouse=replace(view.warehouse, host="elsewhere"))
    other = replace(registry, views={VIEW: moved})
    assert declarations(other, judged, VIEW) == declarations(registry, judged, VIEW)


def test_without_rights_or_answer_the_evidence_is_missing_and_no_secret_told(
    contract: Contract, view: RegisteredView, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert view.warehouse
    monkeypatch.setenv("FEATURE_STORE_WAREHOUSE_PASSWORD", "not the s3cret one")
    with pytest.raises(MissingEvidence, match="cannot be reached") as refused:
        offline_session(contract, view, AS_OF)
    assert "s3cret" not in str(refused.value)
    monkeypatch.delenv("FEATURE_STORE_WAREHOUSE_PASSWORD")
    with pytest.raises(MissingEvidence, match="FEATURE_STORE_WAREHOUSE_PASSWORD, not set"):
        offline_session(contract, view, AS_OF)


def test_the_environment_chooses_the_profile_and_what_it_lacks_is_named(judged: Path) -> None:
    held = dict(os.environ)
    assert chosen_profile(judged, held).name == "production.yaml"
    assert chosen_profile(judged, {}).name == "feature_store.yaml"
    del held["FEATURE_STORE_REDIS"], held["FEATURE_STORE_WAREHOUSE_PASSWORD"]
    missing = read_registry(judged, environment=held)
    assert isinstance(missing, MissingEvidence)
    assert "asks for FEATURE_STORE_REDIS, FEATURE_STORE_WAREHOUSE_PASSWORD, not" in str(missing)
    held["FEAST_FS_YAML_FILE_PATH"] = "profiles/other.yaml"
    assert "other.yaml: name the feature repository" in str(read_registry(judged, environment=held))
