"""The tests' PostgreSQL server stands in New York and goes with the process that started it."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest
from postgres_server import NEW_YORK, Database

pytest_plugins = ["postgres_server"]

START_AND_WAIT = """
from postgres_server import PostgresServer
server = PostgresServer()
print(server.port, server.folder, flush=True)
input()
"""


def test_it_is_postgresql_18_in_new_york(database: Database) -> None:
    with database.connect() as connection:
        (version,) = connection.execute("SHOW server_version").fetchone() or ()
        (zone,) = connection.execute("SHOW timezone").fetchone() or ()
    assert version.startswith("18")
    assert zone == NEW_YORK


def test_a_wrong_password_is_refused(database: Database) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        database.seen_by("postgres", "guessed").connect()


def test_it_does_not_outlive_a_killed_run() -> None:
    run = subprocess.Popen(
        [sys.executable, "-c", START_AND_WAIT],
        cwd=Path(__file__).parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert run.stdout
    port, folder = run.stdout.readline().split()
    Database(int(port), "postgres").connect().close()

    run.send_signal(signal.SIGKILL)
    run.wait()
    give_up = time.monotonic() + 30
    while Path(folder).exists() and time.monotonic() < give_up:
        time.sleep(0.05)
    assert not Path(folder).exists()
    with pytest.raises(psycopg.OperationalError):
        Database(int(port), "postgres").connect()
