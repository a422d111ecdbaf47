"""Feast starts in a third of the time: its own classes are not instrumented by typeguard.

Feast decorates its classes with typeguard's `@typechecked`, which parses and compiles a whole
module again for each of their methods: two thirds of what `import feast` costs
(benchmarks/RESULTS.md).
typeguard makes the decorator the identity under `python -O`, as an aid to development that
production goes without; but `-O` would take every assert with it, and the answers of typeguard's
other users. So it is the identity for classes of Feast alone, when this is imported before Feast.

What goes is a `TypeCheckError` where our code gives Feast an argument of another type than it
declares. The `feast` command imports Feast before us and keeps it: it is what reads definitions.

And no server of production is waited for without end: libpq waits for whoever accepts a connection
and never answers, and PostgreSQL for a lock that another session holds. Every room asks the same
servers, Feast itself asks others of them, and this is what all of them start with.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

import typeguard

_instrument: Any = typeguard.typechecked


def typechecked(target: Any = None, **options: Any) -> Any:
    """typeguard's decorator, but a class of Feast stays as it was written."""
    if target is not None and target.__module__.partition(".")[0] == "feast":
        return target
    return _instrument(target, **options)


typeguard.typechecked = typechecked


CONNECT_SECONDS = 10
LIMITS = "-c lock_timeout=2min -c statement_timeout=1h"
"""Nobody holds a lock of ours for two minutes but by mistake. The longest honest statement, one
over all events, takes ten; one that runs an hour would meet the next refresh."""
_UNANSWERED = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 6}
"""Seconds and tries until a host that has gone without a word is given up."""


def limited(given: Mapping[str, Any]) -> dict[str, Any]:
    """libpq's parameters with a limit on each wait; what is given, or PG* variables, goes before.

    Of options the last one counts: ours, then those of PGOPTIONS, then those given.
    """
    options = (LIMITS, os.environ.get("PGOPTIONS"), given.get("options"))
    waiting = given.get("connect_timeout") or os.environ.get("PGCONNECT_TIMEOUT") or CONNECT_SECONDS
    ours = _UNANSWERED | {"connect_timeout": waiting}
    return ours | dict(given) | {"options": " ".join(str(one) for one in options if one)}


@cache
def limit_sqlalchemy() -> None:
    """Have every PostgreSQL that SQLAlchemy opens `limited`, and its errors name the server."""
    from sqlalchemy import Engine, event  # late: most jobs open none

    @event.listens_for(Engine, "do_connect")
    def limit(dialect: Any, record: Any, arguments: Any, parameters: dict[str, Any]) -> None:
        if dialect.driver in ("psycopg", "psycopg2"):
            parameters.update(limited(parameters))

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
