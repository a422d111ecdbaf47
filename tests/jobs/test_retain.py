"""scripts/retain.py: what is older than the contract allows leaves every store, and stays gone."""

import os
import shutil
import sqlite3
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pyarrow.parquet as pq
import pytest
from feast_copy import HISTORY, apply, copy_of_the_whole_project, run
from jobs_run import ALWAYS, EVENTS, KEY, VIEW, job, log_of, records
from oracle import Event, Oracle, Profile, read_change_log, read_events, write_events

from contract_checks.operations.log import OperationsLog, Record
from storage.table_bounds import retained_since

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
PRESENT = datetime(2026, 3, 1, 12, tzinfo=UTC)
LONG_AGO = PRESENT - 396 * DAY
CUTOFF = PRESENT - 365 * DAY
QUARANTINE = EVENTS.with_name("customer_events_quarantine.parquet")
ONLINE = Path("data") / "online_store.db"
OLD_SET, NEW_SET = (Path("data") / f"{age}.parquet" for age in ("old", "new"))
STORES = ("events", "offline", "online", "operations log", "quarantine", "training sets")


def daily(customer: int, days: int) -> Event:
    """What a customer did so many days before the present."""
    at = PRESENT - days * DAY
    return Event(customer, at, at + HOUR, customer, Decimal(10 * customer + days), days)


def shopping() -> list[Event]:
    """1 always shops, 2 did about the cutoff, 3 only long before, 4 is new; one event is late."""
    always = [daily(1, days) for days in range(0, 430, 9)]
    late = daily(1, 400)._replace(created_timestamp=PRESENT - 390 * DAY)
    late = late._replace(event_timestamp=late.event_timestamp + HOUR)
    return [*always, daily(2, 370), daily(2, 368), daily(3, 420), daily(4, 3), late]


def silent(at: datetime) -> bool:
    """Whether nothing had arrived for longer than the allowed lateness: its refresh ends in 1."""
    return all(at - e.created_timestamp > DAY for e in shopping() if e.created_timestamp <= at)


class Retained(NamedTuple):
    repository: Path
    before: Any
    """What the check of the clause said before."""
    done: Any


