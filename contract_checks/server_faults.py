"""What is said of a server of production that fails: which one, why, what to do; and no more.

What a server says itself may quote a row, a name or an address. Its SQLSTATE, or the kind of its
error, tells as much.
"""

import re
from typing import NamedTuple


class Server(NamedTuple):
    """One that jobs ask."""

    name: str
    variables: str
    """That tell where it is, and who asks."""


_POSTGRES = {
    "warehouse": Server("the warehouse", "FEATURE_STORE_WAREHOUSE_HOST, _PORT, _USER, _PASSWORD"),
    "registry": Server("the registry", "FEATURE_STORE_REGISTRY"),
    "operations log": Server("the operations log", "FEATURE_STORE_OPERATIONS_LOG"),
}
_REDIS = Server("the online store (Redis)", "FEATURE_STORE_REDIS or the connection_string")


class _Fault(NamedTuple):
    """What can be wrong with a server."""

    codes: str
    """How a SQLSTATE of PostgreSQL's begins, or the kinds of redis-py's errors."""
    words: str
    """Or what is said where there is no code, as when a connection fails."""
    is_so: str
    to_do: str


_OF_POSTGRES = (
    _Fault("28", r"password|authentication|pg_hba", "lets this login not in", "see {variables}"),
    _Fault(
        "53300",
        r"too many (clients|connections)|connection slots",
        "has no connection left for this login",
        "wait until others have ended, or raise max_connections or the login's CONNECTION LIMIT",
    ),
    _Fault(
        "57P03",
        r"the database system is",
        "is starting, stopping or recovering",
        "run again in a minute",
    ),
    _Fault(
        "57014",
        r"statement timeout",
        "stopped a statement that ran longer than statement_timeout",
        "see what slows the server, or allow more (PGOPTIONS='-c statement_timeout=2h')",
    ),
    _Fault(
        "55P03",
        r"lock timeout",
        "has given up waiting for a lock that another session holds (lock_timeout)",
        "see pg_locks for whose it is, end that session, then run again",
    ),
    _Fault("40", r"deadlock", "could not do it beside another session", "run again"),
    _Fault(
        "53100|53400",
        r"No space left|temporary file size",
        "has no room left on its disk, or for temporary files (temp_file_limit)",
        "make room, then run again",
    ),
    _Fault("53", r"out of memory", "has no memory left", "give it some, then run again"),
    _Fault(
        "25006",
        r"read-only transaction",
        "is read-only for this login, a standby perhaps",
        "name the primary server (see {variables})",
    ),
    _Fault(
        "08P01",
        r"startup parameter",
        "is reached by a pooler, such as PgBouncer, that keeps no session",
        "connect to PostgreSQL directly (see {variables})",
    ),
    _Fault(
        "42501|42P01|42883|3F000|3D000",
        r"permission denied|does not exist",
        "is not made for this login",
        "migrate it (the registry: `feast apply`), and grant the login the role of its job",
    ),
    _Fault(
        "57P0|08|58",
        r"terminating|closed|lost|EOF|reset|broken|consuming input",
        "ended the session amid the work",
        "see its log for why, then run again",
    ),
    _Fault(
        "",
        r"timeout expired|timed out",
        "does not answer",
        "see whether it hangs, and whether {variables} is right",
    ),
    _Fault(
        "",
        r"refused|resolve|route|unreachable|connection failed|could not connect|No such file",
        "cannot be reached",
        "see whether it is running and whether {variables} is right",
    ),
)

_OF_REDIS = (
    _Fault(
        "AuthenticationError|AuthenticationWrongNumberOfArgsError|NoPermissionError",
        r"NOAUTH|WRONGPASS|NOPERM|invalid (username|password)",
        "lets this login not in",
        "see {variables}",
    ),
    _Fault(
        "OutOfMemoryError",
        r"OOM",
        "is full and takes no more rows",
        "give it memory for all rows (maxmemory), then run again",
    ),
    _Fault(
        "ReadOnlyError",
        r"READONLY",
        "is a replica and takes no rows",
        "name the primary server (see {variables})",
    ),
    _Fault("BusyLoadingError", r"LOADING", "is loading its rows", "run again in a minute"),
    _Fault(
        "MaxConnectionsError",
        r"max number of clients",
        "has no connection left",
        "wait until others have ended, or raise maxclients",
    ),
    _Fault(
        "",
        r"MISCONF",
        "takes no rows, for it cannot save to its disk",
        "make room there, then run again",
    ),
    _Fault(
        "TimeoutError",
        r"[Tt]imed? ?out",
        "does not answer",
        "see whether it hangs, is overloaded or out of reach",
    ),
    _Fault(
        "ConnectionError",
        r"Error \d+|refused|closed",
        "cannot be reached",
        "see whether it is running and whether {variables} is right",
    ),
)


def server_fault(error: BaseException) -> str | None:
    """What a server's error comes to: which one, why, what to do. None for another's error.

    It quotes nothing of what the server said, which may be a value or a secret.
    """
    original = _drivers_own(error)
    kind, text = type(original), str(original)
    room = kind.__module__.partition(".")[0]
    if room in ("psycopg", "psycopg2"):
        code = getattr(original, "sqlstate", None) or getattr(original, "pgcode", None) or ""
        return _said(_POSTGRES[_asked(error, original)], _OF_POSTGRES, code, text)
    if room == "redis":
        kinds = "|".join(each.__name__ for each in kind.__mro__[:2])
        return _said(_REDIS, _OF_REDIS, kinds, text)
    return None


def _drivers_own(error: BaseException) -> BaseException:
    """What SQLAlchemy's error, or ours of an online store that failed, was made of."""
    cause = error.__cause__
    of_redis = type(cause).__module__.partition(".")[0] == "redis"
    return getattr(error, "orig", None) or (cause if cause and of_redis else error)


def _asked(*errors: BaseException) -> str:
    """Which PostgreSQL it was, as `asking` noted; SQLAlchemy asks for the registry."""
    noted = [getattr(error, "server", None) for error in errors]
    return next(filter(None, noted), "warehouse")


def _said(server: Server, faults: tuple[_Fault, ...], code: str, text: str) -> str | None:
    for fault in faults:
        coded = fault.codes and re.match(fault.codes, code)
        if coded or (not _is_sqlstate(code) and re.search(fault.words, text)):
            to_do = fault.to_do.format(variables=server.variables)
            return f"{server.name} {fault.is_so}: {to_do}"
    return None


def _is_sqlstate(code: str) -> bool:
    """Such a code says all; without one only the words are left."""
    return re.fullmatch(r"[0-9A-Z]{5}", code) is not None
