"""Bring a PostgreSQL warehouse to the schema that this repository works on.

The address of the warehouse's owner, who may create schemas and roles, is the environment variable
FEATURE_STORE_MIGRATIONS_DATABASE; no job needs it. `scripts/provision.py`, which does more in the
same transaction, hands its own connection over.
"""

import os
from contextlib import AbstractContextManager, nullcontext

from alembic import context
from alembic.util import CommandError
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

VARIABLE = "FEATURE_STORE_MIGRATIONS_DATABASE"


def migrate() -> None:
    """All or nothing: PostgreSQL undoes definitions as it undoes rows."""
    with _connected() as connection:
        connection.execute(text("CREATE SCHEMA IF NOT EXISTS data_warehouse"))
        context.configure(connection=connection, version_table_schema="data_warehouse")
        with context.begin_transaction():
            context.run_migrations()


def _connected() -> AbstractContextManager[Connection]:
    given: Connection | None = context.config.attributes.get("connection")
    if given is not None:
        return nullcontext(given)
    address = os.environ.get(VARIABLE, "")
    if not address:
        raise CommandError(f"{VARIABLE} is not set: set it to the SQLAlchemy address of the owner")
    url = make_url(address).set(drivername="postgresql+psycopg")
    return create_engine(url, poolclass=NullPool).begin()


migrate()