@pytest.fixture(scope="module")
def aged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Served for more than a year, with training sets of then and of now; not to be changed."""
    copy = copy_of_the_whole_project(tmp_path_factory.mktemp("aged"))
    write_events(shopping(), copy / EVENTS)
    apply(copy)
    for moment in (LONG_AGO, PRESENT - 300 * DAY, PRESENT):
        done = job(copy, "refresh", "--as-of", moment.isoformat())
        assert done.returncode == silent(moment), done.stdout + done.stderr
    for target, age in ((OLD_SET, 366 * DAY), (NEW_SET, DAY)):
        labels = {"customer_id": [1, 2], "event_timestamp": PRESENT - age}
        pd.DataFrame(labels).to_parquet(copy / "labels.parquet")
        arguments = ("labels.parquet", target, "--consumer", "ML Platform")
        at = ("--as-of", (PRESENT - HOUR).isoformat())
        done = job(copy, "build_training_set", *arguments, *at, FEATURE_STORE_HASH_KEY=KEY)
        assert done.returncode == 0, done.stderr
    return copy


@pytest.fixture
def repository(aged: Path, tmp_path: Path) -> Path:
    """The same, to be changed. Feast looks for its data where it was made, our jobs here."""
    return Path(shutil.copytree(aged, tmp_path / "repository", symlinks=True))


@pytest.fixture(scope="module")
def retained(aged: Path, tmp_path_factory: pytest.TempPathFactory) -> Retained:
    """One that let go of what was too old; not to be changed."""
    copy = registered(aged, tmp_path_factory.mktemp("retained") / "repository")
    return Retained(copy, judged(copy), retain(copy))


def registered(aged: Path, to: Path) -> Path:
    """A copy in which Feast looks for its data, too."""
    shutil.copytree(aged, to, symlinks=True)
    apply(to)
    return to


def retain(repository: Path, *options: str, at: datetime = PRESENT) -> Any:
    return job(repository, "retain", "--as-of", at.isoformat(), *options)


def judged(repository: Path, clause: str = "§9 retention policy", at: datetime = PRESENT) -> Any:
    arguments = ("check", "--as-of", at.isoformat(), "--select", clause)
    env = os.environ | {"PYTHONPATH": str(repository), "COLUMNS": "200"}
    return run(repository, "contract-checks", *arguments, env=env)


def contents(repository: Path) -> dict[str, Any]:
    """All rows of all stores, but what the log says of the retentions themselves."""
    files = (EVENTS, HISTORY, QUARANTINE, OLD_SET, NEW_SET)
    found: dict[str, Any] = {
        str(file): sorted(pq.read_table(repository / file).to_pylist(), key=_in_order)
        if (repository / file).exists()
        else None
        for file in files
    }
    with sqlite3.connect(repository / ONLINE) as connection:
        for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'"):
            query = f'SELECT * FROM "{table}" ORDER BY 1, 2'
            found[table] = connection.execute(query).fetchall()
    log = OperationsLog(f"sqlite:///{log_of(repository)}").records(ALWAYS)
    return found | {"log": [r for r in log if r.job not in ("retention", "check")]}


def _in_order(row: dict[str, Any]) -> tuple[str, datetime]:
    """A table may be of one part or of several."""
    return str(row["customer_id"]), row["event_timestamp"]


def test_what_was_broken_is_kept(retained: Retained) -> None:
    repository, before, done = retained
    assert before.returncode == 1
    broken = [line for line in before.stdout.splitlines() if "holds nothing older" in line]
    assert all(any(store in line for line in broken) for store in STORES), before.stdout
    assert done.returncode == 0, done.stderr
    after = judged(repository)
    assert after.returncode == 0, after.stdout + after.stderr
    assert not (repository / OLD_SET).exists()
    assert not (repository / OLD_SET).with_name("old.receipt.json").exists()
    assert (repository / NEW_SET).is_file()


def test_the_record_tells_what_went(retained: Retained) -> None:
    deleted, record = records(log_of(retained.repository), "retention")
    assert deleted.figures["deleted"] == str(OLD_SET)
    assert (record.subject, record.at, record.passed) == (VIEW, PRESENT, True)
    assert record.seconds is not None and record.seconds > 0
    assert record.figures["cutoff"] == CUTOFF.isoformat()
    assert record.figures["staying"] == []
    removed = record.figures["removed"]
    assert sorted(removed) == sorted(STORES)
    assert (removed["quarantine"], removed["training sets"], removed["operations log"]) == (1, 2, 2)
    old = [e for e in shopping() if e.event_timestamp < CUTOFF]
    assert (removed["events"], removed["online"]) == (len(old), 1)


def test_nobody_who_is_gone_keeps_a_row(retained: Retained) -> None:
    log = read_change_log(retained.repository / HISTORY)
    assert set(log.of_customer) == {1, 2, 4}
    assert retained_since(retained.repository / HISTORY) == CUTOFF
    assert min(row.event_timestamp for row in log.rows) == CUTOFF
    assert {e.customer_id for e in read_events(retained.repository / EVENTS)} == {1, 4}


def test_a_second_run_finds_nothing_and_changes_nothing(retained: Retained, tmp_path: Path) -> None:
    again = Path(shutil.copytree(retained.repository, tmp_path / "again", symlinks=True))
    once = contents(again)
    done = retain(again)
    assert done.returncode == 0, done.stderr
    assert set(records(log_of(again), "retention")[-1].figures["removed"].values()) == {0}
    assert contents(again) == once


def test_a_dry_run_tells_the_same_and_changes_nothing(aged: Path, retained: Retained) -> None:
    files = {f: f.read_bytes() for f in (aged / "data").rglob("*") if f.is_file()}
    told = retain(aged, "--dry-run")
    assert told.returncode == 0, told.stderr
    assert {f: f.read_bytes() for f in (aged / "data").rglob("*") if f.is_file()} == files
    assert "would go" in told.stdout
    told_and_done = [
        [line.split()[-2] for line in out.splitlines() if any(s in line for s in STORES)]
        for out in (told.stdout, retained.done.stdout)
    ]
    assert len(told_and_done[0]) == len(STORES)
    assert told_and_done[0] == told_and_done[1]


def answers(repository: Path, at: list[tuple[int, datetime]]) -> Any:
    """What plain Feast answers: offline as asked, and online for the same customers."""
    from feature_access.registry import open_store

    store = open_store(repository)
    frame = pd.DataFrame(at, columns=["customer_id", "event_timestamp"])
    service = store.get_feature_service(VIEW)
    offline = store.get_historical_features(frame, service).to_df()[list(Profile._fields)]
    keys = [{"customer_id": int(c)} for c in sorted({c for c, _ in at})]
    now = store.get_online_features(service, keys).to_df()[list(Profile._fields)]
    return list(offline.itertuples(index=False, name=None)), list(
        now.itertuples(index=False, name=None)
    )


def test_every_answer_since_the_cutoff_is_as_without_retention(
    retained: Retained, aged: Path, tmp_path: Path
) -> None:
    """Through the real join and the real online store, refreshed on afterwards, beside a twin."""
    repository = registered(retained.repository, tmp_path / "repository")
    twin = registered(aged, tmp_path / "twin")
    later = PRESENT + 5 * DAY
    for one in (repository, twin):
        done = job(one, "refresh", "--as-of", later.isoformat())
        assert done.returncode == silent(later), done.stderr
    oracle = Oracle(shopping(), lookback_window=30 * DAY, allowed_lateness=DAY)
    points = {at for _, at in oracle.change_points()} | {CUTOFF, PRESENT, later}
    asked = [(c, at) for c in (1, 2, 3, 4, 9) for at in sorted(points) if CUTOFF <= at <= later]
    assert len(asked) > 200
    got, expected = answers(repository, asked), answers(twin, asked)
    assert got == expected
    assert {row[1:] for row in got[0]} >= {oracle.profile(2, CUTOFF)[1:]} != {(0, 0, 0)}
    backfill = job(repository, "backfill", "--as-of", later.isoformat())
    assert backfill.returncode == 0, backfill.stdout + backfill.stderr


def test_a_time_that_is_gone_is_refused_and_not_answered_with_defaults(
    retained: Retained, tmp_path: Path
) -> None:
    repository = registered(retained.repository, tmp_path / "repository")
    for at, code in ((CUTOFF - HOUR, 2), (CUTOFF, 0)):
        pd.DataFrame({"customer_id": [1, 2], "event_timestamp": at}).to_parquet(
            repository / "labels.parquet"
        )
        arguments = ("labels.parquet", "asked.parquet", "--consumer", "ML Platform")
        done = job(
            *(repository, "build_training_set", *arguments, "--as-of", PRESENT.isoformat()),
            FEATURE_STORE_HASH_KEY=KEY,
        )
        assert done.returncode == code, done.stderr
        assert ("of which retention has let go" in done.stderr) == (code == 2)


def test_what_will_be_too_old_by_the_next_run_can_go_now(repository: Path) -> None:
    assert retain(repository, "--ahead-hours", "24").returncode == 0
    assert retained_since(repository / HISTORY) == CUTOFF + DAY


KILLED = """
import os, sys
import scripts.retain
import jobs.privacy.retain as retain
from jobs import repository
from jobs.privacy import old_records
steps = [(repository, "clear_drafts"),
         (retain, "delete_expired_history"), (retain, "delete_expired_events"),
         (old_records.OldTrainingSets, "delete"), (old_records.OldRecords, "delete")]
