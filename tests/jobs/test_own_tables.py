"""A job works on the tables of its own feature: given a contract of others it refuses, in a line.

The documents: two features of other teams, one with a string key and one with a composite key; one
that differs in a single clause each; and a second version with another window.
"""

import importlib
import os
import re
from pathlib import Path
from shutil import copytree
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from next_version import NEXT_DOCUMENT, V1, V2, edit, write_document
from typer.testing import CliRunner

from contract_checks.language.loader import load
from contract_checks.operations.log import ADDRESS_VARIABLE
from jobs import own_tables, repository, versions, view_contracts

ROOT = Path(__file__).resolve().parents[2]
OTHERS = ROOT / "tests" / "contracts"
TABLES = (repository.EVENTS, repository.HISTORY, repository.QUARANTINE)
MONTHS = {
    "**Lookback window:** 30d": "**Lookback window:** 60d",
    "Rolling 30-day window": "Rolling 60-day window",
    "at least one event in the last 30 days": "at least one event in the last 60 days",
}
ONE_CLAUSE = {
    "§2 primary entity": {"**Primary entity:** customer_id": "**Primary entity:** customer"},
    "§3 event timestamp field": {
        "**Event timestamp field:** event_timestamp": "**Event timestamp field:** happened_at",
        "most recent by event_timestamp": "most recent by happened_at",
    },
    "§4 source system(s)": {"data_warehouse.customer_events": "data_warehouse.shop_events"},
    "§8 offline computation path": {
        "data_warehouse.customer_features_offline": "data_warehouse.customer_features_60d"
    },
    "§5.2": {"  - orders_30d: 0–1,000\n": "  - orders_30d: 0–1,000\n  - baskets_30d: 0–9\n"},
    "§3 allowed lateness": {"**Allowed lateness:** 24h": "**Allowed lateness:** 48h"},
    "§3 timestamp timezone": {"**Timestamp timezone:** UTC": "**Timestamp timezone:** Asia/Tokyo"},
}
NEEDS: dict[str, tuple[str, ...]] = {
    "erase": ("1",),
    "rebuild": ("--reason", "a corrected source"),
    "step_back": (),
}
JOBS = (
    *("backfill", "canary", "drift", "erase", "freeze_baseline", "load_test", "promote", "rebuild"),
    *("refresh", "rehearse", "retain", "rollback", "shadow_compare", "step_back", "unit_tests"),
)


@pytest.fixture(autouse=True)
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEATURE_STORE_HASH_KEY", "sixteen or more characters")
    monkeypatch.setenv(ADDRESS_VARIABLE, f"sqlite:///{tmp_path}/operations.db")
    copytree(ROOT / "contracts", tmp_path / "contracts")
    write_document(tmp_path)


def in_v2(folder: Path, changes: dict[str, str]) -> Path:
    """The second version's document, with some passages changed."""
    document = folder / NEXT_DOCUMENT
    edit(document, changes)
    return document


def documents(folder: Path) -> dict[str, Path]:
    return {
        "of a string key": OTHERS / "merchant_risk_v2.md",
        "of a composite key": OTHERS / "device_session_v1.md",
        "of a longer window": in_v2(folder, MONTHS),
    }


def bytes_of_tables() -> list[bytes | None]:
    return [table.read_bytes() if table.is_file() else None for table in TABLES]


def refused(job: str, *arguments: str | Path) -> str:
    """The one line that it says; nothing is written, and nothing on record."""
    app = typer.Typer()
    app.command()(importlib.import_module(f"scripts.{job}").main)
    before = bytes_of_tables()
    done = CliRunner().invoke(app, [*map(str, arguments)])
    assert done.exit_code == 2, done.output
    assert done.stderr.startswith("refused: ")
    assert len(done.stderr.splitlines()) == 1
    assert bytes_of_tables() == before
    assert not Path(os.environ[ADDRESS_VARIABLE].removeprefix("sqlite:///")).exists()
    return str(done.stderr)


