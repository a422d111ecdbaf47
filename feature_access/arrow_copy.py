"""Arrow tables into and out of PostgreSQL by COPY, typed on both sides."""

from typing import Any

import psycopg
import pyarrow as pa
from pyarrow import csv

_NAIVE, _UTC = pa.timestamp("us"), pa.timestamp("us", "UTC")

# By the number of the type in PostgreSQL's catalogue.
_ARROW_TYPES = {
    16: pa.bool_(),
    20: pa.int64(),
    21: pa.int32(),
    23: pa.int32(),
    25: pa.string(),
    700: pa.float32(),
    701: pa.float64(),
    1042: pa.string(),
    1043: pa.string(),
    1082: pa.date32(),
    1114: _NAIVE,
    1184: _UTC,
    1700: pa.float64(),
}

Session = psycopg.Connection[tuple[Any, ...]]


def copied_in(connection: Session, rows: pa.Table, target: str) -> None:
    """Append the rows to the table `target`, whose columns stand in the same order."""
    plain = csv.WriteOptions(include_header=False)
    with connection.cursor().copy(f"COPY {target} FROM STDIN (FORMAT csv)") as copy:
        for batch in rows.to_batches(max_chunksize=100_000):
            text = pa.BufferOutputStream()
            csv.write_csv(batch, text, plain)
            copy.write(text.getvalue())


def copied_out(connection: Session, query: str) -> pa.Table:
    """What the query selects; the session is in UTC, and so are times without a zone.

    Raises:
        ValueError: a column has a type that is not read here.
    """
    schema = _schema(connection, query)
    with connection.cursor().copy(f"COPY ({query}) TO STDOUT (FORMAT csv)") as copy:
        text = b"".join(copy)
    if not text:
        return _in_utc(schema.empty_table())
    rows = csv.read_csv(
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
    return _in_utc(rows)


def _in_utc(rows: pa.Table) -> pa.Table:
    fields = [f.with_type(_UTC) if f.type == _NAIVE else f for f in rows.schema]
    return rows.cast(pa.schema(fields))


def _schema(connection: Session, query: str) -> pa.Schema:
    described = connection.execute(f"SELECT * FROM ({query}) AS described LIMIT 0").description
    fields = []
    for column in described or ():
        if column.type_code not in _ARROW_TYPES:
            raise ValueError(
                f"column {column.name} is of PostgreSQL's type {column.type_display}, which is not "
                "read here: cast it in a view"
            )
        fields.append(pa.field(column.name, _ARROW_TYPES[column.type_code]))
    return pa.schema(fields)
