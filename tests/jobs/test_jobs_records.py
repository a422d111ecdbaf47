"""The jobs leave records: what each run did, whether it passed, and nothing where nothing ran."""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from feast_copy import HISTORY, apply, copy_of_the_whole_project
from jobs_run import (
    DAY,
    EVENTS,
    HOUR,
    KEY,
    PRESENT,
    VIEW,
    YESTERDAY,
    job,
    log_of,
    records,
    shopping,
)
from next_version import NEXT_DOCUMENT, write_document
from oracle import ZEROS, Oracle, Profile, write_events

from contract_checks.operations.log import OperationsLog, Record
from storage.parquet_table import parts_of

UPSTREAM = ["customer_activity_dbt_model", "customer_events_ingestion_job"]


ORACLE = Oracle(shopping(), lookback_window=30 * DAY, allowed_lateness=DAY)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Applied, and refreshed a day before the present and at the present; not to be changed."""
    copy = copy_of_the_whole_project(tmp_path_factory.mktemp("repository"))
    write_events(shopping(), copy / EVENTS)
    apply(copy)
    for moment in (YESTERDAY, PRESENT):
        done = job(copy, "refresh", "--as-of", moment.isoformat())
        assert done.returncode == 0, done.stderr
    return copy


@pytest.fixture
def unapplied(tmp_path: Path) -> Path:
    """A repository nobody has done anything with yet."""
    return copy_of_the_whole_project(tmp_path / "unapplied")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log of the test's own, which no job has written to."""
    return tmp_path / "operations.db"


