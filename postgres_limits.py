"""No PostgreSQL server is waited for without end, and what it fails of names it.

libpq waits for whoever accepts a connection and never answers, and PostgreSQL for a lock that
another session holds. Every room asks the same servers, and Feast itself asks others of them, so
this stands below all of them.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache, partial
from math import inf
from time import monotonic
from typing import Any

CONNECT_SECONDS = 10
LIMITS = "-c lock_timeout=2min -c statement_timeout=1h"
"""Nobody holds a lock of ours for two minutes but by mistake. The longest honest statement, one
over all events, takes ten; one that runs an hour would meet the next refresh."""
_UNANSWERED = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 6}
"""Seconds and tries until a host that has gone without a word is given up."""
_UNACKNOWLEDGED = {"tcp_user_timeout": 90_000}
"""Milliseconds, as long as those: nothing is asked of a host that a statement is under way to,
and the kernel would send it again for a quarter of an hour."""

SLACK_SECONDS = 30.0
"""How long after its limit a server that is merely busy may say that it stopped a statement."""
_STATEMENTS_LIMIT = "SELECT extract(epoch FROM current_setting('statement_timeout')::interval)"


def limited(given: Mapping[str, Any]) -> dict[str, Any]:
    """libpq's parameters with a limit on each wait; what is given, or PG* variables, goes before.

    Of options the last one counts: ours, then those of PGOPTIONS, then those given.
    """
    options = (LIMITS, os.environ.get("PGOPTIONS"), given.get("options"))
    waiting = given.get("connect_timeout") or os.environ.get("PGCONNECT_TIMEOUT") or CONNECT_SECONDS
    ours = _UNANSWERED | _UNACKNOWLEDGED | {"connect_timeout": waiting}
    return ours | dict(given) | {"options": " ".join(str(one) for one in options if one)}


def connect(given: Mapping[str, Any], slack: float | None = None) -> Any:
    """A session of psycopg's that waits for no answer longer than a statement may run.

    `given` is what libpq and psycopg are told, and is `limited`. The server's own limits do not end
    the wait for a server that hangs, nor do keepalives, which its kernel goes on acknowledging; so
    the client does, `slack` seconds after the session's statement_timeout. Without that there is
    no deadline.

    Raises:
        psycopg.Error: the server does not answer, or not to this login.
    """
    import psycopg  # late: most jobs open none

    how = limited(given)
    autocommit = how.pop("autocommit", False)
    connection: Any = psycopg.connect(autocommit=True, **how)
    _give_up_after(CONNECT_SECONDS, connection)
    (limit,) = connection.execute(_STATEMENTS_LIMIT).fetchone()
    patience = float(limit) + (SLACK_SECONDS if slack is None else slack)
    _give_up_after(patience if limit else inf, connection)
    connection.autocommit = autocommit
    return connection


def _give_up_after(seconds: float, connection: Any) -> None:
    """Close the connection, and say so, where what it waits for takes longer."""
    from psycopg import OperationalError

    its_own = partial(type(connection).wait, connection)

    def wait(generator: Any, *how: Any, **named: Any) -> Any:
        try:
            wanted = next(generator)
        except StopIteration as done:  # such as the next row of a COPY, of which there are many
            return done.value
        return its_own(in_time(generator, wanted), *how, **named)

    def in_time(generator: Any, wanted: Any) -> Any:
        """What the generator does; psycopg resumes it ten times a second, come what may."""
        deadline = monotonic() + seconds
        while True:
            ready = yield wanted
            if not ready and monotonic() > deadline:
                connection.pgconn.finish()
                raise OperationalError(f"timed out: the server said nothing for {seconds:g} s")
            try:
                wanted = generator.send(ready)
            except StopIteration as done:
                return done.value

    connection.wait = wait


@cache
def limit_sqlalchemy() -> None:
    """Have every PostgreSQL that SQLAlchemy opens `limited`, and its errors name the server."""
    from sqlalchemy import Engine, event  # late: most jobs open none

    @event.listens_for(Engine, "do_connect")
    def limit(dialect: Any, record: Any, arguments: Any, parameters: dict[str, Any]) -> Any:
        if dialect.driver == "psycopg":
            return connect(parameters)
        if dialect.driver == "psycopg2":
            parameters.update(limited(parameters))
        return None

    @event.listens_for(Engine, "handle_error")
    def name(context: Any) -> None:
        if context.dialect.name == "postgresql":
            context.original_exception.server = _named(context.engine)


def _named(engine: Any) -> str:
    """What of ours lies there: the operations log where its variable says so, else the registry."""
    log = os.environ.get("FEATURE_STORE_OPERATIONS_LOG")
    is_log = bool(log and engine is not None and engine.url == _address(log))
    return "operations log" if is_log else "registry"


def _address(text: str) -> Any:
    from sqlalchemy import make_url

    return make_url(text)


@contextmanager
def asking(server: str) -> Iterator[None]:
    """Have what psycopg fails of tell which server was asked, such as `warehouse`.

    It is told by its first line alone: below that the server quotes rows.
    """
    try:
        yield
    except Exception as error:
        if type(error).__module__.partition(".")[0] != "psycopg":
            raise
        told: Any = type(error)((str(error).strip() or type(error).__name__).splitlines()[0])
        told.server = server
        raise told from None
