"""Arrow tables into and out of PostgreSQL by COPY, typed on both sides."""

from collections.abc import Sequence

import psycopg
import pyarrow as pa
from psycopg.adapt import Transformer
from psycopg.pq import Format
from pyarrow import csv

from storage.postgres_copy import binary_rows
from storage.postgres_session import Session

_NAIVE, _UTC = pa.timestamp("us"), pa.timestamp("us", "UTC")

# By the number of the type in PostgreSQL's catalogue.
_ARROW_TYPES = {
    16: pa.bool_(),
    17: pa.binary(),
    20: pa.int64(),
    21: pa.int32(),
    23: pa.int32(),
    25: pa.string(),
    114: pa.string(),  # json, as its text
    700: pa.float32(),
    701: pa.float64(),
    1042: pa.string(),
    1043: pa.string(),
    1082: pa.date32(),
    1114: _NAIVE,
    1184: _UTC,
    1700: pa.float64(),
    2950: pa.string(),  # uuid
    3802: pa.string(),  # jsonb
    # Arrays of one dimension, in the order of their elements above.
    1000: pa.list_(pa.bool_()),
    1001: pa.list_(pa.binary()),
    1016: pa.list_(pa.int64()),
    1005: pa.list_(pa.int32()),
    1007: pa.list_(pa.int32()),
    1009: pa.list_(pa.string()),
    199: pa.list_(pa.string()),
    1021: pa.list_(pa.float32()),
    1022: pa.list_(pa.float64()),
    1014: pa.list_(pa.string()),
    1015: pa.list_(pa.string()),
    1182: pa.list_(pa.date32()),
    1115: pa.list_(_UTC),
    1185: pa.list_(_UTC),
    1231: pa.list_(pa.float64()),
    2951: pa.list_(pa.string()),
    3807: pa.list_(pa.string()),
}
_READ_AS = {1231: 1022, 199: 1009, 2951: 1009, 3807: 1009}
"""Arrays whose text is read as that of another type: decimals as doubles, documents as text."""


def copied_in(connection: Session, rows: pa.Table, target: str) -> None:
    """Append the rows to the table `target`, of the same columns, each of its `binary_type`.

    Raises:
        psycopg.Error: the server refuses them; neither it nor its log quotes a row.
    """
    with connection.cursor().copy(f"COPY {target} FROM STDIN (FORMAT binary)".encode()) as copy:
        for piece in binary_rows(rows):
            copy.write(piece)


def copied_out(connection: Session, query: str) -> pa.Table:
    """What the query selects; the session is in UTC, and so are times without a zone.

    Raises:
        ValueError: a column has a type that is not read here, or an array has several dimensions.
    """
    columns = _columns(connection, query)
    schema = pa.schema([pa.field(column.name, _in_csv(column)) for column in columns])
    with connection.cursor().copy(f"COPY ({query}) TO STDOUT (FORMAT csv)") as copy:
        text = b"".join(copy)
    rows = _from_csv(text, schema) if text else schema.empty_table()
    for place, column in enumerate(columns):
        if _is_made_of_text(column):
            rows = rows.set_column(place, column.name, _made(connection, rows[place], column))
    return _in_utc(rows)


def arrow_types(columns: Sequence[psycopg.Column]) -> dict[str, pa.DataType | None]:
    """What each column is read as, None for a type that is not read here."""
    return {column.name: _ARROW_TYPES.get(column.type_code) for column in columns}


def _from_csv(text: bytes, schema: pa.Schema) -> pa.Table:
    return csv.read_csv(
        pa.BufferReader(text),
        read_options=csv.ReadOptions(column_names=schema.names),
        parse_options=csv.ParseOptions(newlines_in_values=pa.string() in schema.types),
        convert_options=csv.ConvertOptions(
            column_types=schema,
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            true_values=["t"],
            false_values=["f"],
        ),
    )


def _is_made_of_text(column: psycopg.Column) -> bool:
    kind = _ARROW_TYPES[column.type_code]
    return bool(pa.types.is_list(kind) or pa.types.is_binary(kind))


def _in_csv(column: psycopg.Column) -> pa.DataType:
    return pa.string() if _is_made_of_text(column) else _ARROW_TYPES[column.type_code]


def _made(session: Session, texts: pa.ChunkedArray, column: psycopg.Column) -> pa.Array:
    """What PostgreSQL's text of each value stands for, which no reader of CSV knows."""
    code = column.type_code
    load = Transformer(session).get_loader(_READ_AS.get(code, code), Format.TEXT).load
    try:
        values = [None if text is None else load(text.encode()) for text in texts.to_pylist()]
        return pa.array(values, _ARROW_TYPES[code])
    except (pa.ArrowInvalid, pa.ArrowTypeError, psycopg.DataError):
        raise ValueError(
            f"column {column.name} holds arrays of several dimensions or infinite times, which are "
            "not read here: make others of them in a view"
        ) from None


def _in_utc(rows: pa.Table) -> pa.Table:
    fields = [f.with_type(_UTC) if f.type == _NAIVE else f for f in rows.schema]
    return rows.cast(pa.schema(fields))


def _columns(connection: Session, query: str) -> list[psycopg.Column]:
    described = connection.execute(f"SELECT * FROM ({query}) AS described LIMIT 0").description
    columns = list(described or ())
    for column in columns:
        if column.type_code not in _ARROW_TYPES:
            raise ValueError(
                f"column {column.name} is of PostgreSQL's type {column.type_display}, which is not "
                "read here: cast it in a view"
            )
    return columns