def sha256_of(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


# Upstream and refresh


@pytest.mark.slow
def test_each_ingestion_leaves_a_record_of_every_upstream_job(unapplied: Path, log: Path) -> None:
    for day in ("2026-01-01", "2026-01-02"):
        done = job(unapplied, "ingest", "--as-of", day, log=log)
        assert done.returncode == 0, done.stderr
    rows = pq.read_metadata(unapplied / EVENTS).num_rows
    left = records(log, "upstream")
    assert [(r.at.day, r.passed, r.figures) for r in left] == [
        *[(1, True, {"rows": rows})] * 2,
        *[(2, True, {"rows": rows})] * 2,
    ]
    assert sorted(r.subject for r in left[:2]) == sorted(r.subject for r in left[2:]) == UPSTREAM


def test_a_refused_ingestion_did_not_pass(unapplied: Path, log: Path) -> None:
    refused = job(unapplied, "ingest", unapplied / "data", log=log)
    assert refused.returncode == 2
    assert refused.stderr.startswith("refused: cannot write")
    left = records(log, "upstream")
    assert sorted((r.subject, r.passed) for r in left) == [(name, False) for name in UPSTREAM]
    assert all("cannot write" in r.figures["error"] for r in left)


def test_each_refresh_leaves_a_record_of_what_it_did(repository: Path) -> None:
    first, second = records(log_of(repository), "refresh")
    history = pq.read_table(repository / HISTORY)
    known_before = 0
    for record, before, now in ((first, None, YESTERDAY), (second, YESTERDAY, PRESENT)):
        counts = ORACLE.counts(now)
        stamps = history["event_timestamp"].to_pylist()
        known = history.filter([t <= now for t in stamps])
        lately = history.filter([now - 30 * DAY < t <= now for t in stamps])
        assert (record.subject, record.at, record.passed) == (VIEW, now, True)
        assert record.seconds is not None and record.seconds > 0
        assert record.figures == {
            "from": before and before.isoformat(),
            "to": now.isoformat(),
            "events": counts.ingested,
            "kept": counts.kept,
            "superseded": counts.superseded,
            "quarantined": counts.quarantined,
            "history_rows": known.num_rows,
            "new_rows": known.num_rows - known_before,
            "newest": max(known["event_timestamp"].to_pylist()).isoformat(),
            "newest_arrival": max(
                e.created_timestamp for e in ORACLE.events if e.created_timestamp <= now
            ).isoformat(),
            "outliers": {name: above(lately[name].to_numpy()) for name in sorted(Profile._fields)},
            **({} if before else {"made_anew": "no refresh has left a log"}),
        }
        known_before = known.num_rows
    assert (second.figures["superseded"], second.figures["quarantined"]) == (1, 1)
    assert second.figures["history_rows"] > first.figures["history_rows"]


def above(values: Any) -> int:
    """Values above their 99.9th percentile (contract §6)."""
    return int((values > np.percentile(values, 99.9)).sum())


@pytest.mark.parametrize(
    ("spoil", "at", "says"),
    [
        (lambda events: events.write_bytes(b"no parquet"), PRESENT + DAY, "not a readable parquet"),
    ],
    ids=["on damaged events"],
)
def test_a_refused_refresh_did_not_pass(
    repository: Path,
    tmp_path: Path,
    log: Path,
    spoil: Callable[[Path], Any],
    at: datetime,
    says: str,
) -> None:
    events = Path(shutil.copy(repository / EVENTS, tmp_path / "events.parquet"))
    spoil(events)
    before = {part.name: sha256_of(part) for part in parts_of(repository / HISTORY)}
    refused = job(repository, "refresh", "--events", events, "--as-of", at.isoformat(), log=log)
    assert refused.returncode == 2, refused.stdout
    assert says in refused.stderr
    (record,) = records(log, "refresh")
    assert (record.at, record.passed) == (at, False)
    assert record.figures["from"] == PRESENT.isoformat()
    assert says in record.figures["error"]
    assert "history_rows" not in record.figures
    assert {part.name: sha256_of(part) for part in parts_of(repository / HISTORY)} == before


@pytest.mark.parametrize("name", ["refresh", "backfill", "access_review", "look_up"])
def test_where_nothing_is_registered_a_refusal_makes_no_log(unapplied: Path, name: str) -> None:
    refused = job(unapplied, name, *(["1"] if name == "look_up" else []))
    assert refused.returncode == 2, refused.stdout
    assert refused.stderr.startswith("refused: ")
    assert "Traceback" not in refused.stderr
    assert not log_of(unapplied).exists()


# Training sets


@pytest.fixture
def read(repository: Path, tmp_path: Path, log: Path) -> Callable[..., Any]:
    """Reads a known and an unknown customer for a consumer, into a file of the repository."""
    asked = pd.DataFrame({"customer_id": [1, 999], "event_timestamp": PRESENT})
    asked.to_parquet(tmp_path / "labels.parquet")

    def job_for(
        consumer: str,
        target: Path,
        *options: str | Path,
        entities: Path = tmp_path / "labels.parquet",
        **more: str,
    ) -> Any:
        arguments = (entities, target, "--as-of", PRESENT.isoformat(), *options)
        env = {"log": log, "FEATURE_STORE_HASH_KEY": KEY} | more
        return job(repository, "build_training_set", *arguments, "--consumer", consumer, **env)

    return job_for


def test_each_read_is_on_record_with_its_reader(
    repository: Path, tmp_path: Path, log: Path, read: Callable[..., Any]
) -> None:
    targets = (repository / "data" / "mine.parquet", tmp_path / "elsewhere.parquet")
    for consumer, target in zip(("ML Platform", "marketing ANALYTICS"), targets, strict=True):
        done = read(consumer, target)
        assert done.returncode == 0, done.stderr
    first, second = records(log, "training_set")
    assert first.figures == {
        "consumer": "ML Platform",
        "path": "data/mine.parquet",
        "digest": sha256_of(targets[0]),
        "rows": 2,
        "matched": {VIEW: 1},
        "known_up_to": PRESENT.isoformat(),
        "left_out": 0,
    }
    assert (first.subject, first.at, first.passed) == (VIEW, PRESENT, True)
    assert second.passed
    assert second.figures["consumer"] == "marketing ANALYTICS"
    assert second.figures["path"] == str(targets[1].resolve())


def test_a_receipt_tells_what_the_training_set_holds_and_is_made_of(
    repository: Path, tmp_path: Path, read: Callable[..., Any]
) -> None:
    target = tmp_path / "set.parquet"
    done = read("ML Platform", target)
    assert done.returncode == 0, done.stderr
    receipt = json.loads((tmp_path / "set.receipt.json").read_text(encoding="utf-8"))
    assert (len(receipt.pop("registry")), len(receipt.pop("entities"))) == (64, 64)
    assert set(receipt.pop("versions")) > {"duckdb", "feast", "python"}
    assert receipt == {
        "as_of": PRESENT.isoformat(),
        "asked": {
            "as_served": False,
            "consumer": "ML Platform",
            "known_only": False,
            "service": "customer_profile",
        },
        "content": sha256_of(target),
        "contract": sha256_of(repository / "contracts" / "customer_profile_v1.md"),
        "known_up_to": PRESENT.isoformat(),
        "left_out": 0,
        "match_rate": {VIEW: 0.5},
        "matched": {VIEW: 1},
        "rows": 2,
        "view": VIEW,
    }


def test_labels_beyond_what_is_known_are_refused_or_left_out_and_counted(
    tmp_path: Path, log: Path, read: Callable[..., Any]
) -> None:
    times = [PRESENT, PRESENT + timedelta(microseconds=1), datetime(2031, 1, 1, tzinfo=UTC)]
    pd.DataFrame({"customer_id": [1, 1, 2], "event_timestamp": times}).to_parquet(
        tmp_path / "late.parquet"
    )
    target, late = tmp_path / "set.parquet", tmp_path / "late.parquet"
    options = ("--as-of", (PRESENT + HOUR).isoformat())
    refused = read("ML Platform", target, *options, entities=late)
    assert refused.returncode == 2
    until = f"2 rows ask for times after {PRESENT.isoformat()}, up to which {VIEW} is known"
    assert refused.stderr.startswith(f"refused: {until}: leave them out (--known-only)")
    assert refused.stderr.count("\n") == 1
    assert not target.exists()
    done = read("ML Platform", target, "--known-only", *options, entities=late)
    assert done.returncode == 0, done.stderr
    assert f"known up to {PRESENT.isoformat()}, 2 later rows left out" in done.stdout
    assert pq.read_table(target)["event_timestamp"].to_pylist() == [PRESENT]
    receipt = json.loads(target.with_name("set.receipt.json").read_text())
    assert receipt["asked"]["known_only"] is True
    without, with_it = records(log, "training_set")
    assert (without.passed, with_it.passed) == (False, True)
    for told in (receipt, with_it.figures):
        figures = [told[name] for name in ("rows", "left_out", "known_up_to")]
        assert figures == [1, 2, PRESENT.isoformat()]


def test_the_same_inputs_give_the_same_bytes_in_any_process_and_from_any_file(
    tmp_path: Path, read: Callable[..., Any]
) -> None:
    """Whatever the order of sets and hashes in a process, and however the rows are stored."""
    labels = pd.read_parquet(tmp_path / "labels.parquet")
    one_by_one, as_text = tmp_path / "one_by_one.parquet", tmp_path / "labels.csv"
    labels.to_parquet(one_by_one, row_group_size=1, compression="none")
    labels.to_csv(as_text, index=False)
    target, receipts, sets = tmp_path / "set.parquet", set(), set()
    for seed, entities in enumerate((tmp_path / "labels.parquet", one_by_one, as_text)):
        done = read("ML Platform", target, entities=entities, PYTHONHASHSEED=str(seed))
        assert done.returncode == 0, done.stderr
        sets.add(target.read_bytes())
        receipts.add(target.with_name("set.receipt.json").read_bytes())
    assert (len(sets), len(receipts)) == (1, 1)


def test_another_key_or_frame_gives_another_receipt(
    tmp_path: Path, read: Callable[..., Any]
) -> None:
    asked = pd.DataFrame({"customer_id": [1, 998], "event_timestamp": PRESENT})
    asked.to_parquet(tmp_path / "others.parquet")
    runs: dict[str, dict[str, Any]] = {
        "first": {},
        "key": {"FEATURE_STORE_HASH_KEY": "another key, as long as ever"},
        "frame": {"entities": tmp_path / "others.parquet"},
    }
    receipts = {}
    for name, differently in runs.items():
        assert read("ML Platform", tmp_path / f"{name}.parquet", **differently).returncode == 0
        receipts[name] = json.loads((tmp_path / f"{name}.receipt.json").read_text())
    for part in ("entities", "content"):
        assert len({receipt[part] for receipt in receipts.values()}) == 3
    assert len({receipt["registry"] for receipt in receipts.values()}) == 1


def test_as_served_is_what_the_last_refresh_before_had_brought(
    tmp_path: Path, read: Callable[..., Any]
) -> None:
    # An event of customer 2 arrived an hour after it happened: between the two refreshes.
    between = PRESENT - HOUR / 2
    asked = [(c, t) for c in (1, 2, 3) for t in (between, YESTERDAY - HOUR, PRESENT)]
    frame = pd.DataFrame(asked, columns=["customer_id", "event_timestamp"])
    frame.to_parquet(tmp_path / "asked.parquet")
    done = read(
        "ML Platform", tmp_path / "set.parquet", "--as-served", entities=tmp_path / "asked.parquet"
    )
    assert done.returncode == 0, done.stderr
    rows = pq.read_table(tmp_path / "set.parquet").to_pydict()
    got = [Profile(*row) for row in zip(*(rows[f] for f in Profile._fields), strict=True)]
    served = [(c, t) for c in (1, 2, 3) for t in (YESTERDAY, None, PRESENT)]
    assert got == [ORACLE.profile(c, t) if t else ZEROS for c, t in served]
    assert any(ORACLE.profile(c, between) != ORACLE.profile(c, YESTERDAY) for c in (1, 2, 3))
    receipt = json.loads((tmp_path / "set.receipt.json").read_text(encoding="utf-8"))
    assert (receipt["asked"]["as_served"], receipt["matched"]) == (True, {VIEW: 6})


def test_a_select_names_whom_to_read_and_no_secret_is_left_anywhere(
    tmp_path: Path, log: Path, read: Callable[..., Any]
) -> None:
    query = tmp_path / "labels.sql"
    query.write_text(f"SELECT 1 AS customer_id, '{PRESENT.isoformat()}' AS event_timestamp")
    target = tmp_path / "set.parquet"
    done = read("ML Platform", target, entities=query, FEATURE_STORE_ENTITIES_DATABASE="sqlite://")
    assert done.returncode == 0, done.stderr
    assert pq.read_metadata(target).num_rows == 1

    address = "postgresql+psycopg://reader:hunter2hunter2@127.0.0.1:1/labels"
    refused = read("ML Platform", target, entities=query, FEATURE_STORE_ENTITIES_DATABASE=address)
    assert refused.returncode == 2
    told = refused.stdout + refused.stderr + str(records(log, "training_set"))
    assert "the database of FEATURE_STORE_ENTITIES_DATABASE" in told
    assert "hunter2hunter2" not in told


def test_a_reader_who_is_not_approved_gets_nothing_and_is_on_record(
    tmp_path: Path, log: Path, read: Callable[..., Any]
) -> None:
    refused = read("Sales", tmp_path / "out" / "set.parquet", FEATURE_STORE_HASH_KEY="")
    assert refused.returncode == 2
    assert "ML Platform, Marketing Analytics" in refused.stderr
    assert not (tmp_path / "out").exists()
    (record,) = records(log, "training_set")
    assert (record.passed, record.at) == (False, PRESENT)
    assert record.figures["consumer"] == "Sales"
    assert record.figures["reason"] == "not an approved consumer"
    assert "path" not in record.figures


def test_a_read_that_fails_did_not_pass(
    tmp_path: Path, log: Path, read: Callable[..., Any]
) -> None:
    refused = read("ML Platform", tmp_path / "set.parquet", FEATURE_STORE_HASH_KEY="short")
    assert refused.returncode == 2
    (record,) = records(log, "training_set")
    assert not record.passed
    assert "too short" in record.figures["error"]
    assert not {"path", "reason", "rows"} & set(record.figures)


def test_a_read_that_cannot_be_recorded_is_not_made(
    tmp_path: Path, read: Callable[..., Any]
) -> None:
    target = tmp_path / "out" / "set.parquet"
    failed = read("ML Platform", target, log=tmp_path / "no such folder" / "operations.db")
    assert failed.returncode != 0
    assert list(target.parent.iterdir()) == []


def test_what_another_documents_version_serves_is_not_read(
    repository: Path, tmp_path: Path, log: Path, read: Callable[..., Any]
) -> None:
    shutil.copytree(repository / "contracts", tmp_path / "contracts")
    write_document(tmp_path)
    refused = read("ML Platform", tmp_path / "set.parquet", "--contract", tmp_path / NEXT_DOCUMENT)
    assert refused.returncode == 2
    assert f"service customer_profile serves {VIEW}" in refused.stderr
    assert "name the document of what is to be read with --contract" in refused.stderr
    assert not (tmp_path / "set.parquet").exists()
    (record,) = records(log, "training_set")
    assert (record.subject, record.passed) == ("customer_profile_v2", False)


def test_who_reads_must_be_said(repository: Path, tmp_path: Path, log: Path) -> None:
    refused = job(repository, "build_training_set", "in.parquet", tmp_path / "out", log=log)
    assert refused.returncode == 2
    assert "--consumer" in refused.stderr
    assert not log.exists()


# Backfill: the job


@contextmanager
def history_changed(repository: Path, **columns: Any) -> Iterator[None]:
    """The last row of the change log's newest part with other values, for a while."""
    file = parts_of(repository / HISTORY)[-1]
    kept, table = file.read_bytes(), pq.read_table(file)
    rows = table.to_pylist()
    last = max(rows, key=lambda row: row["event_timestamp"])
    last |= columns
    pq.write_table(type(table).from_pylist(rows, table.schema), file)
    try:
        yield
    finally:
        file.write_bytes(kept)


def test_a_backfill_reaches_up_to_the_last_refresh(repository: Path) -> None:
    later = PRESENT + HOUR - HOUR / 3  # meanwhile an event left the window
    assert any(PRESENT < e.event_timestamp + 30 * DAY <= later for e in ORACLE.events)
    done = job(repository, "backfill", "--as-of", later.isoformat())
    assert done.returncode == 0, done.stdout + done.stderr
    stamps = pq.read_table(repository / HISTORY)["event_timestamp"].to_pylist()
    expected = sum(PRESENT - 7 * DAY < stamp <= PRESENT for stamp in stamps)
    assert f"{expected} rows of 7d recomputed, 0 differ" in done.stdout
    (record,) = records(log_of(repository), "backfill")
    assert (record.subject, record.at, record.passed) == (VIEW, later, True)
    figures = dict(record.figures)
    assert set(figures.pop("files")) >= {"feature_pipeline/change_log/aggregate.sql"}
    assert figures.pop("digest").strip("-").isdigit()
    assert figures == {
        "from": (PRESENT - 7 * DAY).isoformat(),
        "to": PRESENT.isoformat(),
        "rows": expected,
        "differing": 0,
    }


def test_a_backfill_that_differs_did_not_pass(repository: Path, log: Path) -> None:
    refreshed = Record("refresh", VIEW, PRESENT, True)
    failed_since = Record("refresh", VIEW, PRESENT + HOUR, False)
    OperationsLog(f"sqlite:///{log}").append(refreshed, failed_since)
    with history_changed(repository, orders_30d=77):
        done = job(repository, "backfill", "--as-of", "2026-03-01T14:00Z", log=log)
    assert done.returncode == 1, done.stderr
    assert "2 differ" in done.stdout
    assert "only on record: customer_id=" in done.stdout
    assert "orders_30d=77" in done.stdout
    (record,) = records(log, "backfill")
    assert (record.passed, record.figures["differing"]) == (False, 2)
    assert record.figures["to"] == PRESENT.isoformat()


def test_a_backfill_of_what_was_never_refreshed_is_refused(repository: Path, log: Path) -> None:
    OperationsLog(f"sqlite:///{log}").append(Record("refresh", VIEW, PRESENT, True))
    refused = job(repository, "backfill", "--as-of", YESTERDAY.isoformat(), log=log)
    assert refused.returncode == 2
    assert "no refresh of customer_profile_v1" in refused.stderr
    assert records(log, "backfill") == []


# Unit tests


def test_the_unit_tests_are_on_record_with_the_code_they_tested(unapplied: Path, log: Path) -> None:
    done = job(unapplied, "unit_tests", "--as-of", "2026-01-01", log=log)
    assert done.returncode == 0, done.stdout + done.stderr
    (record,) = records(log, "unit_tests")
    assert (record.subject, record.passed, record.figures["failures"]) == (VIEW, True, 0)
    assert 16 <= record.figures["tests"] <= 24
    code = [f for room in ("feature_pipeline", "storage") for f in (unapplied / room).rglob("*")]
    tested = [
        unapplied / "tests" / "test_known_answers.py",
        *(file for file in code if file.suffix in (".py", ".sql")),
    ]
    assert record.figures["files"] == {
        str(file.relative_to(unapplied)): sha256_of(file) for file in tested
    }
    assert {"feature_pipeline/change_log/aggregate.sql", "storage/atomic.py"} <= set(
        record.figures["files"]
    )


def test_a_defect_of_the_aggregation_fails_them(unapplied: Path, log: Path) -> None:
    sql = unapplied / "feature_pipeline" / "change_log" / "aggregate.sql"
    right = sql.read_text(encoding="utf-8")
    sql.write_text(right.replace("in_force_until <= $as_of", "in_force_until < $as_of"))
    assert sql.read_text(encoding="utf-8") != right
    done = job(unapplied, "unit_tests", log=log)
    assert done.returncode == 1, done.stderr
    assert "failed: test_on_the_far_edge_of_the_window" in done.stdout
    assert done.stdout.count("[SQL]") == 1
    (record,) = records(log, "unit_tests")
    assert (record.passed, record.figures["failures"]) == (False, 1)
    assert record.figures["files"]["feature_pipeline/change_log/aggregate.sql"] == sha256_of(sql)


A_TEST = "import pytest\ndef test_one(): assert {}\n"
SKIPPED = A_TEST + "@pytest.mark.skip\ndef test_two(): assert True\n"
IN_ERROR = A_TEST + "def test_two(absent): assert True\n"


@pytest.mark.parametrize(
    ("source", "code", "not_passed"),
    [
        (A_TEST.format(True), 0, {}),
        (A_TEST.format(False), 1, {"test_one": "failed"}),
        pytest.param(SKIPPED.format(True), 1, {"test_two": "skipped"}, marks=pytest.mark.slow),
        (IN_ERROR.format(True), 1, {"test_two": "error"}),
    ],
)
def test_what_did_not_pass_is_named(
    unapplied: Path, log: Path, source: str, code: int, not_passed: dict[str, str]
) -> None:
    (unapplied / "tests" / "test_known_answers.py").write_text(source, encoding="utf-8")
    # Options of whoever runs the job choose no tests for it.
    done = job(unapplied, "unit_tests", log=log, PYTEST_ADDOPTS="-k nothing")
    assert done.returncode == code, done.stderr
    (record,) = records(log, "unit_tests")
    assert record.passed is (code == 0)
    assert record.figures["failures"] == len(not_passed)
    assert record.figures["not_passed"] == not_passed


@pytest.mark.parametrize(
    "source",
    [None, *(pytest.param(s, marks=pytest.mark.slow) for s in ("", "import nothing_there\n"))],
)
def test_tests_that_cannot_run_did_not_pass(unapplied: Path, log: Path, source: str | None) -> None:
    tests = unapplied / "tests" / "test_known_answers.py"
    tests.unlink() if source is None else tests.write_text(source, encoding="utf-8")
    refused = job(unapplied, "unit_tests", log=log)
    assert refused.returncode == 2, refused.stdout
    assert refused.stderr.startswith("refused: pytest could not run ")
    (record,) = records(log, "unit_tests")
    assert not record.passed
    assert "tests" not in record.figures


def test_without_pytest_they_cannot_run(unapplied: Path, tmp_path: Path, log: Path) -> None:
    (unapplied / "pytest.py").write_text("raise ModuleNotFoundError('No module named pytest')")
    refused = job(unapplied, "unit_tests", log=log)
    assert refused.returncode == 2, refused.stdout
    assert "No module named pytest" in refused.stderr
    assert [r.passed for r in records(log, "unit_tests")] == [False]
