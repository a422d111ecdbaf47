"""A server that is down, hung, full or says no: one line, exit code 2, nothing half done.

Each job that asks the server is run while it fails. What it says names the server and what to do,
and no secret; the stores are as before, and the next run does what it should.
"""

import os
import re
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from shutil import copytree
from typing import Any, NamedTuple

import pytest
from conftest import its_own
from feast_copy import ROOT, copy_of_the_whole_project, run
from postgres_server import Database, PostgresServer
from production import asked_for
from redis_server import RedisServer
from warehouse import (
    EVENTS,
    LOG,
    QUARANTINE,
    REFRESHES,
    SECRET,
    fill_raw,
    prepare,
)

pytest_plugins = ["postgres_server", "warehouse"]

EVERY_JOB, ITS_REGISTRY = "login_of_every_job", "its_registrys_login"
BEFORE, PRESENT, LATER = "2017-11-30T23:00Z", "2017-12-01T00:00Z", "2017-12-01T01:00Z"
AT = ("--as-of", PRESENT)
KEY = "sixteen or more characters"
HELD = (EVENTS, LOG, QUARANTINE, REFRESHES, "data_warehouse.erased_customers")

PLAIN_READ = """
from pathlib import Path
from feast import FeatureStore
store = FeatureStore(".")
service = store.get_feature_service("customer_profile")
print(store.get_online_features(service, [{"customer_id": 1}]).to_dict())
"""
JOBS = {
    "refresh": ("python", "scripts/refresh.py", "--as-of", LATER),
    "ingest": ("python", "scripts/ingest.py", "--as-of", LATER),
    "load_events": ("python", "scripts/load_events.py", "delivery.parquet"),
    "retain": ("python", "scripts/retain.py", *AT),
    "erase": ("python", "scripts/erase.py", "9", *AT),
    "promote": ("python", "scripts/promote.py", "--as-of", LATER),
    "canary": ("python", "scripts/canary.py", *AT),
    "drift": ("python", "scripts/drift.py", "--as-of", LATER),
    "backfill": ("python", "scripts/backfill.py", *AT),
    "build_training_set": (
        *("python", "scripts/build_training_set.py", "labels.csv", "data/again.parquet"),
        *("--consumer", "ML Platform", *AT),
    ),
    "look_up": ("python", "scripts/look_up.py", "1"),
}
OF_WAREHOUSE = [name for name in JOBS if name not in ("look_up", "promote")]
WRITING = ["refresh", "load_events", "retain", "erase"]
OF_REGISTRY = [
    *("refresh", "retain", "promote", "canary", "drift", "backfill", "build_training_set"),
    "look_up",
]
OF_REDIS = ["refresh", "retain", "erase", "canary", "look_up"]


class Stage(NamedTuple):
    """A repository on the production profile whose jobs have all run once."""

    repository: Path
    warehouse: Database
    redis: RedisServer
    environment: dict[str, str]

    def run(self, *words: str, **more: str) -> Any:
        return run(self.repository, *words, env={**self.environment, **more})

    def held(self) -> dict[str, Any]:
        """What the stores hold."""
        with self.warehouse.connect() as owner:
            rows = {t: sorted(map(str, owner.execute(f"TABLE {t}"))) for t in HELD}
        with self.redis.client() as client:
            online = {key: client.hgetall(key) for key in client.scan_iter()}
        return {**rows, "online": online}


