"""Set production up: its schemas, roles, logins and rights, each of them checked at the end."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

import psycopg
from sqlalchemy import Connection, create_engine
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import NullPool

from jobs.provisioning.logins import Login, logins_from, make_login, refused_entry, roles_of_logins
from jobs.provisioning.redis_memory import REDIS_VARIABLE, why_redis_may_lose
from jobs.provisioning.rights import MAY, Session, grant_what_lacks, judged
from jobs.provisioning.schemas import make_log, make_roles, make_warehouse
from storage.errors import RefusedError
from storage.postgres_session import first_line

OWNER_VARIABLE = "FEATURE_STORE_MIGRATIONS_DATABASE"
LOG_OWNER_VARIABLE = "FEATURE_STORE_OPERATIONS_LOG_OWNER"

_BUSY = "SET LOCAL lock_timeout = '10s'"
"""A table that a job holds is not waited for: whoever came after would wait behind this."""

_MAY_PROVISION = """
    SELECT current_user, rolsuper OR rolcreaterole,
           has_database_privilege(current_database(), 'CREATE'), current_database()
    FROM pg_roles WHERE rolname = current_user
"""


class Verdict(NamedTuple):
    """What was found of one login, or of Redis: its roles, and what is wrong."""

    name: str
    roles: tuple[str, ...]
    lacks: tuple[str, ...]
    beyond: tuple[str, ...] = ()


def provision_from(
    environment: Mapping[str, str], *, keep: bool = True
) -> tuple[list[str], list[Verdict]]:
    """Provision what the variables say, a log in a database of its own too, and judge Redis.

    Raises:
        RefusedError: a variable is missing or says no address; see also `provision`.
    """
    owner = _address(OWNER_VARIABLE, _asked(environment, OWNER_VARIABLE))
    elsewhere = environment.get(LOG_OWNER_VARIABLE)
    keeper = _address(LOG_OWNER_VARIABLE, elsewhere) if elsewhere else owner
    redis = _asked(environment, REDIS_VARIABLE)
    for each in (keeper, owner):
        logins = logins_from(environment, each.username or "")
    lost = why_redis_may_lose(redis)
    done, verdicts = provision(owner, logins, keep=keep)
    if keeper is not owner:
        more, held = provision_log(keeper, logins, keep=keep)
        done, verdicts = done + more, verdicts + held
    return done, [*verdicts, Verdict("Redis", (), (lost,) if lost else ())]


def provision(
    owner: URL,
    logins: list[Login],
    *,
    keep: bool = True,
    make: Callable[[Connection, Session], list[str]] = make_warehouse,
) -> tuple[list[str], list[Verdict]]:
    """Do what is not done yet, in one transaction, and judge every login that has a role.

    `make` makes what is to lie in the owner's database; each role gets its rights on what is there.

    Returns what was done, a line each, and the verdicts. Without `keep` all is taken back.

    Raises:
        RefusedError: the owner may not do it, or the server cannot be reached.
    """
    shut_out = {login.name: refused_entry(owner, login) for login in logins}
    with _owner_at_work(owner, keep) as (connection, session):
        done = make_roles(session) + make(connection, session)
        for role in MAY:
            done += grant_what_lacks(session, role)
        for login in logins:
            done += make_login(session, login, let_in=not shut_out[login.name])
        roles = roles_of_logins(session)
        verdicts = [
            Verdict(name, tuple(own), *judged(session, name, own)) for name, own in roles.items()
        ]
    if keep:
        shut_out = {login.name: refused_entry(owner, login) for login in logins}
        verdicts = [_with_entry(verdict, shut_out.get(verdict.name)) for verdict in verdicts]
    return done, verdicts


def provision_log(
    owner: URL, logins: list[Login], *, keep: bool = True
) -> tuple[list[str], list[Verdict]]:
    """The operations log in a database other than the warehouse's, on the same server or another.

    See `provision`; each line and each login says that it is about the log.
    """
    done, verdicts = provision(owner, logins, keep=keep, make=make_log)
    return [f"{line}, where the operations log lies" for line in done], [
        verdict._replace(name=f"{verdict.name}, at the operations log") for verdict in verdicts
    ]


def _with_entry(verdict: Verdict, refusal: str | None) -> Verdict:
    if refusal is None:
        return verdict
    return verdict._replace(lacks=(f"is not let in ({refusal})", *verdict.lacks))


@contextmanager
def _owner_at_work(owner: URL, keep: bool) -> Iterator[tuple[Connection, Session]]:
    """One transaction of the owner, as SQLAlchemy has it and as psycopg has it."""
    engine = create_engine(owner, poolclass=NullPool)
    try:
        with engine.connect() as connection, connection.begin() as transaction:
            session: Session = connection.connection.driver_connection  # type: ignore[assignment]
            _refuse_unless_able(session)
            session.execute(_BUSY)
            yield connection, session
            if not keep:
                transaction.rollback()
    except DBAPIError as error:
        raise _refusal(owner, error.orig or error) from None
    except psycopg.Error as error:
        raise _refusal(owner, error) from None


def _refusal(owner: URL, error: BaseException) -> RefusedError:
    told = first_line(error) if isinstance(error, Exception) else str(error)
    return RefusedError(
        f"{owner.username}, the owner of {owner.database} by {OWNER_VARIABLE} or "
        f"{LOG_OWNER_VARIABLE}, could not do it: {told}; nothing was changed there. Mend that, or "
        "have a superuser run this once, then run again"
    )


def _refuse_unless_able(session: Session) -> None:
    name, makes_roles, makes_schemas, database = session.execute(_MAY_PROVISION).fetchone() or ()
    if not makes_roles:
        raise RefusedError(
            f"{name} may not make roles: have a superuser run `ALTER ROLE {name} CREATEROLE`, then "
            "run again; nothing was changed"
        )
    if not makes_schemas:
        raise RefusedError(
            f"{name} may not make schemas: have the owner of the database run `GRANT CREATE ON "
            f"DATABASE {database} TO {name}`, then run again; nothing was changed"
        )


def _address(variable: str, text: str) -> URL:
    try:
        address = make_url(text)
    except ArgumentError:
        address = URL.create("none")  # the cause shows what stands there
    if address.get_backend_name() != "postgresql":
        raise RefusedError(
            f"{variable} is no address of PostgreSQL as SQLAlchemy writes it, such as "
            "postgresql://owner:password@host:5432/database"
        )
    patience = {"connect_timeout": "10"} | dict(address.query)
    return address.set(drivername="postgresql+psycopg", query=patience)


def _asked(environment: Mapping[str, str], variable: str) -> str:
    unset = [name for name in (OWNER_VARIABLE, REDIS_VARIABLE) if not environment.get(name)]
    if unset:
        raise RefusedError(f"provisioning asks for {', '.join(unset)}, not set in the environment")
    return environment[variable]
