"""A real PostgreSQL server on a free port, which does not outlive the process that started it.

It stands in New York, so that whatever follows the server's time zone is off by hours and seen.
"""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import psycopg
import pytest
from server_binaries import postgres_binaries
from waiting import GIVE_UP_SECONDS, eventually

NEW_YORK = "America/New_York"

# PostgreSQL will not run as root; as any other user it runs as whoever runs the tests.
SERVER_USER = "nobody" if os.geteuid() == 0 else None

# Standard input ends with the process that holds its other end, however that one dies.
_UNTIL_INPUT_ENDS = 'here=$1; shift; "$@" & read -r _; kill -INT $!; wait; rm -rf "$here"'

SUPERUSER, PASSWORD = "postgres", "correct horse battery staple"

FASTER_NOT_SAFER = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


class Database(NamedTuple):
    """One database of a running server, and who asks it."""

    port: int
    name: str
    user: str = SUPERUSER
    password: str = PASSWORD

    @property
    def address(self) -> str:
        return psycopg.conninfo.make_conninfo(
            host="127.0.0.1",
            port=self.port,
            dbname=self.name,
            user=self.user,
            password=self.password,
        )

    @property
    def url(self) -> str:
        """As SQLAlchemy wants it."""
        secret = self.password.replace(" ", "%20")
        return f"postgresql+psycopg://{self.user}:{secret}@127.0.0.1:{self.port}/{self.name}"

    def seen_by(self, user: str, password: str) -> "Database":
        return self._replace(user=user, password=password)

    def connect(self) -> "psycopg.Connection":
        """A plain session, in the server's time zone."""
        return psycopg.connect(self.address, autocommit=True)


class PostgresServer:
    """A server in a folder of its own that goes with it."""

    def __init__(self, zone: str = NEW_YORK) -> None:
        # Not below pytest's own temporary folder, where only its owner may look.
        self.folder = Path(tempfile.mkdtemp(prefix="postgres-"))
        if SERVER_USER:
            shutil.chown(self.folder, SERVER_USER)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._init()
        settings = (*FASTER_NOT_SAFER, f"timezone={zone}", f"unix_socket_directories={self.folder}")
        options = [word for setting in settings for word in ("-c", setting)]
        words = [postgres_binaries() / "postgres", "-D", self._data, "-p", str(self.port), *options]
        self._process = subprocess.Popen(
            [
                "sh",
                "-c",
                _UNTIL_INPUT_ENDS,
                "sh",
                self.folder,
                *words,
                *(word for setting in settings for word in ("-c", setting)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=(self.folder / "log").open("w"),
            user=SERVER_USER,
            cwd=self.folder,
            start_new_session=True,  # an interrupted terminal is this process's business
        )
        self._await()

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _init(self) -> None:
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        done = subprocess.run(
            [
                postgres_binaries() / "initdb",
                "-D",
                self._data,
                "-U",
                SUPERUSER,
                "--pwfile",
                secret,
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--no-locale",
                "--no-sync",
            ],
            capture_output=True,
            text=True,
            check=False,
            user=SERVER_USER,
            cwd=self.folder,
        )
        assert done.returncode == 0, done.stderr

    def _await(self) -> None:
        def connect() -> None:
            assert self._process.poll() is None, (self.folder / "log").read_text()
            self.database(SUPERUSER).connect().close()

        eventually(connect, psycopg.OperationalError)

    def database(self, name: str) -> Database:
        return Database(self.port, name)

    @contextmanager
    def new_database(self, like: str = "template1") -> Iterator[Database]:
        """A copy of one that nobody is connected to, an empty one unless named; dropped at the end.

        What a database itself grants is not copied; what its schemas and tables grant is.
        """
        name = f"warehouse_{uuid4().hex}"
        with self.database(SUPERUSER).connect() as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {like}")
            yield self.database(name)
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def stop(self) -> None:
        """Its folder goes as well."""
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(timeout=GIVE_UP_SECONDS)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One server for all tests of this process."""
    server = PostgresServer()
    yield server
    server.stop()


@pytest.fixture
def database(postgres: PostgresServer) -> Iterator[Database]:
    """An empty database."""
    with postgres.new_database() as empty:
        yield empty
