"""What each role may do in production, what PostgreSQL lets a role or a login do, and the gap.

The words of docs/production.md as a table, so that rights that drifted are seen: no migration is
read here. A right is one privilege on one thing; a role is a group, which logins are given.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from psycopg import Connection, sql
from psycopg.errors import InsufficientPrivilege

Session = Connection[tuple[Any, ...]]

PREFIX = "feature_store_"
REGISTRY, OPERATIONS = "feature_registry", "feature_operations"

_WAREHOUSE = "data_warehouse"
_LOG = f"{_WAREHOUSE}.customer_features_offline"
_EVENTS, _QUARANTINE = f"{_WAREHOUSE}.customer_events", f"{_WAREHOUSE}.customer_events_quarantine"
_REFRESHES, _ERASED = f"{_WAREHOUSE}.customer_features_refreshes", f"{_WAREHOUSE}.erased_customers"
_BOUNDS = {f"{_LOG}_kept_from": "SELECT", f"{_LOG}_known_up_to": "SELECT"}
_ON_RECORD = {
    OPERATIONS: "USAGE",
    f"{OPERATIONS}.operations": "SELECT INSERT",
    f"{OPERATIONS}.operations_id_seq": "USAGE",
}
_DATABASE = {"database": "CONNECT TEMPORARY"}
_AT_WORK = {**_DATABASE, _WAREHOUSE: "USAGE", **_ON_RECORD}

MAY: Mapping[str, Mapping[str, str]] = {
    "pipeline": {
        **_AT_WORK,
        **_BOUNDS,
        **dict.fromkeys((_EVENTS, _LOG, _REFRESHES, _ERASED), "SELECT INSERT"),
        _QUARANTINE: "SELECT INSERT DELETE",
        f"{_WAREHOUSE}.mend_average": "EXECUTE",
        "customer_activity": "USAGE CREATE",
        "raw": "USAGE",
        "raw.purchases": "SELECT",
    },
    "training": {**_AT_WORK, **_BOUNDS, _LOG: "SELECT"},
    "judge": {
        **_AT_WORK,
        f"{_WAREHOUSE}.*": "SELECT",
        "feature_probes": "USAGE CREATE",
    },
    "retention": {
        **_AT_WORK,
        **_BOUNDS,
        **dict.fromkeys((_EVENTS, _QUARANTINE), "SELECT DELETE"),
        **dict.fromkeys((_LOG, f"{_LOG}_kept_from"), "SELECT INSERT DELETE"),
        **dict.fromkeys((_REFRESHES, _ERASED), "SELECT INSERT"),
        f"{OPERATIONS}.operations": "SELECT INSERT UPDATE DELETE",
    },
    "registry": {
        "database": "CONNECT",
        REGISTRY: "USAGE CREATE",
        f"{REGISTRY}.*": "SELECT INSERT UPDATE DELETE",
    },
    "registry_reader": {
        "database": "CONNECT",
        REGISTRY: "USAGE",
        f"{REGISTRY}.*": "SELECT",
    },
}
"""Privileges of each role, by the thing; `schema.*` is every table and view in it."""

# A column's privilege is as good as the table's to whoever should have none; to have the job done
# it takes the table's.
_RIGHTS = """
    WITH things (kind, oid, name, spelled) AS (
        SELECT CASE relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, c.oid,
               nspname || '.' || relname, format('%%I.%%I', nspname, relname)
        FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = relnamespace
        WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
          AND (nspname IN ('data_warehouse', 'feature_registry', 'feature_operations')
               OR nspname = 'raw' AND relname = 'purchases')
        UNION ALL
        SELECT 'FUNCTION', p.oid, nspname || '.' || proname, p.oid::regprocedure::text
        FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = pronamespace
        WHERE nspname = 'data_warehouse'
        UNION ALL
        SELECT 'SCHEMA', oid, nspname, format('%%I', nspname) FROM pg_namespace
        WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
        UNION ALL
        SELECT 'DATABASE', oid, 'database', format('%%I', datname) FROM pg_database
        WHERE datname = current_database()
    ), privileges (kind, privilege) AS (
        VALUES ('TABLE', 'SELECT'), ('TABLE', 'INSERT'), ('TABLE', 'UPDATE'), ('TABLE', 'DELETE'),
               ('TABLE', 'TRUNCATE'), ('SEQUENCE', 'USAGE'), ('FUNCTION', 'EXECUTE'),
               ('SCHEMA', 'USAGE'), ('SCHEMA', 'CREATE'),
               ('DATABASE', 'CONNECT'), ('DATABASE', 'TEMPORARY'), ('DATABASE', 'CREATE')
    )
    SELECT name, privilege, kind || ' ' || spelled,
        CASE kind
            WHEN 'TABLE' THEN has_table_privilege(%(who)s, oid, privilege)
            WHEN 'SEQUENCE' THEN has_sequence_privilege(%(who)s, oid, privilege)
            WHEN 'FUNCTION' THEN has_function_privilege(%(who)s, oid, privilege)
            WHEN 'SCHEMA' THEN has_schema_privilege(%(who)s, oid, privilege)
            ELSE has_database_privilege(%(who)s, oid, privilege)
        END,
        CASE WHEN kind = 'TABLE' AND privilege IN ('SELECT', 'INSERT', 'UPDATE')
            THEN has_any_column_privilege(%(who)s, oid, privilege) ELSE false
        END
    FROM things JOIN privileges USING (kind)
