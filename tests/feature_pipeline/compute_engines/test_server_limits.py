"""No server is waited for without limit, and what one fails of is told in words of our own."""

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
import redis
from postgres_server import Database
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from warehouse import LOG, PIPELINE, QUARANTINE, SECRET

from contract_checks.evidence import warehouse as evidence
from contract_checks.evidence.declared import Warehouse
from contract_checks.failure import one_line
from contract_checks.operations.log import OperationsLog
from contract_checks.server_faults import server_fault
from feature_pipeline.compute_engines.postgres.warehouse import session
from postgres_limits import connect, limited
from storage.errors import RefusedError

pytest_plugins = ["postgres_server", "warehouse"]

PATIENT = "-c statement_timeout=100s"  # the server; not the client, with its slack
SHOWN = "SELECT current_setting('lock_timeout'), current_setting('statement_timeout')"
ENTERED = Callable[[str], Any]


@contextmanager
def of_pipeline(database: Database) -> Iterator[ENTERED]:
    with session(database.address) as connection:
        yield lambda query: connection.execute(query).fetchone()


@contextmanager
def of_reader(database: Database) -> Iterator[ENTERED]:
    from feature_access.offline_stores.postgres_session import read_session
    from feature_access.offline_stores.postgres_store import PointInTimePostgresOfflineStoreConfig

    options = PointInTimePostgresOfflineStoreConfig(
        type="feature_access.offline_stores.postgres_store.PointInTimePostgresOfflineStore",
        host="127.0.0.1",
        port=database.port,
        database=database.name,
        user=database.user,
        password=database.password,
        sslmode="disable",
        db_schema="data_warehouse",
    )
    with read_session(SimpleNamespace(offline_store=options)) as connection:
        yield lambda query: connection.execute(query).fetchone()


@contextmanager
def of_judge(database: Database) -> Iterator[ENTERED]:
    there = Warehouse("127.0.0.1", database.port, database.name, "disable")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(evidence.USER_VARIABLE, database.user)
        patch.setenv(evidence.PASSWORD_VARIABLE, database.password)
        with evidence.session(there) as connection:
            yield lambda query: connection.execute(query).fetchone()


@contextmanager
def of_sqlalchemy(database: Database, options: str = "-csearch_path%3Dpg_catalog") -> Iterator[Any]:
    OperationsLog("sqlite://")  # whoever has one, or a warehouse, has limits
    engine = create_engine(f"{database.url}?options={options}")
    with engine.connect() as connection:
        yield lambda query: connection.execute(text(query)).fetchone()
    engine.dispose()


WAYS = {f.__name__: f for f in (of_pipeline, of_reader, of_judge, of_sqlalchemy)}


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> Any:
    return WAYS[request.param]


def test_locks_and_statements_have_a_limit(shared_warehouse: Database, way: Any) -> None:
    with way(shared_warehouse) as ask:
        assert tuple(ask(SHOWN)) == ("2min", "1h")


def test_and_another_one_where_pgoptions_says_so(
    shared_warehouse: Database, way: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGOPTIONS", "-c statement_timeout=3h")
    with way(shared_warehouse) as ask:
        assert tuple(ask(SHOWN)) == ("2min", "3h")


def test_what_an_address_says_counts(shared_warehouse: Database) -> None:
    options = "-csearch_path%3Dpg_catalog%20-c%20lock_timeout%3D7s"
    with of_sqlalchemy(shared_warehouse, options) as ask:
        assert tuple(ask(SHOWN)) == ("7s", "1h")
        assert ask("SHOW search_path") == ("pg_catalog",)
    with of_reader(shared_warehouse) as ask:  # Feast's own option of that session
        assert ask("SHOW search_path")[0].startswith("data_warehouse")


def test_connecting_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PGCONNECT_TIMEOUT", raising=False)
    assert limited({})["connect_timeout"] == 10
    assert limited({"connect_timeout": "3"})["connect_timeout"] == "3"
    monkeypatch.setenv("PGCONNECT_TIMEOUT", "4")
    assert limited({})["connect_timeout"] == "4"
    assert limited({"keepalives_idle": 5})["keepalives_idle"] == 5


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="a setting of Linux")
def test_a_statement_that_nobody_receives_has_a_limit(shared_warehouse: Database) -> None:
    with session(shared_warehouse.address) as connection:
        there = socket.socket(fileno=os.dup(connection.fileno()))
        with there:
            limit = there.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
    assert limit == limited({})["tcp_user_timeout"] == 90_000
    assert limited({"tcp_user_timeout": 5})["tcp_user_timeout"] == 5


