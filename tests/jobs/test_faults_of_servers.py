"""The jobs of the production profile, while PostgreSQL or Redis is gone, hung, empty or refuses."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from fault_cases import SERVERS
from fault_injection import Done, command
from fault_jobs import EVENTS, LATER, PRESENT, environment, log_of, shopping
from fault_state import ALWAYS
from fault_table import PROPERTY, note
from feast_copy import ROOT, copy_of_the_whole_project
from oracle import write_events
from postgres_server import Database, PostgresServer
from production import asked_for
from redis_server import RedisServer
from warehouse import EVENTS as LOADED
from warehouse import JUDGE, LOG, PIPELINE, QUARANTINE, RETENTION, TRAINING, prepare

pytest_plugins = ["postgres_server"]
pytestmark = pytest.mark.slow

_TRAIN = ("labels.csv", "data/set.parquet", "--consumer", "ML Platform")
_LOGINS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "refresh": (PIPELINE, ()),
    "load_events": (PIPELINE, ("more.parquet",)),
    "retain": (RETENTION, ()),
    "build_training_set": (TRAINING, _TRAIN),
    "look_up": (TRAINING, ("1", "4", "999")),
    "backfill": (JUDGE, ()),
    "drift": (JUDGE, ()),
}
_OF_THE_PRESENT = {"load_events", "look_up"}


class Served(NamedTuple):
    """A repository, what its servers held when it was made, and the servers."""

    repository: Path
    postgres: PostgresServer
    template: str
    redis: RedisServer
    dump: bytes


def words(job: str, at: Any = LATER) -> list[str]:
    when = [] if job in _OF_THE_PRESENT else ["--as-of", at.isoformat()]
    return [f"scripts/{job}.py", *_LOGINS[job][1], *when]


def ran(served: Served, database: Database, job: str, at: Any = LATER, **more: str) -> Done:
    held = asked_for(database, served.redis, _LOGINS[job][0])
    held["FEATURE_STORE_REDIS"] += ",socket_timeout=2,socket_connect_timeout=2,retry=null"
    return command(
        words(job, at), served.repository, environment(served.repository, **held, **more)
    )


@pytest.fixture(scope="module")
def served(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    repository = copy_of_the_whole_project(folder / "repository")
    shutil.copytree(ROOT / "profiles", repository / "profiles")
    came = [event for event in shopping() if event.created_timestamp <= PRESENT]
    write_events(came, repository / EVENTS)
    write_events(shopping(), repository / "more.parquet")
    (repository / "labels.csv").write_text("customer_id,event_timestamp\n1,2026-02-20T00:00:00Z\n")
    (folder / "redis").mkdir()
    redis = RedisServer(folder / "redis")
    with postgres.new_database() as database:
        prepare(database)
        served = Served(repository, postgres, database.name, redis, b"")
        held = environment(repository, **asked_for(database, redis, PIPELINE))
        from feast_copy import run

        done = run(repository, "feast", "apply", env=held)
        assert done.returncode == 0, done.stdout + done.stderr
        loading = command(["scripts/load_events.py"], repository, held)
        assert loading.code == 0, loading.err
        assert ran(served, database, "refresh", PRESENT).code in (0, 1)
        frozen = asked_for(database, redis, JUDGE)
        froze = command(
            ["scripts/freeze_baseline.py", "--as-of", PRESENT.isoformat()],
            repository,
            environment(repository, **frozen),
        )
        assert froze.code == 0, froze.err
        shutil.copytree(repository / "data", folder / "data")
        yield served._replace(dump=redis.save())
    redis.kill()


@pytest.fixture
def database(served: Served) -> Iterator[Database]:
    """As the servers and the folder stood when they were made."""
    shutil.rmtree(served.repository / "data")
    shutil.copytree(served.repository.with_name("data"), served.repository / "data")
    served.redis.restore(served.dump)
    with served.postgres.new_database(served.template) as database:
        yield database


def left(served: Served, database: Database) -> dict[str, Any]:
    """Rows of the warehouse, everything in Redis, and what ran."""
    with database.connect() as connection:
        rows = {
            table: connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2, 3").fetchall()
            for table in (LOADED, LOG, QUARANTINE)
        }
    with served.redis.client() as client:
        online = {key: client.hgetall(key) for key in client.scan_iter()}
    made = served.repository / "data" / "set.parquet"
    passed = {
        (r.job, r.subject, r.at)
        for r in log_of(served.repository).records(ALWAYS)
        if r.passed or r.job == "drift"
    }
    trained = made.read_bytes() if made.exists() else None
    return rows | {"online": online, "passed": passed, "set": trained}


UNHARMED: dict[str, tuple[int, dict[str, Any]]] = {}


def unharmed(served: Served, job: str) -> tuple[int, dict[str, Any]]:
    """What a run does that meets nothing."""
    if job not in UNHARMED:
        served.redis.restore(served.dump)
        with served.postgres.new_database(served.template) as database:
            done = ran(served, database, job)
            assert done.code in (0, 1), done.out + done.err
            UNHARMED[job] = (done.code, left(served, database))
        shutil.rmtree(served.repository / "data")
        shutil.copytree(served.repository.with_name("data"), served.repository / "data")
        served.redis.restore(served.dump)
    return UNHARMED[job]


def _elsewhere(served: Served, database: Database, job: str) -> Done:
    return ran(served, database._replace(port=1), job)


def _wrong_password(served: Served, database: Database, job: str) -> Done:
    held = asked_for(database, served.redis, _LOGINS[job][0])
    held["FEATURE_STORE_WAREHOUSE_PASSWORD"] = "not the password"
    return command(words(job), served.repository, environment(served.repository, **held))


def _redis_gone(served: Served, database: Database, job: str) -> Done:
    served.redis.kill()
    done = ran(served, database, job)
    served.redis.start()  # with the dump that lies in its folder
    return done


def _redis_hung(served: Served, database: Database, job: str) -> Done:
    served.redis.hang()
    try:
        return ran(served, database, job)
    finally:
        served.redis.resume()


def _redis_empty(served: Served, database: Database, job: str) -> Done:
    served.redis.flush()
    done = ran(served, database, job)
    if job != "refresh":
        served.redis.restore(served.dump)
    return done


FAULTS: Mapping[str, Callable[[Served, Database, str], Done]] = {
    "PostgreSQL gone": _elsewhere,
    "PostgreSQL refuses": _wrong_password,
    "Redis gone": _redis_gone,
    "Redis hung": _redis_hung,
    "Redis empty": _redis_empty,
}


@pytest.mark.parametrize(("job", "kind", "number"), SERVERS)
def test_a_job_whose_server_fails(
    served: Served,
    database: Database,
    record_property: Callable[[str, object], None],
    job: str,
    kind: str,
    number: int,
) -> None:
    code, state = unharmed(served, job)
    done = FAULTS[kind](served, database, job)
    said = done.out + done.err
    assert "Traceback" not in said, said
    assert done.code in (0, 1, 2), (done.code, said)
    assert done.code != 2 or done.err.strip(), said
    again = ran(served, database, job)
    assert again.code == code, again
    found = left(served, database)
    assert {name for name in state if found[name] != state[name]} == set()
    record_property(PROPERTY, [job, kind, str(done.code)])
    note(job, kind, str(done.code))
