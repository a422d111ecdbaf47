"""A session with a PostgreSQL server: bounded in time, in UTC, seeing one state."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from psycopg import Connection, IsolationLevel

from postgres_limits import asking, connect

Session = Connection[tuple[Any, ...]]


@contextmanager
def session_in_utc(given: Mapping[str, Any], **how: Any) -> Iterator[Session]:
    """A session in UTC, whatever the zone of the server, the database or the login.

    `given` is what libpq is told of the server, `how` what psycopg is told beside it. A transaction
    in it sees one state, from its first statement to its last. What the server refuses is told
    without the rows that it quotes.

    Raises:
        psycopg.Error: it does not answer, or not to this login; or what the block asks fails.
    """
    with asking("warehouse"), connect({**given, **how}) as connection:
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        connection.execute("SET TIME ZONE 'UTC'")
        yield connection


def first_line(error: BaseException) -> str:
    """What the server said, without the hints below it."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
