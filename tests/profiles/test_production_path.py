"""The demonstration's whole path on PostgreSQL and Redis, each job by a login that may no more."""

import re
from collections.abc import Iterator
from pathlib import Path
from shutil import copyfile, copytree
from typing import NamedTuple

import pytest
from conftest import its_own
from feast_copy import HISTORY, ROOT, copy_of_the_whole_project, run
from oracle import read_change_log
from postgres_server import Database, PostgresServer
from production import asked_for
from redis_server import RedisServer
from two_versions import UNHURRIED_START
from warehouse import (
    EVENTS,
    JUDGE,
    LOG,
    PIPELINE,
    RETENTION,
    SECRET,
    TRAINING,
    change_log,
    fill_raw,
    prepare,
)

pytest_plugins = ["postgres_server"]

BEFORE, PRESENT = "2017-11-30T23:00Z", "2017-12-01T00:00Z"
PROMOTING = "promoting_job"
"""A login that judges and trains: what a rehearsal reads."""

STORES = ("offline", "events", "online")


class Jobs(NamedTuple):
    """A repository on this profile, and its jobs."""

    repository: Path
    warehouse: Database
    redis: RedisServer

    def run(self, login: str, command: str, *arguments: str, code: int = 0) -> str:
        """What the job said; it shows no secret, whatever its exit code."""
        held = {
            **its_own(self.repository),
            **asked_for(self.warehouse, self.redis, login),
            "FEATURE_STORE_HASH_KEY": "sixteen or more characters",
        }
        done = run(self.repository, command, *arguments, env=held)
        said = done.stdout + done.stderr
        assert done.returncode == code, said
        assert SECRET not in said
        return said

    def script(self, login: str, name: str, *arguments: str, code: int = 0) -> str:
        start = [str(UNHURRIED_START)] if name == "promote" else []
        return self.run(login, "python", *start, f"scripts/{name}.py", *arguments, code=code)


@pytest.fixture
def jobs(postgres: PostgresServer, tmp_path: Path) -> Iterator[Jobs]:
    """Applied on empty servers."""
    repository = copy_of_the_whole_project(tmp_path / "repository")
    copytree(ROOT / "profiles", repository / "profiles")
    (tmp_path / "redis").mkdir()
    redis = RedisServer(tmp_path / "redis")
    with postgres.new_database() as database:
        prepare(database, {PROMOTING: ("judge", "training", "registry")})
        jobs = Jobs(repository, database, redis)
        jobs.run(PIPELINE, "feast", "apply")
        yield jobs
    redis.kill()


def entities(jobs: Jobs) -> str:
    file = jobs.repository / "data" / "entities.csv"
    rows = [f"{customer},2017-11-{customer % 28 + 1:02}T12:00:00Z" for customer in range(1, 200)]
    file.write_text("\n".join(["customer_id,event_timestamp", *rows]) + "\n")
    return str(file)


@pytest.mark.slow
def test_what_dbt_appends_becomes_the_rows_of_the_demonstration(
    jobs: Jobs, kept_repository: Path, tmp_path: Path
) -> None:
    fill_raw(jobs.warehouse, tmp_path)
    assert "155,764 events delivered" in jobs.script(PIPELINE, "ingest", "--as-of", PRESENT)
    jobs.script(PIPELINE, "refresh", "--as-of", PRESENT)
    demonstrated = read_change_log(kept_repository / HISTORY)
    assert change_log(jobs.warehouse).rows == sorted(demonstrated.rows)
    assert len(demonstrated.rows) == 237_405

    delivered = delivery(jobs)
    assert jobs.script(PIPELINE, "ingest").startswith("0 events delivered")
    with jobs.warehouse.connect() as tills:
        tills.execute("INSERT INTO raw.purchases VALUES (1, 1, 1, 9.99, '2018-02-03 10:15:00')")
    assert jobs.script(PIPELINE, "ingest").startswith("1 events delivered")
    assert len(delivery(jobs) - delivered) == 1
    assert delivered < delivery(jobs)
    showing_the_secret = [
        file
        for file in (jobs.repository / "customer_activity" / "made").rglob("*")
        if file.is_file() and SECRET.encode() in file.read_bytes()
    ]
    assert showing_the_secret == []
    assert (jobs.repository / "customer_activity" / "made" / "logs" / "dbt.log").is_file()