@pytest.fixture(scope="module")
def stage(
    postgres: PostgresServer, real_events: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("stage")
    repository = copy_of_the_whole_project(folder / "repository")
    copytree(ROOT / "profiles", repository / "profiles")
    (folder / "redis").mkdir()
    redis = RedisServer(folder / "redis")
    with postgres.new_database() as database:
        roles = ("pipeline", "training", "judge", "retention", "registry")
        prepare(database, {EVERY_JOB: roles, ITS_REGISTRY: ("registry",)})
        fill_raw(database, folder, "household_id <= 40")
        environment = its_own(repository) | asked_for(database, redis, EVERY_JOB)
        of_registry = asked_for(database, redis, ITS_REGISTRY)["FEATURE_STORE_REGISTRY"]
        environment |= {"FEATURE_STORE_HASH_KEY": KEY, "FEATURE_STORE_REGISTRY": of_registry}
        stage = Stage(repository, database, redis, environment)
        labels = [f"{customer},2017-11-20T12:00:00Z" for customer in range(1, 41)]
        text = "\n".join(["customer_id,event_timestamp", *labels])
        (repository / "labels.csv").write_text(text + "\n")
        for words in (
            ("feast", "apply"),
            ("python", "scripts/ingest.py", "--as-of", BEFORE),
            ("python", "scripts/refresh.py", "--as-of", BEFORE),
            ("python", "scripts/freeze_baseline.py", "--as-of", BEFORE),
            ("python", "scripts/refresh.py", "--as-of", PRESENT),
        ):
            done = stage.run(*words)
            assert done.returncode == 0, done.stdout + done.stderr
        deliver_again(stage)
        yield stage
    redis.kill()


def deliver_again(stage: Stage) -> None:
    """A file of events that the warehouse holds, for load_events."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from storage.postgres_arrow import copied_out

    columns = "customer_id, event_timestamp, created_timestamp, orders, order_value, sessions"
    with stage.warehouse.connect() as owner:
        owner.execute("SET TIME ZONE 'UTC'")
        held = copied_out(owner, f"SELECT {columns} FROM {EVENTS}")
    money = held["order_value"].cast(pa.decimal128(18, 2))
    pq.write_table(held.set_column(4, "order_value", money), stage.repository / "delivery.parquet")


# What goes wrong. Each gives what the environment has besides.

Fault = Callable[[Stage], AbstractContextManager[dict[str, str]]]


def env(**more: str) -> Fault:
    return lambda stage: nullcontext(
        {k: v.format(port=stage.warehouse.port, **stage.environment) for k, v in more.items()}
    )


def registry_at(change: Callable[[str, Stage], str]) -> Fault:
    name = "FEATURE_STORE_REGISTRY"
    return lambda stage: nullcontext({name: change(stage.environment[name], stage)})


@contextmanager
def altered(
    login: str, setting: str, undone: str, stage: Stage, options: str = ""
) -> Iterator[dict[str, str]]:
    with stage.warehouse.connect() as owner:
        owner.execute(f"ALTER ROLE {login} {setting}")
        try:
            yield {"PGOPTIONS": options} if options else {}
        finally:
            owner.execute(f"ALTER ROLE {login} {undone}")


def full(stage: Stage) -> AbstractContextManager[dict[str, str]]:
    """No temporary file may be written: what stands for a full disk."""
    setting = "SET temp_file_limit = 0"
    undone, little = "RESET temp_file_limit", "-c work_mem=64kB -c temp_buffers=800kB"
    return altered(EVERY_JOB, setting, undone, stage, little)


@contextmanager
def locked(stage: Stage, options: str = "", ending: bool = False) -> Iterator[dict[str, str]]:
    """Another session holds the tables; whoever waits for them may be ended by an operator."""
    stop = threading.Event()

    def end() -> None:
        with stage.warehouse.connect() as operator:
            while not stop.wait(0.1):
                operator.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE wait_event_type = 'Lock' AND datname = current_database()"
                )

    with stage.warehouse.connect() as other, other.transaction():
        other.execute(f"LOCK TABLE {EVENTS}, {LOG} IN ACCESS EXCLUSIVE MODE")
        operator = threading.Thread(target=end)
        if ending:
            operator.start()
        try:
            yield {"PGOPTIONS": options} if options else {}
        finally:
            stop.set()
            if ending:
                operator.join()


@contextmanager
def hung(stage: Stage) -> Iterator[dict[str, str]]:
    """The warehouse's process that serves the job stops amid a statement, its socket open."""
    stop, stopped = threading.Event(), []

    def halt() -> None:
        with stage.warehouse.connect() as operator:
            while not stop.wait(0.05):
                waiting = operator.execute(
                    "SELECT pid FROM pg_stat_activity "
                    "WHERE wait_event_type = 'Lock' AND datname = current_database()"
                ).fetchall()
                for (process,) in waiting:
                    os.kill(process, signal.SIGSTOP)
                    stopped.append(process)
                if waiting:
                    return

    with stage.warehouse.connect() as other, other.transaction():
        other.execute(f"LOCK TABLE {EVENTS}, {LOG} IN ACCESS EXCLUSIVE MODE")
        operator = threading.Thread(target=halt)
        operator.start()
        try:
            yield {"PGOPTIONS": "-c statement_timeout=3s"}
        finally:
            stop.set()
            operator.join()
            for process in stopped:
                os.kill(process, signal.SIGCONT)


@contextmanager
def mute(stage: Stage, variable: str) -> Iterator[dict[str, str]]:
    """A socket that takes every connection and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listening:
        port, limits = listening.getsockname()[1], {"PGCONNECT_TIMEOUT": "2"}
        old = stage.environment[variable]
        there = str(port) if old.isdigit() else re.sub(r":\d+(/|$)", rf":{port}\1", old)
        yield {variable: there, **limits}


@contextmanager
def redis_has(setting: str, value: str, stage: Stage) -> Iterator[dict[str, str]]:
    with stage.redis.client() as client:  # one that is in before a password is asked for
        (before,) = client.config_get(setting).values()
        client.config_set(setting, value)
        try:
            address = stage.environment["FEATURE_STORE_REDIS"]
            yield (
                {"FEATURE_STORE_REDIS": f"{address},password=wr0ng-{SECRET}"[:4_000]}
                if (setting == "requirepass")
                else {}
            )
        finally:
            client.config_set(setting, before)


@contextmanager
def redis_replica(stage: Stage) -> Iterator[dict[str, str]]:
    with stage.redis.client() as client:
        client.execute_command("REPLICAOF", "127.0.0.1", "1")
        try:
            yield {}
        finally:
            client.execute_command("REPLICAOF", "NO", "ONE")


@contextmanager
def redis_hung(stage: Stage) -> Iterator[dict[str, str]]:
    stage.redis.hang()
    try:
        address = stage.environment["FEATURE_STORE_REDIS"]
        yield {"FEATURE_STORE_REDIS": f"{address},socket_timeout=1,socket_connect_timeout=1"}
    finally:
        stage.redis.resume()


READ_ONLY = ("SET default_transaction_read_only = on", "RESET default_transaction_read_only")
ONE_MORE = ("CONNECTION LIMIT 0", "CONNECTION LIMIT -1")
NO_LOCK = {"options": "-c lock_timeout=300ms"}
NO_TIME = {"options": "-c statement_timeout=300ms"}
WAREHOUSE = "FEATURE_STORE_WAREHOUSE_HOST, _PORT"

FAULTS: dict[str, tuple[Fault, list[str], str]] = {
    "registry down": (
        registry_at(lambda there, stage: there.replace(f":{stage.warehouse.port}/", ":1/")),
        OF_REGISTRY,
        "the registry cannot be reached: .* FEATURE_STORE_REGISTRY is right",
    ),
    "registry password": (
        registry_at(lambda there, stage: there.replace("s3cret", "wr0ng")),
        OF_REGISTRY,
        "the registry lets this login not in: see FEATURE_STORE_REGISTRY",
    ),
    "registry hung": (
        partial(mute, variable="FEATURE_STORE_REGISTRY"),
        ["refresh", "look_up"],
        "the registry does not answer: .* FEATURE_STORE_REGISTRY",
    ),
    "registry without connections": (
        partial(altered, ITS_REGISTRY, *ONE_MORE),
        OF_REGISTRY,
        "the registry has no connection left for this login: ",
    ),
    "registry read-only": (
        partial(altered, ITS_REGISTRY, *READ_ONLY),
        ["refresh"],
        "the registry is read-only for this login, a standby perhaps: name the primary server",
    ),
    "warehouse down": (
        env(FEATURE_STORE_WAREHOUSE_PORT="1"),
        OF_WAREHOUSE,
        f"the warehouse cannot be reached: .* {WAREHOUSE}",
    ),
    "warehouse password": (
        env(FEATURE_STORE_WAREHOUSE_PASSWORD="wr0ng"),
        OF_WAREHOUSE,
        f"the warehouse lets this login not in: see {WAREHOUSE}, _USER, _PASSWORD",
    ),
    "warehouse hung": (
        partial(mute, variable="FEATURE_STORE_WAREHOUSE_PORT"),
        ["refresh", "ingest", "build_training_set"],
        "the warehouse does not answer: ",
    ),
    "warehouse hung amid a statement": (
        hung,
        ["refresh", "retain", "backfill", "build_training_set"],
        "the warehouse does not answer: see whether it hangs",
    ),
    "warehouse without connections": (
        partial(altered, EVERY_JOB, *ONE_MORE),
        OF_WAREHOUSE,
        "the warehouse has no connection left for this login: ",
    ),
    "warehouse read-only": (
        partial(altered, EVERY_JOB, *READ_ONLY),
        ["refresh", "load_events"],
        "the warehouse is read-only for this login, a standby perhaps: name the primary server",
    ),
    "session ended": (
        partial(locked, ending=True),
        [name for name in OF_WAREHOUSE if name != "ingest"],
        "the warehouse ended the session amid the work: see its log",
    ),
    "lock held": (
        partial(locked, **NO_LOCK),
        [name for name in OF_WAREHOUSE if name != "ingest"],
        r"the warehouse has given up waiting for a lock .*\(lock_timeout\): see pg_locks",
    ),
    "statement too long": (
        partial(locked, **NO_TIME),
        [name for name in OF_WAREHOUSE if name != "ingest"],
        "the warehouse stopped a statement that ran longer than statement_timeout: ",
    ),
    "disk full": (
        full,
        ["backfill"],
        "the warehouse has no room left on its disk, or for temporary files",
    ),
    "dbt's lock held": (
        partial(locked, **NO_LOCK),
        ["ingest"],
        "dbt build of customer_activity failed, see .*: .*lock timeout",
    ),
    "redis down": (env(FEATURE_STORE_REDIS="127.0.0.1:1,retry=null"), OF_REDIS, "cannot be re"),
    "redis password": (
        partial(redis_has, "requirepass", "right"),
        OF_REDIS,
        r"lets this login not in: see FEATURE_STORE_REDIS|invalid username-password",
    ),
    "redis hung": (redis_hung, OF_REDIS, "does not answer|did not answer"),
    "redis full": (
        partial(redis_has, "maxmemory", "1"),
        ["refresh", "canary"],
        "is full and takes no more rows: give it memory",
    ),
    "redis replica": (
        redis_replica,
        ["refresh", "canary", "erase"],
        "is a replica and takes no rows: name the primary server",
    ),
}
CASES = [(fault, job) for fault, (_, jobs, _) in FAULTS.items() for job in jobs]


@pytest.mark.slow
@pytest.mark.parametrize(("fault", "job"), CASES, ids=[f"{job}: {f}" for f, job in CASES])
def test_a_servers_fault_is_one_line_and_leaves_the_stores_alone(
    stage: Stage, fault: str, job: str
) -> None:
    happens, _, words = FAULTS[fault]
    before = stage.held()
    with happens(stage) as more:
        done = stage.run(*JOBS[job], **more)
    said = done.stdout + done.stderr
    assert done.returncode == 2, said
    assert "Traceback" not in said
    assert SECRET not in said
    assert "wr0ng" not in said
    assert re.search(words, done.stderr), done.stderr
    (line,) = [one for one in done.stderr.splitlines() if one.startswith(("failed:", "refused:"))]
    after = stage.held()
    changed = [table for table in (*HELD, "online") if after[table] != before[table]]
    # The warehouse comes first: what is done there stays, and the next run does the rest.
    goes_on = job in ("refresh", "erase") and fault.startswith(("redis", "registry read-only"))
    assert changed == [] or goes_on, line


@pytest.mark.slow
@pytest.mark.parametrize("job", JOBS)
def test_and_the_next_run_is_right(stage: Stage, job: str) -> None:
    """After all of that."""
    done = stage.run(*JOBS[job])
    may = {"refresh": (0, 1), "promote": (0, 1), "drift": (0, 1, 2)}.get(job, (0,))
    assert done.returncode in may, done.stdout + done.stderr
    assert not re.search("failed:|refused:", done.stderr)


@pytest.mark.slow
def test_a_training_set_is_read_from_a_standby(stage: Stage) -> None:
    built = JOBS["build_training_set"]
    assert stage.run(*built).returncode == 0
    before = (stage.repository / "data" / "again.parquet").read_bytes()
    with altered(EVERY_JOB, *READ_ONLY, stage):
        done = stage.run(*built)
    assert done.returncode == 0, done.stderr
    assert (stage.repository / "data" / "again.parquet").read_bytes() == before


@pytest.mark.slow
@pytest.mark.parametrize(
    "fault", ["registry down", "warehouse password", "redis hung", "lock held"]
)
def test_what_cannot_be_judged_is_unknown_and_says_why(stage: Stage, fault: str) -> None:
    happens, _, _ = FAULTS[fault]
    with happens(stage) as more:
        done = stage.run("contract-checks", "check", *AT, **more)
    assert done.returncode in (1, 2), done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert SECRET not in done.stdout + done.stderr
    assert re.search(r", [1-9]\d* unknown", done.stdout)
