"""Set production up: its schemas, roles, logins and rights, each of them checked at the end."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, NamedTuple

import psycopg
import typer
from rich.table import Table
from sqlalchemy import Connection, create_engine
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import NullPool

from contract_checks.console import console
from scripts.command_line import refusals_exit, run_job
from scripts.provisioned_logins import (
    LOGINS_VARIABLE,
    Login,
    logins_from,
    make_login,
    refused_entry,
    roles_of_logins,
)
from scripts.provisioned_redis import REDIS_VARIABLE, why_redis_may_lose
from scripts.provisioned_rights import MAY, Session, grant_what_lacks, judged
from scripts.provisioned_schemas import make_roles, make_tables, migrate
from storage.errors import RefusedError
from storage.postgres_session import first_line

OWNER_VARIABLE = "FEATURE_STORE_MIGRATIONS_DATABASE"
BROKEN = 1

_BUSY = "SET LOCAL lock_timeout = '10s'"
"""A table that a job holds is not waited for: whoever came after would wait behind this."""

_MAY_PROVISION = """
    SELECT current_user, rolsuper OR rolcreaterole,
           has_database_privilege(current_database(), 'CREATE'), current_database()
    FROM pg_roles WHERE rolname = current_user
"""


class Verdict(NamedTuple):
    """Of one login, or of Redis: its roles, and what is wrong."""

    name: str
    roles: tuple[str, ...]
    lacks: tuple[str, ...]
    beyond: tuple[str, ...] = ()


def main(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be done; nothing is left of it.")
    ] = False,
) -> None:
    """Set the production profile's warehouse, registry and logins up. Run it again at will.

    What is there stays as it is. At the end every login is held against its roles: it must be able
    to do their work, and nothing else.

    Exit code 0: every login may do its work and no more, and Redis keeps what it is given; 1: not
    so; 2: refused, nothing was changed.
    """
    with refusals_exit(RefusedError):
        owner, redis = _address(), _asked(REDIS_VARIABLE)
        logins = logins_from(os.environ, owner.username or "")
        lost = why_redis_may_lose(redis)
        done, verdicts = provision(owner, logins, keep=not dry_run)
    verdicts.append(Verdict("Redis", (), (lost,) if lost else ()))
    _show(done, verdicts, dry_run)
    if any(verdict.lacks or verdict.beyond for verdict in verdicts):
        raise typer.Exit(BROKEN)


def provision(
    owner: URL, logins: list[Login], *, keep: bool = True
) -> tuple[list[str], list[Verdict]]:
    """Do what is not done yet, in one transaction, and judge every login that has a role.

    Returns what was done, a line each, and the verdicts. Without `keep` all is taken back.

    Raises:
        RefusedError: the owner may not do it, or the warehouse cannot be reached.
    """
    shut_out = {login.name: refused_entry(owner, login) for login in logins}
    with _owner_at_work(owner, keep) as (connection, session):
        done = make_roles(session) + migrate(connection) + make_tables(connection, session)
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
        raise _refusal(error.orig or error) from None
    except psycopg.Error as error:
        raise _refusal(error) from None


def _refusal(error: BaseException) -> RefusedError:
    told = first_line(error) if isinstance(error, Exception) else str(error)
    return RefusedError(
        f"the owner of the warehouse, by {OWNER_VARIABLE}, could not do it: {told}; nothing was "
        "changed. Mend that, or have a superuser run this once, then run again"
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


def _address() -> URL:
    try:
        address = make_url(_asked(OWNER_VARIABLE))
    except ArgumentError:
        address = URL.create("none")  # the cause shows what stands there
    if address.get_backend_name() != "postgresql":
        raise RefusedError(
            f"{OWNER_VARIABLE} is no address of PostgreSQL as SQLAlchemy writes it, such as "
            "postgresql://owner:password@host:5432/database"
        )
    patience = {"connect_timeout": "10"} | dict(address.query)
    return address.set(drivername="postgresql+psycopg", query=patience)


def _asked(variable: str) -> str:
    unset = [name for name in (OWNER_VARIABLE, REDIS_VARIABLE) if not os.environ.get(name)]
    if unset:
        raise RefusedError(f"provisioning asks for {', '.join(unset)}, not set in the environment")
    return os.environ[variable]


def _show(done: list[str], verdicts: list[Verdict], dry_run: bool) -> None:
    would = "would have " if dry_run else ""
    for line in done or ["nothing to do"]:
        typer.echo(f"{would}{line}" if done else line)
    table = Table("login", "roles", "can do its work", "and no more")
    for verdict in verdicts:
        table.add_row(
            verdict.name,
            ", ".join(verdict.roles),
            "\n".join(("no, for want of:", *verdict.lacks)) if verdict.lacks else "yes",
            "\n".join(("no, it has:", *verdict.beyond)) if verdict.beyond else "yes",
        )
    console().print(table)
    if len(verdicts) == 1:
        typer.echo(f"no login has a role yet: name some in {LOGINS_VARIABLE}")


if __name__ == "__main__":
    run_job(main)
