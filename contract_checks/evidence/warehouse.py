"""Tables of a PostgreSQL warehouse, as evidence: copied out, digested, and one lent for a join.

Every session is read-only unless it lends, in UTC and writes numbers in full, whatever the server,
the database or the login would have it do.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import duckdb
import psycopg
from psycopg import sql

from contract_checks.evidence.declared import Warehouse
from contract_checks.evidence.facts import MissingEvidence
from contract_checks.server_faults import server_fault
from postgres_limits import asking, connect

USER_VARIABLE, PASSWORD_VARIABLE = (
    "FEATURE_STORE_WAREHOUSE_USER",
    "FEATURE_STORE_WAREHOUSE_PASSWORD",
)
"""As profiles/production.yaml has them."""

_LENT = "feature_probes.history"
_UNIFORM = "SET TIME ZONE 'UTC'; SET DateStyle = 'ISO, YMD'; SET extra_float_digits = 1"

# By the number of the type in PostgreSQL's catalogue. An amount is judged as a number.
_DUCKDB_TYPES = {
    16: "BOOLEAN",
    20: "BIGINT",
    21: "SMALLINT",
    23: "INTEGER",
    25: "VARCHAR",
    700: "FLOAT",
    701: "DOUBLE",
    1042: "VARCHAR",
    1043: "VARCHAR",
    1082: "DATE",
    1114: "TIMESTAMP",
    1184: "TIMESTAMPTZ",
    1700: "DOUBLE",
}
_POSTGRES_TYPES = {"DOUBLE": "double precision", "FLOAT": "real", "HUGEINT": "numeric"}

Session = psycopg.Connection[tuple[Any, ...]]


class Content(NamedTuple):
    """What a table holds, as its rows are written in order."""

    sha256: str
    size: int
    """Bytes."""


@contextmanager
def session(warehouse: Warehouse) -> Iterator[Session]:
    """One transaction, which sees one state of the warehouse.

    Raises:
        MissingEvidence: the warehouse does not answer, or not to this login.
    """
    if unset := [name for name in (USER_VARIABLE, PASSWORD_VARIABLE) if not os.environ.get(name)]:
        raise MissingEvidence(f"{warehouse} asks for {', '.join(unset)}, not set")
    asked = {
        "host": warehouse.host,
        "port": warehouse.port,
        "dbname": warehouse.database,
        "sslmode": warehouse.sslmode,
        "user": os.environ[USER_VARIABLE],
        "password": os.environ[PASSWORD_VARIABLE],
    }
    try:
        connection = connect(asked)
    except psycopg.OperationalError as error:
        said = (str(error).strip() or "it said nothing").splitlines()[0]
        raise MissingEvidence(
            f"{warehouse} cannot be reached: {server_fault(error) or said}"
        ) from None
    with connection, asking("warehouse"):
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.execute(_UNIFORM)
        yield connection


def columns_of(connection: Session, table: str) -> dict[str, str]:
    """DuckDB's type for each column; empty where there is no such table.

    Raises:
        MissingEvidence: a column has a type that is not read here.
    """
    (there,) = _one_row(connection, "SELECT to_regclass(%s) IS NOT NULL", [_quoted_text(table)])
    if not there:
        return {}
    described = connection.execute(_select(table, sql.SQL("false"))).description or ()
    for column in described:
        if column.type_code not in _DUCKDB_TYPES:
            raise MissingEvidence(
                f"column {column.name} of {table} is of PostgreSQL's type {column.type_display}, "
                "which is not read here: cast it in a view"
            )
    return {column.name: _DUCKDB_TYPES[column.type_code] for column in described}


def copy_out(
    connection: Session, table: str, into: duckdb.DuckDBPyConnection, name: str, only: str
) -> None:
    """Make the DuckDB table `name` of the rows for which the condition `only` holds.

    Raises:
        MissingEvidence: see `columns_of`.
    """
    columns = columns_of(connection, table)
    rows = _select(table, sql.SQL(only))
    with TemporaryDirectory() as folder:
        file = Path(folder) / "rows.csv"
        with (
            file.open("wb") as target,
            connection.cursor().copy(_to_stdout(rows)) as copy,
        ):
            for data in copy:
                target.write(data)
        # A quoted empty text is one; what is not quoted and empty is null.
        into.execute(
            f"""CREATE TABLE "{name}" AS FROM read_csv($file, columns = $columns, header = false,
                auto_detect = false, nullstr = '', allow_quoted_nulls = false, quote = '"',
                escape = '"', delim = ',', new_line = '\\n', parallel = false)""",
            {"file": str(file), "columns": columns},
        )


def content_of(connection: Session, table: str) -> Content:
    """The digest of all rows, in the order of their columns.

    Raises:
        MissingEvidence: there is no such table, or see `columns_of`.
    """
    columns = columns_of(connection, table)
    if not columns:
        raise MissingEvidence(f"no table {table} in the warehouse")
    order = sql.SQL(", ").join(map(sql.Identifier, columns))
    rows = sql.SQL("{} ORDER BY {}").format(_select(table, sql.SQL("true")), order)
    digest, size = sha256(", ".join(columns).encode()), 0
    with connection.cursor().copy(_to_stdout(rows)) as copy:
        for data in copy:
            digest.update(data)
            size += len(data)
    return Content(digest.hexdigest(), size)


@contextmanager
def lent(warehouse: Warehouse, history: Path) -> Iterator[str]:
    """A parquet file as a table of the warehouse, for as long as the block lasts.

    One judgement borrows it at a time, and others wait; what a killed one left is replaced.
    """
    with session(warehouse) as keeper:
        keeper.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [_LENT])
        with session(warehouse) as writer:
            _fill(writer, history)
        try:
            yield _LENT
        finally:
            with session(warehouse) as writer:
                writer.execute(f"DROP TABLE IF EXISTS {_LENT}")


def _fill(connection: Session, history: Path) -> None:
    with duckdb.connect() as engine, TemporaryDirectory() as folder:
        engine.execute("SET TimeZone = 'UTC'")
        engine.read_parquet(str(history)).create_view("history")
        described = [(row[0], row[1]) for row in engine.execute("DESCRIBE history").fetchall()]
        columns = ", ".join(f'"{name}" {_POSTGRES_TYPES.get(t, t)}' for name, t in described)
        connection.execute(f"DROP TABLE IF EXISTS {_LENT}")
        connection.execute(f"CREATE TABLE {_LENT} ({columns})")
        file = Path(folder) / "rows.csv"
        engine.execute(f"COPY history TO '{file}' (FORMAT csv, HEADER false)")
        with connection.cursor().copy(f"COPY {_LENT} FROM STDIN (FORMAT csv)") as copy:
            copy.write(file.read_bytes())


def _select(table: str, condition: sql.Composable) -> sql.Composed:
    return sql.SQL("SELECT * FROM {} WHERE {}").format(_named(table), condition)


def _to_stdout(query: sql.Composable) -> sql.Composed:
    return sql.SQL("COPY ({}) TO STDOUT (FORMAT csv)").format(query)


def _named(table: str) -> sql.Identifier:
    return sql.Identifier(*table.split("."))


def _quoted_text(table: str) -> str:
    return _named(table).as_string()


def _one_row(connection: Session, query: str, parameters: list[Any]) -> tuple[Any, ...]:
    row = connection.execute(query, parameters).fetchone()
    if row is None:
        raise LookupError(f"a query that always has a row gave none: {query}")
    return row
