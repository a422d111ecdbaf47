"""The schemas of production: migrated, with the tables of Feast's registry and of the log."""

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.util import CommandError
from psycopg import sql
from psycopg.errors import InsufficientPrivilege
from sqlalchemy import Connection, MetaData

from contract_checks.operations.log import TABLES
from jobs.provisioning.rights import MAY, OPERATIONS, PREFIX, REGISTRY, Session
from jobs.repository import ROOT
from storage.errors import RefusedError

_OTHERS = """
    SELECT relname, pg_get_userbyid(relowner), pg_get_userbyid(nspowner)
    FROM pg_class, pg_namespace
    WHERE relnamespace = %s::regnamespace AND relkind = 'r' AND nspname = 'data_warehouse'
      AND relowner <> nspowner
"""
"""Tables of others than the warehouse's owner, and who that is."""


def make_roles(session: Session) -> list[str]:
    """Make the roles that are not there; none can log in. What was made, in words."""
    made = []
    for role in (PREFIX + role for role in MAY):
        if not session.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone():
            session.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(role)))
            made.append(f"made the role {role}")
    return made


def migrate(connection: Connection) -> list[str]:
    """Bring the warehouse to the newest schema, in the connection's own transaction.

    Raises:
        RefusedError: it stands at a schema that this code does not know.
    """
    before = _revision(connection)
    config = Config(ROOT / "migrations" / "alembic.ini")
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise RefusedError(
            f"the warehouse cannot be migrated from {before} ({error}): is it that of newer code? "
            "Nothing was changed"
        ) from error
    after = _revision(connection)
    return [] if before == after else [f"migrated from {before or 'nothing'} to {after}"]


def _revision(connection: Connection) -> str | None:
    options = {"version_table_schema": "data_warehouse"}
    return MigrationContext.configure(connection, opts=options).get_current_revision()


def make_tables(connection: Connection, session: Session) -> list[str]:
    """Make the tables that no migration makes, as Feast and the log declare them.

    They are the owner's, so that what one job makes another may read: as it is, Feast's registry
    belongs to whoever applied first.

    Raises:
        RefusedError: a table of them belongs to a login.
    """
    import feast_start  # noqa: F401  (before Feast)
    from feast.infra.registry.sql import metadata

    return [
        *_made_in(REGISTRY, metadata, connection, session),
        *_made_in(OPERATIONS, TABLES, connection, session),
    ]


def make_warehouse(connection: Connection, session: Session) -> list[str]:
    """Make all that the warehouse's database holds; see `migrate` and `make_tables`."""
    return migrate(connection) + make_tables(connection, session)


def make_log(connection: Connection, session: Session) -> list[str]:
    """Make the operations log alone, in a database of its own."""
    return _made_in(OPERATIONS, TABLES, connection, session)


def _made_in(schema: str, tables: MetaData, connection: Connection, session: Session) -> list[str]:
    return [
        *_schema_made(session, schema),
        *_tables_made(connection, session, schema, tables),
        *_take_over(session, schema),
    ]


def _schema_made(session: Session, schema: str) -> list[str]:
    if session.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", [schema]).fetchone():
        return []
    session.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
    return [f"made the schema {schema}"]


def _tables_made(
    connection: Connection, session: Session, schema: str, tables: MetaData
) -> list[str]:
    counting = "SELECT count(*) FROM pg_class WHERE relnamespace = %s::regnamespace AND relkind='r'"
    before = session.execute(counting, [schema]).fetchone() or (0,)
    in_it = connection.execution_options(schema_translate_map={None: schema})
    tables.create_all(in_it)
    after = session.execute(counting, [schema]).fetchone() or (0,)
    made = after[0] - before[0]
    return [f"made the tables in {schema} ({made})"] if made else []


def _take_over(session: Session, schema: str) -> list[str]:
    """Let what a job's login made be the owner's: no other login may read it before."""
    done = []
    for table, maker, owner in session.execute(_OTHERS, [schema]).fetchall():
        taking = sql.SQL("ALTER TABLE {} OWNER TO {}")
        names = sql.Identifier(schema, table), sql.Identifier(owner)
        try:
            session.execute(taking.format(*names))
        except InsufficientPrivilege as error:
            raise RefusedError(
                f"{schema}.{table} belongs to {maker}, and other logins may not read it: have a "
                f"superuser run `ALTER TABLE {schema}.{table} OWNER TO {owner}`, or this script "
                "once; nothing was changed"
            ) from error
        done.append(f"took {schema}.{table} over from {maker}")
    return done
