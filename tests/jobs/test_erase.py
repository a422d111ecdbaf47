"""scripts/erase.py: one customer leaves every store, and a search of everything proves it."""

import hmac
import json
import os
import shutil
import sqlite3
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from feast_copy import HISTORY, apply, copy_of_the_whole_project, run
from jobs_run import EVENTS, KEY, VIEW, job, log_of, records
from oracle import Event, read_events, write_events

from contract_checks.operations.log import OperationsLog, Record
from storage.parquet_table import parts_of

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
PRESENT = datetime(2026, 3, 1, 12, tzinfo=UTC)
QUARANTINE = EVENTS.with_name("customer_events_quarantine.parquet")
LIST = EVENTS.with_name("erased_customers.txt")
ONLINE, SET, OTHERS = (
    Path("data") / f for f in ("online_store.db", "set.parquet", "other.parquet")
)
WHO = 70_007
TABLES = (EVENTS, HISTORY, QUARANTINE, SET, OTHERS)


def shopping() -> list[Event]:
    """Three customers, all of them once late; whom it is about arrived last of all."""

    def daily(customer: int, days: int) -> Event:
        at = PRESENT - days * DAY
        return Event(customer, at, at + HOUR, 1 + days % 3, Decimal(10 + days), days)

    ordinary = [daily(customer, days) for customer in (1, 2, WHO) for days in range(1, 20)]
    late = [
        daily(customer, 25)._replace(created_timestamp=PRESENT - 20 * DAY)
        for customer in (1, 2, WHO)
    ]
    last = Event(WHO, PRESENT - HOUR, PRESENT - HOUR / 2, 7, Decimal(7), 7)
    return [*ordinary, *late, last]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Refreshed, with a training set of everybody and one of others; not to be changed."""
    copy = copy_of_the_whole_project(tmp_path_factory.mktemp("served"))
    write_events(shopping(), copy / EVENTS)
    apply(copy)
    for moment in (PRESENT - DAY, PRESENT):
        refreshed(copy, moment)
    for target, customers in ((SET, [1, WHO, 2, WHO]), (OTHERS, [2, 1])):
        labels = {"customer_id": customers, "event_timestamp": PRESENT - 2 * DAY}
        pd.DataFrame(labels).to_parquet(copy / "labels.parquet")
        arguments = ("labels.parquet", target, "--consumer", "ML Platform")
        at = ("--as-of", PRESENT.isoformat())
        done = job(copy, "build_training_set", *arguments, *at, FEATURE_STORE_HASH_KEY=KEY)
        assert done.returncode == 0, done.stderr
    done = job(copy, "backfill", "--as-of", PRESENT.isoformat())
    assert done.returncode == 0, done.stderr
    return copy


@pytest.fixture
def repository(served: Path, tmp_path: Path) -> Path:
    """The same, to be changed. Registered at its own place."""
    return its_copy(served, tmp_path / "repository")


@pytest.fixture(scope="module")
def erased(served: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """One of which the customer was erased, and what that said; not to be changed."""
    copy = its_copy(served, tmp_path_factory.mktemp("erased") / "repository")
    return copy, erase(copy)


def its_copy(served: Path, to: Path) -> Path:
    """A copy in which Feast, too, looks for its data; our jobs do so in any."""
    shutil.copytree(served, to, symlinks=True)
    apply(to)
    return to


def erase(repository: Path, *options: str, who: str | int = WHO, key: str = KEY) -> Any:
    arguments = ("--as-of", PRESENT.isoformat(), *options, "--", str(who))
    return job(repository, "erase", *arguments, FEATURE_STORE_HASH_KEY=key)


def refreshed(repository: Path, at: datetime) -> str:
    done = job(repository, "refresh", "--as-of", at.isoformat(), FEATURE_STORE_HASH_KEY=KEY)
    assert done.returncode == 0, done.stderr
    return done.stdout


def check(repository: Path, at: datetime, *clauses: str) -> Any:
    selected = [word for clause in clauses for word in ("--select", clause)]
    env = os.environ | {"PYTHONPATH": str(repository), "COLUMNS": "200"}
    arguments = ("check", "--as-of", at.isoformat(), *selected)
    return run(repository, "contract-checks", *arguments, env=env)


def all_bytes(repository: Path) -> dict[Path, bytes]:
    return {f: f.read_bytes() for f in (repository / "data").rglob("*") if f.is_file()}


def bytes_of(table: Path) -> list[bytes]:
    """Of the one file, or of each part of a folder."""
    return [part.read_bytes() for part in parts_of(table) or [table]]


def hash_of(customer: int) -> str:
    return hmac.digest(KEY.encode(), str(customer).encode(), "sha256").hex()


def rows(repository: Path, file: Path) -> list[dict[str, Any]]:
    found = pq.read_table(repository / file).to_pylist()
    return sorted(found, key=lambda row: (str(row["customer_id"]), row["event_timestamp"]))


def online_rows(repository: Path) -> list[tuple[Any, ...]]:
    with sqlite3.connect(repository / ONLINE) as connection:
        return connection.execute(f'SELECT * FROM "feature_store_{VIEW}" ORDER BY 1, 2').fetchall()


def of_the_customer(row: dict[str, Any]) -> bool:
    return row["customer_id"] in (WHO, hash_of(WHO))


# What it does


def test_nothing_is_left_and_the_search_says_where_it_looked(erased: Any) -> None:
    repository, done = erased
    assert done.returncode == 0, done.stdout + done.stderr
    for file in all_bytes(repository):
        assert file.relative_to(repository).as_posix() in done.stdout
    assert "something left in 0" in done.stdout
    content = b"".join(all_bytes(repository).values())
    key = b"customer_id" + bytes([4, 0, 0, 0, 8, 0, 0, 0]) + WHO.to_bytes(8, "little")
    for spelling in (key, hash_of(WHO).encode(), str(WHO).encode()):
        assert spelling not in content
    assert not any(of_the_customer(row) for file in TABLES for row in rows(repository, file))


def test_everybody_else_is_as_before(erased: Any, served: Path) -> None:
    repository, _ = erased
    for file in TABLES:
        before = [row for row in rows(served, file) if not of_the_customer(row)]
        assert before
        assert rows(repository, file) == before
        now, then = (pq.read_schema(parts_of(one / file)[0]) for one in (repository, served))
        assert now.equals(then, True)
    kept = [row for row in online_rows(served) if WHO.to_bytes(8, "little") not in row[0]]
    assert 0 < len(kept) == len(online_rows(repository)) < len(online_rows(served))
    assert online_rows(repository) == kept
    assert (repository / OTHERS).read_bytes() == (served / OTHERS).read_bytes()


def test_the_record_counts_and_names_nobody(erased: Any, served: Path) -> None:
    repository, done = erased
    of_the_set, record = records(log_of(repository), "erasure")
    assert (record.subject, record.at, record.passed) == (VIEW, PRESENT, True)
    before = {f: sum(map(of_the_customer, rows(served, f))) for f in TABLES}
    assert record.figures["removed"] == {
        "offline": before[HISTORY],
        "list of the erased": 0,
        "events": before[EVENTS],
        "quarantine": 1,
        "online": 1,
        str(OTHERS): 0,
        str(SET): 2,
        "operations log": 0,
    }
    assert record.figures["left"] == 0
    assert of_the_set.figures["path"] == str(SET)
    assert of_the_set.figures["rows"] == 2
    told = json.dumps([r.figures for r in records(log_of(repository), "erasure")])
    for text in (told, done.stdout, done.stderr):
        assert str(WHO) not in text
        assert hash_of(WHO) not in text


def test_again_finds_nothing_and_changes_nothing(erased: Any, tmp_path: Path) -> None:
    repository = Path(shutil.copytree(erased[0], tmp_path / "again", symlinks=True))
    tables = [bytes_of(repository / file) for file in (*TABLES, LIST)]
    done = erase(repository)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [bytes_of(repository / file) for file in (*TABLES, LIST)] == tables
    assert set(records(log_of(repository), "erasure")[-1].figures["removed"].values()) == {0}


def test_the_contract_is_kept_after_the_next_refresh_and_backfill(
    erased: Any, tmp_path: Path
) -> None:
    repository = its_copy(erased[0], tmp_path / "next")
    touched = ("§6 freshness", "§9 masking", "§9 retention policy", "§11 backfill validation")
    later = PRESENT + HOUR
    assert check(repository, later, "§9 masking").returncode == 0
    broken = check(repository, later, "§11 backfill validation")
    assert broken.returncode == 1
    assert "other rows since" in broken.stdout
    refreshed(repository, later)
    done = job(repository, "backfill", "--as-of", later.isoformat(), FEATURE_STORE_HASH_KEY=KEY)
    assert done.returncode == 0, done.stdout + done.stderr
    kept = check(repository, later, *touched)
    assert kept.returncode == 0, kept.stdout + kept.stderr


def test_whoever_was_erased_does_not_come_back_with_the_next_delivery(
    erased: Any, tmp_path: Path
) -> None:
    repository = its_copy(erased[0], tmp_path / "delivered")
    write_events(shopping(), repository / EVENTS)
    said = refreshed(repository, PRESENT + HOUR)
    mine = sum(event.customer_id == WHO for event in shopping())
    assert f"{mine} events of erased customers were delivered and left out" in said
    assert records(log_of(repository), "refresh")[-1].figures["left_out"] == mine
    for file in (HISTORY, QUARANTINE):
        assert rows(repository, file)
        assert not any(map(of_the_customer, rows(repository, file)))
    done = job(
        repository, "backfill", "--as-of", (PRESENT + HOUR).isoformat(), FEATURE_STORE_HASH_KEY=KEY
    )
    assert done.returncode == 0, done.stdout + done.stderr
    again = erase(repository)
    assert again.returncode == 0, again.stdout + again.stderr
    assert {event.customer_id for event in read_events(repository / EVENTS)} == {1, 2}


@pytest.mark.parametrize(
    ("key", "says"),
    [("", "customers were erased"), ("another key of that length", "made with another")],
)
def test_without_the_key_a_refresh_would_let_them_back_in_and_is_refused(
    erased: Any, key: str, says: str
) -> None:
    repository, _ = erased
    (repository / "data" / "metrics" / "refresh.prom").unlink(missing_ok=True)
    before = all_bytes(repository)
    at = ("--as-of", (PRESENT + HOUR).isoformat())
    log = repository.parent / f"{len(key)}.db"
    refused = job(repository, "refresh", *at, log=log, FEATURE_STORE_HASH_KEY=key)
    assert refused.returncode == 2
    assert says in refused.stderr
    metrics = repository / "data" / "metrics" / "refresh.prom"
    assert 'feature_store_refresh_success{view="customer_profile_v1"} 0.0' in metrics.read_text()
    metrics.unlink()
    assert all_bytes(repository) == before


def test_a_dry_run_counts_and_changes_nothing(served: Path, erased: Any) -> None:
    before = all_bytes(served)
    told = erase(served, "--dry-run")
    assert told.returncode == 0, told.stderr
    assert all_bytes(served) == before
    assert str(WHO) not in told.stdout
    counts = [line.split()[-2] for line in told.stdout.splitlines() if line.startswith("│")]
    removed = records(log_of(erased[0]), "erasure")[-1].figures["removed"]
    assert counts == [str(count) for count in removed.values()]


def test_a_customer_nobody_knows_can_be_named_on_standard_input(
    served: Path, tmp_path: Path
) -> None:
    repository = Path(shutil.copytree(served, tmp_path / "unknown", symlinks=True))
    before = {file: bytes_of(repository / file) for file in TABLES}
    env = os.environ | {"PYTHONPATH": str(repository), "FEATURE_STORE_HASH_KEY": KEY}
    told = ("scripts/erase.py", "-", "--as-of", PRESENT.isoformat())
    done = run(repository, "python", *told, env=env, input="999999\n")
    assert done.returncode == 0, done.stdout + done.stderr
    assert {file: bytes_of(repository / file) for file in TABLES} == before
    assert len((repository / LIST).read_text().split()) == 2


# What is left is found


def plant(repository: Path, name: str, content: Any) -> None:
    file = repository / "data" / name
    if isinstance(content, pa.Table):
        pq.write_table(content, file)
    elif isinstance(content, Record):
        OperationsLog(f"sqlite:///{log_of(repository)}").append(content)
    else:
        file.write_bytes(content)


LEFT = {
    "labels.parquet": pa.table({"customer_id": [1, WHO], "event_timestamp": [PRESENT] * 2}),
    "of_floats.parquet": pa.table({"customer_id": [1.0, float(WHO), None]}),
    "under_another_name.parquet": pa.table({"user_id": [str(WHO)]}),
    "hashed.parquet": pa.table({"whoever": [hash_of(WHO)]}),
    "told.parquet": pa.table({"note": [f"see customer_id={WHO}, please"]}),
    "report.json": json.dumps({"sample": [f"customer_id={WHO}, event_timestamp=..."]}).encode(),
    "list.json": json.dumps({"customers": [{"customer_id": WHO}]}).encode(),
    ".hidden.txt": hash_of(WHO).encode(),
    "damaged.parquet": b"PAR1 and no more",
}
NOT_THEM = {
    "counts.json": json.dumps({"rows": WHO, "of": f"{WHO} rows, 1.{WHO}"}).encode(),
    "more.json": json.dumps({"customer_id": WHO * 10, "text": f"customer_id={WHO}1"}).encode(),
    "amounts.parquet": pa.table({"customer_id": [1], "orders": [WHO]}),
}


def test_what_is_no_store_of_ours_is_named_and_left(erased: Any, tmp_path: Path) -> None:
    repository = Path(shutil.copytree(erased[0], tmp_path / "planted", symlinks=True))
    for name, content in (LEFT | NOT_THEM).items():
        plant(repository, name, content)
    with sqlite3.connect(repository / "data" / "more.db") as connection:
        connection.execute("CREATE TABLE seen (customer_id INTEGER, times INTEGER)")
        connection.execute("INSERT INTO seen VALUES (?, 1)", (WHO,))
    done = erase(repository)
    assert done.returncode == 1, done.stdout
    left = [
        line.split(":")[1].strip() for line in done.stdout.splitlines() if line.startswith("left:")
    ]
    assert left == sorted(f"data/{name}" for name in (*LEFT, "more.db"))
    record = records(log_of(repository), "erasure")[-1]
    assert (record.passed, record.figures["left"]) == (False, len(left))
    assert str(WHO) not in done.stdout


def test_bytes_that_linger_in_a_free_page_are_found(erased: Any, tmp_path: Path) -> None:
    """Rows that SQLite only unlinked, in a file that is no store of ours."""
    repository = Path(shutil.copytree(erased[0], tmp_path / "lingering", symlinks=True))
    other = repository / "data" / "copy_of_the_store.db"
    key = b"customer_id" + bytes([4, 0, 0, 0, 8, 0, 0, 0]) + WHO.to_bytes(8, "little")
    with sqlite3.connect(other) as connection:
        connection.execute("PRAGMA secure_delete = OFF")
        connection.execute("CREATE TABLE rows (entity_key BLOB)")
        connection.executemany("INSERT INTO rows VALUES (?)", [(key,)] * 500)
        connection.commit()
        connection.execute("DELETE FROM rows")
    assert key in other.read_bytes()
    done = erase(repository)
    assert done.returncode == 1
    assert "left: data/copy_of_the_store.db: 1 found" in done.stdout


def test_an_error_on_record_that_quotes_the_customer_is_blotted(
    erased: Any, tmp_path: Path
) -> None:
    repository = Path(shutil.copytree(erased[0], tmp_path / "quoted", symlinks=True))
    said = f"orders is negative in 3 rows, first {{'customer_id': WHO, 'seen': {WHO}}}"
    figures = {"error": said.replace("WHO", str(WHO)), "customer_id": WHO, "rows": WHO}
    plant(repository, "", Record("refresh", VIEW, PRESENT, False, None, figures))
    plant(repository, "", Record("refresh", VIEW, PRESENT, True, None, {"rows": 3}))
    done = erase(repository)
    assert done.returncode == 0, done.stdout
    blotted, other = records(log_of(repository), "refresh")[-2:]
    assert blotted.figures == {
        "error": said.replace("WHO", "[erased]"),
        "customer_id": "[erased]",
        "rows": WHO,
    }
    assert other.figures == {"rows": 3}


# What it refuses


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"key": ""}, "FEATURE_STORE_HASH_KEY is not set"),
        ({"key": "another key of that length"}, "holds the hash of no customer known here"),
        ({"who": "seven"}, "is a whole number in this repository"),
        ({"who": f"0{WHO}"}, "name one in plain digits, 7 and not 007"),
    ],
)
def test_a_refused_erasure_changes_nothing(served: Path, options: Any, says: str) -> None:
    before = all_bytes(served)
    refused = erase(served, **options)
    assert refused.returncode == 2, refused.stdout
    assert refused.stderr.startswith("refused: ")
    assert says in refused.stderr
    assert all_bytes(served) == before


# Killed


KILLED = """
import os, sys
import scripts.erase
import jobs.privacy.erase as erase
import jobs.privacy.erased_rows as erased_rows
from feature_access.online_stores.sqlite_store import DefaultingSqliteOnlineStore
from feature_pipeline.erasure.erased_customers import ErasedCustomers
from jobs.privacy.sets_on_record import SetOnRecord
steps = [(erased_rows, "remove"), (ErasedCustomers, "write"),
         (DefaultingSqliteOnlineStore, "forget"), (SetOnRecord, "erase"),
         (erase, "operations_log"), (erase, "search")]
