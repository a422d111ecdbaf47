"""Entity frames: whose features are asked for and as of when, from wherever they lie."""

from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from feast import FeatureStore
from feast.types import String
from sqlalchemy import create_engine
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.exc import SQLAlchemyError

from feature_access.entities.instants import instants
from feature_access.training.csv_rows import read_csv
from feature_access.training.read_only import read_only
from storage.errors import RefusedError

_NULLABLE = {
    pa.int8(): pd.Int8Dtype(),
    pa.int16(): pd.Int16Dtype(),
    pa.int32(): pd.Int32Dtype(),
    pa.int64(): pd.Int64Dtype(),
    pa.uint8(): pd.UInt8Dtype(),
    pa.uint16(): pd.UInt16Dtype(),
    pa.uint32(): pd.UInt32Dtype(),
    pa.uint64(): pd.UInt64Dtype(),
}

DATABASE_VARIABLE = "FEATURE_STORE_ENTITIES_DATABASE"
"""SQLAlchemy address of the database that a .sql file's SELECT is sent to."""


def read_entity_frame(
    file: Path,
    environment: Mapping[str, str],
    time: str = "event_timestamp",
    text: Collection[str] = (),
) -> pa.Table:
    """The rows of a parquet file, a CSV file (.csv), or the SELECT that a .sql file holds.

    `time` names the column of instants (see `feature_access.entities.instants`). The columns in
    `text` are text in a CSV as well, which does not say: 7 may be one (see
    `feature_access.training.csv_rows`).

    Raises:
        RefusedError: there is no such file, it cannot be read, a time cannot, or the database did
            not answer with rows. The message names no address: it may hold a password.
    """
    if not file.is_file():
        raise RefusedError(f"no such file as {file}: name a parquet, CSV or SQL file")
    try:
        if file.suffix.lower() == ".csv":
            rows = read_csv(file, text)
        elif file.suffix.lower() == ".sql":
            rows = _selected(file.read_text(encoding="utf-8"), environment)
        else:
            rows = pq.read_table(file)
        return _with_instants(rows, time)
    except (pa.ArrowException, ValueError, OSError) as error:
        raise RefusedError(f"{file} cannot be read: {_first_line(error)}") from error


def text_keys(store: FeatureStore) -> set[str]:
    """The join keys that are declared to be text, by every name a service gives them."""
    views = store.list_batch_feature_views(allow_cache=True)
    names = {c.name for view in views for c in view.entity_columns if c.dtype == String}
    services = store.list_feature_services()
    shown = [one.join_key_map for s in services for one in s.feature_view_projections]
    return names | {renamed[name] for renamed in shown for name in names & renamed.keys()}


def as_pandas(rows: pa.Table) -> pd.DataFrame:
    """The rows as Feast wants them, with integers that a null beside them leaves integers."""
    return rows.to_pandas(types_mapper=_NULLABLE.get)


def _with_instants(rows: pa.Table, time: str) -> pa.Table:
    place = rows.schema.get_field_index(time)
    return rows if place < 0 else rows.set_column(place, time, instants(rows[time], time))


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
            return _rows(read_only(connection), query)
    except (SQLAlchemyError, ImportError) as error:
        reason = _without_secrets(_first_line(getattr(error, "orig", None) or error), address)
        # Not chained: SQLAlchemy's own message may repeat what it was given.
        raise RefusedError(
            f"the database of {DATABASE_VARIABLE}: {reason} (it is sent one SELECT, which may "
            "change nothing)"
        ) from None


def _rows(connection: Connection, query: str) -> pa.Table:
    """What the query selects; nothing is ever committed."""
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