from feature_access.online_stores.sqlite_store import DefaultingSqliteOnlineStore as online
steps.append((online, "forget_older"))
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
scripts.retain.main(instant(sys.argv[2]))
"""
STEPS = 7


@pytest.mark.slow
@pytest.mark.parametrize("step", range(1, STEPS + 1))
def test_a_killed_run_is_completed_by_the_next(
    aged: Path, retained: Retained, tmp_path: Path, step: int
) -> None:
    repository = registered(aged, tmp_path / "repository")
    env = {k: v for k, v in os.environ.items() if not k.startswith("FEATURE_STORE_")}
    env |= {"PYTHONPATH": str(repository)}
    arguments = ("-c", KILLED, str(step), PRESENT.isoformat())
    killed = run(repository, Path(sys.executable).name, *arguments, env=env)
    assert killed.returncode == 137, killed.stderr
    # In whatever state it left them, the stores refresh.
    done = job(repository, "refresh", "--as-of", PRESENT.isoformat())
    assert done.returncode == silent(PRESENT), done.stdout + done.stderr
    assert retain(repository).returncode == 0
    got, expected = contents(repository), contents(retained.repository)
    got["log"] = [r for r in got["log"] if r.at != PRESENT]
    expected["log"] = [r for r in expected["log"] if r.at != PRESENT]
    assert got == expected


def test_what_stays_and_what_leaves_with_the_rest(repository: Path) -> None:
    """Drafts of running jobs, records of versions, and files that are not ours to delete."""
    dead, alive = (
        (repository / EVENTS).with_name(f".customer_events.parquet.{pid}.draft")
        for pid in (2**22 + 1, os.getpid())
    )
    for draft in (dead, alive):
        draft.write_bytes(b"half written")
    ancient = [Record(name, VIEW, LONG_AGO, True) for name in ("promotion", "rollback", "check")]
    append(repository, *ancient, Record("canary", VIEW, LONG_AGO, True))
    replaced = pq.read_table(repository / OLD_SET).slice(1)
    pq.write_table(replaced, repository / OLD_SET)
    done = retain(repository)
    assert done.returncode == 0, done.stderr
    assert (dead.exists(), alive.exists()) == (False, True)
    log = OperationsLog(f"sqlite:///{log_of(repository)}").records(ALWAYS)
    assert [r for r in log if r.at == LONG_AGO] == ancient
    assert f"stays: {OLD_SET}, which is another file" in done.stdout
    assert pq.read_table(repository / OLD_SET).equals(replaced)


# What stays, and what is refused


def append(repository: Path, *those: Record) -> None:
    OperationsLog(f"sqlite:///{log_of(repository)}").append(*those)


def baseline(at: datetime, **more: Any) -> Record:
    figures = {"from": (at - 30 * DAY).isoformat(), "to": at.isoformat()}
    return Record("baseline", VIEW, at, True, None, figures | more)


def test_a_baseline_stays_until_another_can_take_its_place(aged: Path, tmp_path: Path) -> None:
    repository = registered(aged, tmp_path / "repository")
    first = baseline(PRESENT - 350 * DAY)
    append(repository, first)
    done = retain(repository)
    assert done.returncode == 0
    assert f"stays: the baseline of {VIEW}" in done.stdout
    assert "freeze_baseline.py" in done.stdout
    assert judged(repository).returncode == 1
    frozen = job(repository, "freeze_baseline", "--as-of", PRESENT.isoformat())
    assert frozen.returncode == 0, frozen.stderr
    done = retain(repository)
    assert "stays" not in done.stdout
    assert [r.at for r in records(log_of(repository), "baseline")] == [PRESENT]
    assert judged(repository).returncode == 0


@pytest.mark.parametrize(
    ("spoil", "ahead", "says"),
    [
        (lambda it: None, 336 * DAY, "less than a look-back window after"),
        (lambda it: (it / HISTORY).unlink(), 0 * DAY, "no change log"),
        (lambda it: (it / EVENTS).write_bytes(b"PAR1 no more"), 0 * DAY, "cannot be read"),
    ],
    ids=["not refreshed for most of a year", "no change log", "damaged events"],
)
def test_a_refused_run_changes_nothing(
    repository: Path, spoil: Callable[[Path], Any], ahead: timedelta, says: str
) -> None:
    spoil(repository)
    files = {f: f.read_bytes() for f in (repository / "data").rglob("*") if f.is_file()}
    refused = retain(repository, "--ahead-hours", str(ahead // HOUR))
    assert refused.returncode == 2, refused.stdout
    assert refused.stderr.startswith("refused: ")
    assert says in refused.stderr
    assert {f: f.read_bytes() for f in (repository / "data").rglob("*") if f.is_file()} == files


@pytest.mark.parametrize("name", ["retain", "refresh", "erase"])
def test_a_contract_of_another_feature_touches_nothing_of_this_one(aged: Path, name: str) -> None:
    """One that is kept 90 days: what this one keeps for 365 stays, and nothing is on record."""
    document = aged / "contracts" / "basket_v1.md"
    text = (aged / "contracts" / "customer_profile_v1.md").read_text(encoding="utf-8")
    text = text.replace("customer_profile", "basket").replace("365 days", "90 days")
    document.write_text(text, encoding="utf-8")
    before = contents(aged), OperationsLog(f"sqlite:///{log_of(aged)}").records(ALWAYS)
    whom = ("1",) if name == "erase" else ()
    told = ("--contract", str(document), "--as-of", PRESENT.isoformat())
    done = job(aged, name, *whom, *told, FEATURE_STORE_HASH_KEY=KEY)
    document.unlink()
    assert done.returncode == 2, done.stdout + done.stderr
    assert "§1 feature name is basket, theirs is customer_profile" in done.stderr
    assert "Nothing was done" in done.stderr
    after = contents(aged), OperationsLog(f"sqlite:///{log_of(aged)}").records(ALWAYS)
    assert after == before