count, last = 0, int(sys.argv[1])
def wrapped(step):
    def dies(*arguments, **options):
        global count
        done = step(*arguments, **options)
        count += 1
        if count == last:
            os._exit(137)
        return done
    return dies
for owner, name in steps:
    setattr(owner, name, wrapped(getattr(owner, name)))
from contract_checks.clock import instant
scripts.erase.main(sys.argv[2], instant(sys.argv[3]))
"""
STEPS = 9


@pytest.mark.slow
@pytest.mark.parametrize("step", range(1, STEPS + 1))
def test_a_killed_erasure_is_completed_by_the_next(
    repository: Path, erased: Any, step: int
) -> None:
    env = {k: v for k, v in os.environ.items() if not k.startswith("FEATURE_STORE_")}
    env |= {"PYTHONPATH": str(repository), "FEATURE_STORE_HASH_KEY": KEY}
    arguments = ("-c", KILLED, str(step), str(WHO), PRESENT.isoformat())
    killed = run(repository, Path(sys.executable).name, *arguments, env=env)
    assert killed.returncode == 137, killed.stdout + killed.stderr
    refreshed(repository, PRESENT)  # whatever state it left them in
    done = erase(repository)
    assert done.returncode == 0, done.stdout + done.stderr
    for file in TABLES:
        assert rows(repository, file) == rows(erased[0], file)
    assert (repository / LIST).read_bytes() == (erased[0] / LIST).read_bytes()
    assert online_rows(repository) == online_rows(erased[0])
    assert check(repository, PRESENT, "§9 masking").returncode == 0
    assert records(log_of(repository), "erasure")[-1].passed


@pytest.mark.slow
def test_killed_before_a_training_set_takes_its_place(repository: Path) -> None:
    """Its new digest is on record by then: the set is another one until erasing is run again."""
    log = OperationsLog(f"sqlite:///{log_of(repository)}")
    figures = {"path": str(SET), "digest": "of the draft", "rows": 2}
    log.append(Record("erasure", VIEW, PRESENT, True, None, figures))
    assert check(repository, PRESENT, "§9 masking").returncode == 1
    assert erase(repository).returncode == 0
    assert check(repository, PRESENT, "§9 masking").returncode == 0