@pytest.mark.parametrize("job", JOBS)
def test_a_contract_of_other_tables_is_refused_by_every_job(job: str, tmp_path: Path) -> None:
    for whose, document in documents(tmp_path).items():
        said = refused(job, *NEEDS.get(job, ()), "--contract", document)
        assert f"refused: {document} is no contract of the tables that this job works on" in said
        assert "--contract" in said, whose


def test_every_job_that_is_told_a_document_asks_or_touches_no_table() -> None:
    """Jobs that ask nothing read what Feast serves, or the operations log, by the view's name."""
    doors = {path.stem: path.read_text("utf-8") for path in (ROOT / "scripts").glob("*.py")}
    jobs = {path.stem: path.read_text("utf-8") for path in (ROOT / "jobs").rglob("*.py")}
    reads = re.compile(r"^from contract_checks.language.loader import .*\bload$", re.MULTILINE)
    unasked = {job for each in (doors, jobs) for job, text in each.items() if reads.search(text)}
    reading = {"access_review", "alerts", "draw_one_customer", "job_failure", "serve"}
    assert unasked == reading | {"own_tables", "view_contracts"}
    assert all("own_tables(" in doors[job] for job in (*JOBS, "ingest", "demo"))


def test_the_computation_alone_refuses_them_too(tmp_path: Path) -> None:
    """Sums of 60 days do not go by the name orders_30d, wherever they are written."""
    history = tmp_path / "history.parquet"
    for document in documents(tmp_path).values():
        refused("aggregate", tmp_path / "events.parquet", history, "--contract", document)
        assert not history.exists()


@pytest.mark.parametrize("clause", ONE_CLAUSE)
def test_one_clause_is_enough_and_is_named(clause: str, tmp_path: Path) -> None:
    contract = load(in_v2(tmp_path, ONE_CLAUSE[clause]))
    (said,) = own_tables.differences(contract)
    assert said.startswith(clause)
    with pytest.raises(repository.NotBegunError, match="is no contract of the tables"):
        own_tables.contract_of_own_tables(tmp_path / NEXT_DOCUMENT)


def test_versions_of_the_same_terms_pass(tmp_path: Path) -> None:
    for document in (repository.CONTRACT, tmp_path / "contracts" / f"{V1}.md"):
        assert own_tables.contract_of_own_tables(document).view_name == V1
    assert own_tables.contract_of_own_tables(tmp_path / NEXT_DOCUMENT).view_name == V2
    assert own_tables.contract_to_read_under(tmp_path / NEXT_DOCUMENT).view_name == V2


def test_a_set_is_read_under_another_features_contract_but_not_under_another_window(
    tmp_path: Path,
) -> None:
    theirs = documents(tmp_path)
    other = theirs["of a string key"]
    assert own_tables.contract_to_read_under(other).view_name == "merchant_risk_v2"
    to_read = ("labels.parquet", "set.parquet", "--consumer", "ML Platform")
    said = refused("build_training_set", *to_read, "--contract", theirs["of a longer window"])
    assert "§3 lookback window is 60d, theirs is 30d" in said


@pytest.mark.parametrize(
    ("changes", "with_it"),
    [
        ({}, [V1, V2]),
        (MONTHS, [V1]),
        (ONE_CLAUSE["§8 offline computation path"], [V1]),
    ],
)
def test_a_version_of_other_tables_gets_no_record_of_a_refresh_of_these(
    changes: dict[str, str], with_it: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_v2(tmp_path, changes)
    monkeypatch.setattr(view_contracts, "ROOT", tmp_path)
    log = SimpleNamespace(path="log.parquet")
    views = [SimpleNamespace(name=name, batch_source=log) for name in (V1, V2)]
    store: Any = SimpleNamespace(list_batch_feature_views=lambda: views)
    found = versions.versions_of_log(store, load(repository.CONTRACT))
    assert [view.name for view in found] == with_it