def test_whose_lock_is_waited_for_too_long_is_told(
    shared_warehouse: Database, way: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGOPTIONS", "-c lock_timeout=50ms")
    with (
        shared_warehouse.connect() as other,
        other.transaction(),
        pytest.raises((psycopg.Error, DBAPIError)) as late,
    ):
        other.execute(f"LOCK TABLE {LOG} IN ACCESS EXCLUSIVE MODE")
        with way(shared_warehouse) as ask:
            ask(f"SELECT count(*) FROM {LOG}")
    server = "the registry" if way is of_sqlalchemy else "the warehouse"
    assert one_line(late.value).startswith(f"{server} has given up waiting for a lock that another")


def test_who_answers_nothing_is_given_up(
    shared_warehouse: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGCONNECT_TIMEOUT", "2")  # libpq knows no less
    with socket.create_server(("127.0.0.1", 0)) as mute:
        there = shared_warehouse._replace(port=mute.getsockname()[1])
        with pytest.raises(psycopg.Error) as hung, session(there.address):
            pytest.fail("nobody let it in")
    assert one_line(hung.value).startswith("the warehouse does not answer: see whether it hangs")


# A server that hangs amid the work: stopped, while its kernel acknowledges what it is sent.


@pytest.mark.parametrize(
    "statement", ["SELECT 1", "SELECT pg_backend_pid() FROM generate_series(1, 9)"]
)
def test_who_hangs_amid_the_work_is_given_up(
    shared_warehouse: Database, way: Any, statement: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGOPTIONS", PATIENT)
    monkeypatch.setattr("postgres_limits.SLACK_SECONDS", -99.7)
    with pytest.raises((psycopg.Error, DBAPIError)) as hung, way(shared_warehouse) as ask:
        (process,) = ask("SELECT pg_backend_pid()")
        with stopped(process):
            ask(statement)
    server = "the registry" if way is of_sqlalchemy else "the warehouse"
    assert one_line(hung.value).startswith(f"{server} does not answer: see whether it hangs")


@pytest.mark.parametrize("copy", ["COPY (SELECT 1) TO STDOUT", f"COPY {QUARANTINE} FROM STDIN"])
def test_and_amid_a_copy(
    shared_warehouse: Database, copy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        pytest.raises(psycopg.OperationalError, match=r"said nothing for 0\.3 s"),
        connect({"conninfo": shared_warehouse.address, "options": PATIENT}, slack=-99.7) as session,
        stopped(session.info.backend_pid),
        session.cursor().copy(copy) as data,
    ):
        list(data)


def test_who_is_slow_within_the_limit_is_waited_for(shared_warehouse: Database) -> None:
    with connect({"conninfo": shared_warehouse.address}) as session:
        assert session.execute("SELECT pg_sleep(0.3), 7").fetchone() == ("", 7)


@pytest.mark.parametrize(
    ("limit", "slack", "patience"),
    [("20s", -19.7, 0.3), ("20500ms", -20.3, 0.2), ("1min", -59.8, 0.2), ("1d", -86399.8, 0.2)],
)
def test_the_deadline_is_the_sessions_own_limit_and_slack(
    shared_warehouse: Database, limit: str, slack: float, patience: float
) -> None:
    given = {"conninfo": shared_warehouse.address, "options": f"-c statement_timeout={limit}"}
    with (
        pytest.raises(psycopg.OperationalError, match=rf"said nothing for {patience} s"),
        connect(given, slack) as session,
        stopped(session.info.backend_pid),
    ):
        session.execute("SELECT 1")


@pytest.mark.parametrize("autocommit", [False, True])
def test_without_a_limit_there_is_no_deadline(shared_warehouse: Database, autocommit: bool) -> None:
    given = {"conninfo": shared_warehouse.address, "options": "-c statement_timeout=0"}
    with connect({**given, "autocommit": autocommit}, slack=0.01) as session:
        assert session.autocommit is autocommit
        assert session.info.transaction_status.name == "IDLE"
        assert session.execute("SELECT pg_sleep(0.3), 7").fetchone() == ("", 7)


@contextmanager
def stopped(process: int) -> Iterator[None]:
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


# A pooler gives a client another number than the server's process has.


def test_a_pooler_is_refused(shared_warehouse: Database) -> None:
    with pooled(shared_warehouse.port) as port:
        there = shared_warehouse._replace(port=port).seen_by(PIPELINE, SECRET)
        with (
            pytest.raises(RefusedError, match=r"by a pooler.*Connect to PostgreSQL directly"),
            session(there.address),
        ):
            pytest.fail("its lock would not last")


@contextmanager
def pooled(port: int) -> Iterator[int]:
    """A go-between that hands out a number of its own, as PgBouncer does."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def carry(source: socket.socket, target: socket.socket) -> None:
            while data := source.recv(65_536):
                head, key, rest = data.partition(b"K\0\0\0\x0c")
                target.sendall(head + key + (b"\0\0\x30\x39" + rest[4:] if key else rest))
            target.shutdown(socket.SHUT_WR)

        def serve() -> None:
            client, _ = listening.accept()
            server = socket.create_connection(("127.0.0.1", port))
            threading.Thread(target=carry, args=(client, server), daemon=True).start()
            carry(server, client)

        threading.Thread(target=serve, daemon=True).start()
        yield listening.getsockname()[1]


# What is said.

OF_POSTGRES = {
    "28P01": "lets this login not in: see FEATURE_STORE_WAREHOUSE_HOST, _PORT, _USER, _PASSWORD",
    "28000": "lets this login not in",
    "53300": "has no connection left for this login: wait until others have ended",
    "57P03": "is starting, stopping or recovering: run again in a minute",
    "57P01": "ended the session amid the work: see its log",
    "57014": "stopped a statement that ran longer than statement_timeout",
    "55P03": "has given up waiting for a lock",
    "40P01": "could not do it beside another session: run again",
    "53100": "has no room left on its disk",
    "53400": "has no room left on its disk, or for temporary files (temp_file_limit)",
    "53200": "has no memory left",
    "25006": "is read-only for this login, a standby perhaps: name the primary server",
    "42501": "is not made for this login: migrate it",
    "08006": "ended the session amid the work",
    "58030": "ended the session amid the work",
}
IN_WORDS = {
    "connection failed: FATAL:  password authentication failed for user 'x'": "lets this login not",
    "FATAL:  no pg_hba.conf entry for host": "lets this login not in",
    "FATAL:  sorry, too many clients already": "has no connection left",
    "FATAL:  remaining connection slots are reserved": "has no connection left",
    "FATAL:  too many connections for role": "has no connection left",
    "FATAL:  the database system is in recovery mode": "is starting, stopping or recovering",
    "FATAL:  unsupported startup parameter: options": "is reached by a pooler",
    "connection timeout expired": "does not answer",
    "connection failed: Connection refused": "cannot be reached: see whether it is running",
    "[Errno -2] Name or service not known: failed to resolve host": "cannot be reached",
    "consuming input failed: server closed the connection": "ended the session amid the work",
    "the connection is lost": "ended the session amid the work",
    'FATAL:  database "x" does not exist': "is not made for this login",
}
OF_REDIS = {
    redis.exceptions.AuthenticationError("invalid username-password pair"): "lets this login not",
    redis.exceptions.NoPermissionError("this user has no permissions"): "lets this login not in",
    redis.exceptions.ResponseError("WRONGPASS invalid"): "lets this login not in",
    redis.exceptions.OutOfMemoryError("command not allowed"): "is full and takes no more rows",
    redis.exceptions.ResponseError("OOM command not allowed"): "is full and takes no more rows",
    redis.exceptions.ReadOnlyError("You can't write"): "is a replica and takes no rows",
    redis.exceptions.BusyLoadingError("Redis is loading"): "is loading its rows",
    redis.exceptions.ResponseError(
        "MISCONF Redis is configured to save"
    ): "takes no rows, for it cannot save",
    redis.exceptions.ConnectionError("max number of clients reached"): "has no connection left",
    redis.exceptions.TimeoutError("Timeout reading from socket"): "does not answer",
    redis.exceptions.ConnectionError("Error 111 connecting to 10.0.0.1:6379."): "cannot be reached",
}


@pytest.mark.parametrize("code", OF_POSTGRES)
def test_a_sqlstate_is_told_by_what_it_means(code: str) -> None:
    error = psycopg.errors.lookup(code)("invalid value 918273645546")
    said = one_line(error)
    assert said.startswith(f"the warehouse {OF_POSTGRES[code]}")
    assert "918273645546" not in said


@pytest.mark.parametrize("words", IN_WORDS)
def test_what_has_no_sqlstate_is_told_by_its_words(words: str) -> None:
    assert IN_WORDS[words] in one_line(psycopg.OperationalError(words))


@pytest.mark.parametrize("error", OF_REDIS, ids=lambda error: f"{type(error).__name__} {error}")
def test_what_redis_says_is_told_by_its_kind(error: redis.RedisError) -> None:
    assert f"the online store (Redis) {OF_REDIS[error]}" in one_line(error)
    assert "10.0.0.1" not in one_line(error)


@pytest.mark.parametrize(
    "error", [ValueError("x"), psycopg.errors.DivisionByZero("x"), redis.RedisError("x")]
)
def test_what_is_no_servers_fault_is_told_as_before(error: Exception) -> None:
    assert server_fault(error) is None
    assert one_line(error).startswith(f"{type(error).__name__}: ")


def test_a_job_asks_a_redis_that_hangs_once() -> None:
    from feature_access.online_stores.redis_store import (
        DefaultingRedisOnlineStore,
        DefaultingRedisOnlineStoreConfig,
    )

    with socket.create_server(("127.0.0.1", 0)) as mute:
        address = f"127.0.0.1:{mute.getsockname()[1]},socket_timeout=0.1"
        options = DefaultingRedisOnlineStoreConfig(
            type="feature_access.online_stores.redis_store.DefaultingRedisOnlineStore",
            connection_string=address,
        )
        client = DefaultingRedisOnlineStore()._get_client(options)
        with pytest.raises(redis.TimeoutError):
            client.get("key")
        mute.setblocking(False)
        mute.accept()
        with pytest.raises(BlockingIOError):
            mute.accept()
