"""The logins of the jobs: read from the environment, made, given their roles, and tried."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import psycopg
from psycopg import sql
from sqlalchemy.engine import URL

from jobs.provisioning.rights import MAY, PREFIX, Session
from storage.errors import RefusedError
from storage.postgres_session import first_line

LOGINS_VARIABLE = "FEATURE_STORE_LOGINS"

_HOW = (
    f'{LOGINS_VARIABLE} is to hold a JSON object such as {{"pipeline_job": {{"password": "...", '
    f'"roles": ["pipeline", "registry"]}}}}, of the roles {", ".join(MAY)}'
)
_LONGEST_NAME = 63
"""Bytes; PostgreSQL cuts off what is beyond, and two logins could become one."""

_INHERITED_BY_GRANT = 160_000
"""From PostgreSQL 16 on each grant says whether the login has its role's rights at once; before,
the login does."""

# The owner is a member of the roles, to hand them on, and is no job's login.
_MEMBERS = """
    SELECT login.rolname, substr(given.rolname, %(skip)s)
    FROM pg_auth_members AS m JOIN pg_roles AS login ON login.oid = m.member
        JOIN pg_roles AS given ON given.oid = m.roleid
    WHERE login.rolcanlogin AND login.rolname <> current_user AND given.rolname = ANY(%(roles)s)
      AND login.oid NOT IN (
          SELECT nspowner FROM pg_namespace
          WHERE nspname IN ('data_warehouse', 'feature_operations')
      )
    ORDER BY 1, 2
"""


class Login(NamedTuple):
    """A login that a job is to have."""

    name: str
    password: str
    roles: tuple[str, ...]
    """By their short names."""


def logins_from(environment: Mapping[str, str], owner: str) -> list[Login]:
    """The logins to make; none where the environment names none. No message shows a password.

    Raises:
        RefusedError: what stands there is none, or names no login or role.
    """
    try:
        told = json.loads(environment.get(LOGINS_VARIABLE) or "{}")
    except ValueError:
        raise RefusedError(_HOW) from None  # the cause would show what stands there
    if not isinstance(told, dict):
        raise RefusedError(_HOW)
    return [_login(name, entry, owner) for name, entry in told.items()]


def _login(name: str, entry: Any, owner: str) -> Login:
    if name == owner or name.startswith(("pg_", PREFIX)):
        raise RefusedError(f"{name} is the owner's, a role's or PostgreSQL's own name: {_HOW}")
    if not name.strip() or "\0" in name or len(name.encode()) > _LONGEST_NAME:
        raise RefusedError(f"a login is unnamed, or longer than {_LONGEST_NAME} bytes: {_HOW}")
    if not isinstance(entry, dict) or entry.keys() != {"password", "roles"}:
        raise RefusedError(f"{name} is to have a password and roles, and nothing else: {_HOW}")
    password, roles = entry["password"], entry["roles"]
    if not isinstance(password, str) or not password or "\0" in password:
        raise RefusedError(f"{name} has no password: {_HOW}")
    if not isinstance(roles, list) or not roles:
        raise RefusedError(f"{name} has no roles: {_HOW}")
    if unknown := [role for role in roles if role not in list(MAY)]:
        raise RefusedError(f"{name} is to have roles that there are none of, {unknown}: {_HOW}")
    return Login(name, password, tuple(dict.fromkeys(roles)))


def refused_entry(owner: URL, login: Login) -> str | None:
    """Why the server does not let the login in with its password; None where it does."""
    address = owner.set(username=login.name, password=login.password)
    where: dict[str, Any] = address.translate_connect_args(username="user", database="dbname")
    try:
        psycopg.connect(**(where | dict(owner.query))).close()
    except psycopg.OperationalError as error:
        return first_line(error)
    return None


def make_login(session: Session, login: Login, *, let_in: bool) -> list[str]:
    """Make the login, or set its password where it is not let in, and give it its roles.

    The server is sent what it keeps (a SCRAM verifier) and not the password, which so stands in no
    log of it. What was done, in words.
    """
    done, name = [], sql.Identifier(login.name)
    exists = session.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [login.name]).fetchone()
    if not exists or not let_in:
        what = sql.SQL("ALTER" if exists else "CREATE")
        setting = sql.SQL("{} ROLE {} LOGIN PASSWORD {}")
        session.execute(setting.format(what, name, _verifier(session, login)))
        done.append(f"{'set the password of' if exists else 'made'} the login {login.name}")
    by_grant = session.info.server_version >= _INHERITED_BY_GRANT
    barred = "SELECT 1 FROM pg_roles WHERE rolname = %s AND NOT rolinherit"
    if not by_grant and session.execute(barred, [login.name]).fetchone():
        session.execute(sql.SQL("ALTER ROLE {} INHERIT").format(name))
        done.append(f"let {login.name} have its roles' rights at once")
    for role in login.roles:
        asked = [login.name, PREFIX + role, "USAGE" if by_grant else "MEMBER"]
        (has,) = session.execute("SELECT pg_has_role(%s, %s, %s)", asked).fetchone() or (True,)
        if not has:
            how = sql.SQL(" WITH INHERIT TRUE" if by_grant else "")
            granting = sql.SQL("GRANT {} TO {}{}")
            session.execute(granting.format(sql.Identifier(PREFIX + role), name, how))
            done.append(f"gave {login.name} the role {PREFIX}{role}")
    return done


def _verifier(session: Session, login: Login) -> sql.Literal:
    words = (login.password.encode(), login.name.encode(), b"scram-sha-256")
    return sql.Literal(session.pgconn.encrypt_password(*words).decode())


def roles_of_logins(session: Session) -> dict[str, list[str]]:
    """The short names of the roles that each login of the server has been given."""
    known = {"skip": len(PREFIX) + 1, "roles": [PREFIX + role for role in MAY]}
    roles: dict[str, list[str]] = {}
    for login, role in session.execute(_MEMBERS, known):
        roles.setdefault(login, []).append(role)
    return roles