@pytest.mark.slow
def test_from_purchases_to_a_contract_of_which_every_clause_is_kept(
    jobs: Jobs, tmp_path: Path
) -> None:
    fill_raw(jobs.warehouse, tmp_path)
    assert "155,764 events delivered" in jobs.script(PIPELINE, "ingest", "--as-of", BEFORE)
    jobs.script(PIPELINE, "refresh", "--as-of", BEFORE)
    built = ("data/training_set.parquet", "--consumer", "ML Platform", "--as-of", BEFORE)
    jobs.script(PROMOTING, "build_training_set", entities(jobs), *built)
    promoted = jobs.script(PROMOTING, "promote", "--as-of", BEFORE)
    assert "customer_profile_v1 is promoted" in promoted
    told = jobs.run(JUDGE, "contract-checks", "verify", "data/receipts/customer_profile_v1.json")
    assert "14 of 14 items as they were" in told

    assert "54 rows added" in jobs.script(PIPELINE, "refresh", "--as-of", PRESENT)
    checked = jobs.run(JUDGE, "contract-checks", "check", "--as-of", PRESENT)
    assert "71 clauses checked, 71 kept, 0 broken, 0 unknown" in checked
    assert "orders_30d" in jobs.script(TRAINING, "look_up", "1")
    drift = jobs.script(JUDGE, "drift", "--as-of", PRESENT)
    assert len(re.findall(r"_30d .* kept", drift)) == 4
    beside_the_lock = (jobs.repository / "data" / "data_warehouse").iterdir()
    assert [path.name for path in beside_the_lock] == ["writing.lock"]


def delivery(jobs: Jobs) -> set[tuple[object, ...]]:
    """The events, each with the transaction that wrote it and where it lies."""
    with jobs.warehouse.connect() as owner:
        return set(owner.execute(f"SELECT xmin::text, ctid::text, * FROM {EVENTS}").fetchall())


@pytest.mark.slow
def test_erasure_and_retention_reach_the_warehouse(
    jobs: Jobs, real_events: Path, tmp_path: Path
) -> None:
    copyfile(real_events, jobs.repository / "delivery.parquet")
    assert "155,764 events loaded" in jobs.script(PIPELINE, "load_events", "delivery.parquet")
    jobs.script(PIPELINE, "refresh", "--as-of", BEFORE)
    copytree(jobs.repository, tmp_path / "second", symlinks=True)
    second_host = jobs._replace(repository=tmp_path / "second")

    planned = jobs.script(RETENTION, "erase", "1", "--as-of", BEFORE, "--dry-run")
    assert [store for store in STORES if not re.search(rf"{store}\W+[1-9]", planned)] == []
    erased = jobs.script(RETENTION, "erase", "1", "--as-of", BEFORE)
    assert "something left in 0" in erased
    assert re.search(rf"{LOG} .* 0", erased)
    for host in (second_host, jobs):
        again = host.script(PIPELINE, "load_events", "delivery.parquet")  # which still holds them
        assert "events of erased customers were delivered and left out" in again
        host.script(PIPELINE, "refresh", "--as-of", PRESENT)
    assert 1 not in {row.customer_id for row in change_log(jobs.warehouse).rows}
    assert ", 0 differ" in jobs.script(JUDGE, "backfill", "--as-of", PRESENT)

    later = "2018-03-01T00:00Z"
    assert "source silent" in jobs.script(PIPELINE, "refresh", "--as-of", later, code=1)
    select = ("contract-checks", "check", "--as-of", later, "--select", "§9 retention policy")
    assert "offline holds nothing older" in jobs.run(JUDGE, *select, code=1)
    jobs.script(RETENTION, "retain", "--as-of", later)
    assert "1 clauses checked, 1 kept, 0 broken" in jobs.run(JUDGE, *select)
    built = ("data/training_set.parquet", "--consumer", "ML Platform", "--as-of", later)
    jobs.script(PROMOTING, "build_training_set", entities(jobs), *built)
    too_old = jobs.repository / "data" / "too_old.csv"
    too_old.write_text("customer_id,event_timestamp\n6,2017-02-01T12:00:00Z\n")
    refused = jobs.script(PROMOTING, "build_training_set", str(too_old), *built, code=2)
    assert "of which retention has let go" in refused
    again = jobs.script(PIPELINE, "refresh", "--as-of", later, code=1)
    assert "0 rows added" in again


@pytest.mark.slow
def test_of_whom_one_host_erased_no_purchase_is_delivered_again(jobs: Jobs, tmp_path: Path) -> None:
    """The tills still hold them, and others go on."""
    fill_raw(jobs.warehouse, tmp_path, "household_id <= 40")
    jobs.script(PIPELINE, "ingest", "--as-of", BEFORE)
    jobs.script(PIPELINE, "refresh", "--as-of", BEFORE)
    copytree(jobs.repository, tmp_path / "second", symlinks=True)
    second_host = jobs._replace(repository=tmp_path / "second")
    assert "something left in 0" in jobs.script(RETENTION, "erase", "1", "--as-of", BEFORE)
    with jobs.warehouse.connect() as tills:
        for household in (1, 2):
            tills.execute(
                "INSERT INTO raw.purchases VALUES (%s, 1, 1, 9.99, '2018-02-03 10:15:00')",
                [household],
            )
    for host, delivered in ((second_host, 1), (jobs, 0)):
        assert host.script(PIPELINE, "ingest").startswith(f"{delivered} events delivered")
    with jobs.warehouse.connect() as owner:
        held = {who for (who,) in owner.execute(f"SELECT DISTINCT customer_id FROM {EVENTS}")}
        assert 1 not in held
        assert 2 in held
        assert owner.execute("SELECT count(*) FROM customer_activity.left_out").fetchone() == (0,)