"""
_POWERS = """
    SELECT unnest(array_remove(ARRAY[
        CASE WHEN rolsuper THEN 'SUPERUSER' END, CASE WHEN rolcreaterole THEN 'CREATEROLE' END,
        CASE WHEN rolcreatedb THEN 'CREATEDB' END, CASE WHEN rolreplication THEN 'REPLICATION' END,
        CASE WHEN rolbypassrls THEN 'BYPASSRLS' END
    ], NULL)) FROM pg_roles WHERE rolname = %(login)s
    UNION ALL
    SELECT 'the role ' || other.rolname FROM pg_roles AS login, pg_roles AS other
    WHERE login.rolname = %(login)s AND NOT login.rolsuper AND other.oid <> login.oid
      AND other.rolname <> ALL(%(own)s) AND pg_has_role(login.oid, other.oid, 'MEMBER')
"""


class Right(NamedTuple):
    """One privilege on one thing of this database."""

    name: str
    privilege: str
    thing: str
    """As GRANT names it, such as `TABLE data_warehouse.customer_events`."""

    def __str__(self) -> str:
        return f"{self.privilege} on {self.name}"


class Rights(NamedTuple):
    """What somebody may do, of all that there is to be done."""

    there: frozenset[Right]
    held: frozenset[Right]
    partly: frozenset[Right]
    """Held on one column at least."""


class Judged(NamedTuple):
    """What a login lacks for its roles' work, and what it may do beyond that."""

    lacks: tuple[str, ...]
    beyond: tuple[str, ...]


def rights_of(session: Session, who: str) -> Rights:
    """The rights of a role or a login, by whatever way: its own, its roles', everybody's."""
    rows = session.execute(_RIGHTS, {"who": who}).fetchall()
    return Rights(
        frozenset(Right(*row[:3]) for row in rows),
        frozenset(Right(*row[:3]) for row in rows if row[3]),
        frozenset(Right(*row[:3]) for row in rows if row[3] or row[4]),
    )


def due_to(roles: Iterable[str], there: Iterable[Right]) -> frozenset[Right]:
    """Rights, of those there are, that are due to the roles by their short names."""
    return frozenset(right for right in there for role in roles if _is_due(right, MAY[role]))


def _is_due(right: Right, may: Mapping[str, str]) -> bool:
    return right.privilege in may.get(right.name, may.get(_every(right), "")).split()


def _every(right: Right) -> str:
    """What names every table of the schema; a right on anything else is named by itself."""
    schema, _, table = right.name.partition(".")
    return f"{schema}.*" if table and right.thing.startswith("TABLE ") else right.name


def grant_what_lacks(session: Session, role: str) -> list[str]:
    """Grant the role, by its short name, what it is due and lacks; what was granted, in words.

    What is another's to grant is left, and found lacking when a login of the role is judged.
    """
    name, before = PREFIX + role, rights_of(session, PREFIX + role)
    for right in due_to([role], before.there) - before.held:
        words = map(sql.SQL, (right.privilege, right.thing))  # both are PostgreSQL's own
        with suppress(InsufficientPrivilege), session.transaction():
            session.execute(sql.SQL("GRANT {} ON {} TO {}").format(*words, sql.Identifier(name)))
    return [
        f"granted {name} {words}"
        for words in _told(rights_of(session, name).held - before.held, role)
    ]


def _told(rights: Iterable[Right], role: str) -> list[str]:
    """A line per thing that the role's rights name; `schema.*` is one."""
    things: dict[str, set[str]] = {}
    for right in rights:
        named = right.name if right.name in MAY[role] else _every(right)
        things.setdefault(named, set()).add(right.privilege)
    return [f"{', '.join(sorted(things[name]))} on {name}" for name in sorted(things)]


def judged(session: Session, login: str, roles: Iterable[str]) -> Judged:
    """Whether a login with these roles, by their short names, may do all they say and no more."""
    own, rights = list(roles), rights_of(session, login)
    known = {"login": login, "own": [PREFIX + role for role in own]}
    powers = [power for (power,) in session.execute(_POWERS, known)]
    due = due_to(own, rights.there)
    beyond = [] if "SUPERUSER" in powers else sorted(filter(_counts, rights.partly - due))
    return Judged(tuple(map(str, sorted(due - rights.held))), (*sorted(powers), *map(str, beyond)))


def _counts(right: Right) -> bool:
    """A schema's USAGE shows no row of it, and everybody may log in and have temporary tables."""
    return right.privilege not in ("USAGE", "CONNECT", "TEMPORARY")
