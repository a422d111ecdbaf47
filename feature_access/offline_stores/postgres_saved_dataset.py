"""A read that is kept in a table of the warehouse."""

import re

import psycopg
import pyarrow as pa
from feast.errors import SavedDatasetLocationAlreadyExists

from feature_access.offline_stores.saved_dataset import Read
from storage.postgres_session import Session

_NAME = re.compile(r'([A-Za-z_]\w*|"[^"]+")(\.([A-Za-z_]\w*|"[^"]+"))?')
_BATCH = 10_000

_TYPES = {
    pa.bool_(): "boolean",
    pa.int8(): "smallint",
    pa.int16(): "smallint",
    pa.int32(): "integer",
    pa.int64(): "bigint",
    pa.uint8(): "smallint",
    pa.uint16(): "integer",
    pa.uint32(): "bigint",
    pa.float16(): "real",
    pa.float32(): "real",
    pa.float64(): "double precision",
    pa.string(): "text",
    pa.large_string(): "text",
    pa.binary(): "bytea",
    pa.large_binary(): "bytea",
    pa.date32(): "date",
    pa.null(): "text",
}


def save_as_table(session: Session, read: Read, table: str, allow_overwrite: bool) -> None:
    """Keep the rows in a table of this name, in one transaction: all of them or none.

    Raises:
        SavedDatasetLocationAlreadyExists: it is there, and may not be overwritten.
        ValueError: `table` is no name, a column has a type without a place there, or the server
            does not let it be made.
    """
    if not _NAME.fullmatch(table):
        raise ValueError(f"{table} names no table: give a name, its schema before it if need be")
    found = session.execute("SELECT to_regclass(%s) IS NOT NULL", [table]).fetchone()
    there = bool(found and found[0])
    if there and not allow_overwrite:
        raise SavedDatasetLocationAlreadyExists(table)
    rows = read()
    columns = ", ".join(f"{_quoted(field.name)} {_type_of(field)}" for field in rows.schema)
    try:
        if there:
            session.execute(f"DROP TABLE {table}".encode())
        session.execute(f"CREATE TABLE {table} ({columns})".encode())
        with session.cursor().copy(f"COPY {table} FROM STDIN".encode()) as copy:
            for batch in _in_microseconds(rows).to_batches(max_chunksize=_BATCH):
                for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                    copy.write_row(row)
    except psycopg.Error as error:
        raise ValueError(
            f"the dataset cannot be kept in {table} ({error.diag.message_primary}): name another "
            "table, or use a login that may create it"
        ) from None


def _in_microseconds(rows: pa.Table) -> pa.Table:
    """The rows with times as PostgreSQL has them."""
    kinds = [
        field.with_type(pa.timestamp("us", field.type.tz))
        if pa.types.is_timestamp(field.type)
        else field
        for field in rows.schema
    ]
    try:
        return rows.cast(pa.schema(kinds))
    except pa.ArrowInvalid as error:
        raise ValueError(
            f"a warehouse keeps microseconds: round the entity frame ({error})"
        ) from None


def _quoted(name: str) -> str:
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


def _type_of(field: pa.Field) -> str:
    kind = field.type
    if pa.types.is_list(kind):
        return f"{_type_of(kind.value_field)}[]"
    if pa.types.is_dictionary(kind):
        return _type_of(field.with_type(kind.value_type))
    if pa.types.is_timestamp(kind):
        return "timestamptz" if kind.tz else "timestamp"
    if kind not in _TYPES:
        raise ValueError(
            f"column {field.name} is of type {kind}, for which a warehouse has no place here: drop "
            "it from the entity frame, or give it another type"
        )
    return _TYPES[kind]
