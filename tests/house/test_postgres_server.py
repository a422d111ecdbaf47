"""The tests' PostgreSQL server stands in New York and goes with the process that started it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from postgres_server import NEW_YORK, Database
from server_binaries import major_version, postgres_binaries, redis_server
from waiting import wait_until

pytest_plugins = ["postgres_server"]

START_AND_WAIT = """
from postgres_server import PostgresServer
server = PostgresServer()
print(server.port, server.folder, flush=True)
input()
"""


def test_it_is_the_postgresql_asked_for_and_stands_in_new_york(database: Database) -> None:
    with database.connect() as connection:
        (version,) = connection.execute("SHOW server_version").fetchone() or ()
        (zone,) = connection.execute("SHOW timezone").fetchone() or ()
    assert int(version.split(".")[0]) == major_version(postgres_binaries() / "postgres")
    assert zone == NEW_YORK


def test_a_wrong_password_is_refused(database: Database) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        database.seen_by("postgres", "guessed").connect()


def test_it_does_not_outlive_a_killed_run() -> None:
    run = subprocess.Popen(
        [sys.executable, "-c", START_AND_WAIT],
        cwd=Path(__file__).parents[1] / "support",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert run.stdout
    port, folder = run.stdout.readline().split()
    Database(int(port), "postgres").connect().close()

    run.send_signal(signal.SIGKILL)
    run.wait()
    wait_until(lambda: not Path(folder).exists())
    with pytest.raises(psycopg.OperationalError):
        Database(int(port), "postgres").connect()


@pytest.mark.parametrize(
    "binary", [lambda: postgres_binaries() / "postgres", redis_server], ids=["postgres", "redis"]
)
def test_the_systems_own_are_run_where_asked_for(binary, tmp_path, monkeypatch) -> None:
    wheels = binary()
    own = tmp_path / wheels.name
    own.write_text("#!/bin/sh\necho 'server v=7.2.4'\n")
    own.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.delenv("TEST_SERVERS", raising=False)
    unasked = binary()
    monkeypatch.setenv("TEST_SERVERS", "system")
    assert (unasked != own, binary()) == (True, own)

    own.write_text("#!/bin/sh\necho 'server v=6.2.14'\n")
    if binary is redis_server:
        assert binary() == unasked, "a Redis before 7 does not count"
