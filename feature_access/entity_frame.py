"""Entity frames: whose features are asked for and as of when, from wherever they lie."""

from collections.abc import Collection, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from feast import FeatureStore
from sqlalchemy import create_engine
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.exc import SQLAlchemyError

from feature_access.refusal import RefusedError

DATABASE_VARIABLE = "FEATURE_STORE_ENTITIES_DATABASE"
"""SQLAlchemy address of the database that a .sql file's SELECT is sent to."""


def read_entity_frame(
    file: Path,
    environment: Mapping[str, str],
    time: str = "event_timestamp",
    text: Collection[str] = (),
) -> pa.Table:
    """The rows of a parquet file, a CSV file (.csv), or the SELECT that a .sql file holds.

    `time` names the column of instants: ISO 8601 where it is text, UTC where it has no zone. The
    columns in `text` are text in a CSV as well, which does not say: 007 is not 7.

    Raises:
        RefusedError: there is no such file, it cannot be read, a time cannot, or the database did
            not answer with rows. The message names no address: it may hold a password.
    """
    if not file.is_file():
        raise RefusedError(f"no such file as {file}: name a parquet, CSV or SQL file")
    try:
        if file.suffix.lower() == ".csv":
            rows = _csv(file, text)
        elif file.suffix.lower() == ".sql":
            rows = _selected(file.read_text(encoding="utf-8"), environment)
        else:
            rows = pq.read_table(file)
        return _with_instants(rows, time)
    except (pa.ArrowException, ValueError, OSError) as error:
        raise RefusedError(f"{file} cannot be read: {_first_line(error)}") from error


def text_keys(store: FeatureStore) -> list[str]:
    """The join keys that the registry declares to be text."""
    return [e.join_key for e in store.list_entities() if e.value_type.name == "STRING"]


def as_pandas(rows: pa.Table) -> pd.DataFrame:
    """The rows as Feast wants them, with integers that a null beside them leaves integers."""
    nullable = {pa.int64(): pd.Int64Dtype(), pa.int32(): pd.Int32Dtype()}
    return rows.to_pandas(types_mapper=nullable.get)


def _csv(file: Path, text: Collection[str]) -> pa.Table:
    columns = dict.fromkeys(text, "string")
    frame = pd.read_csv(file, dtype=columns, dtype_backend="numpy_nullable")
    return pa.Table.from_pandas(frame, preserve_index=False)


def _with_instants(rows: pa.Table, time: str) -> pa.Table:
    """The times of text as instants; of any other type they are left as they are."""
    place = rows.schema.get_field_index(time)
    if place < 0 or not (
        pa.types.is_string(rows[time].type) or pa.types.is_large_string(rows[time].type)
    ):
        return rows
    # Not pandas': it reads a time without a zone in the zone of the one before it.
    instants = [_instant(text) for text in rows[time].to_pylist()]
    return rows.set_column(place, time, pa.array(instants, pa.timestamp("us", tz="UTC")))


def _instant(text: str | None) -> datetime | None:
    time = datetime.fromisoformat(text) if text else None
    return time and (time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC))


def _selected(query: str, environment: Mapping[str, str]) -> pa.Table:
    address = environment.get(DATABASE_VARIABLE, "")
    if not address:
        raise RefusedError(
            f"{DATABASE_VARIABLE} is not set: set it to the SQLAlchemy address of the database "
            "that the SELECT is for"
        )
    try:
        engine = create_engine(address)
        with engine.connect() as connection:
            return _rows(connection, query)
    except (SQLAlchemyError, ImportError) as error:
        reason = _without_secrets(_first_line(getattr(error, "orig", None) or error), address)
        # Not chained: SQLAlchemy's own message may repeat what it was given.
        raise RefusedError(f"the database of {DATABASE_VARIABLE}: {reason}") from None


def _rows(connection: Connection, query: str) -> pa.Table:
    """What the query selects; never committed, so whatever else it does is undone."""
    # Sent as it is written: a % or a :name in it is not a parameter.
    sent = connection.execution_options(no_parameters=True)
    selected = sent.exec_driver_sql(query)
    if not selected.returns_rows:
        raise RefusedError("the SQL file selects nothing: write a single SELECT")
    names = list(selected.keys())
    if len({*names}) < len(names):
        raise RefusedError(f"the SELECT has two columns of one name: {', '.join(sorted(names))}")
    rows = selected.all()
    columns = {name: _column(name, [row[i] for row in rows]) for i, name in enumerate(names)}
    return pa.table(columns)


def _column(name: str, values: list[object]) -> pa.Array:
    try:
        return pa.array(values)
    except pa.ArrowException as error:
        raise RefusedError(
            f"column {name} holds what has no type here: cast it in the SELECT "
            f"({_first_line(error)})"
        ) from error


def _without_secrets(message: str, address: str) -> str:
    secrets = {address}
    with suppress(SQLAlchemyError):  # what is no address is hidden whole
        secrets.add(make_url(address).password or "")
    for secret in filter(None, secrets):
        message = message.replace(secret, "***")
    return message


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
