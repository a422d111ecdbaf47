"""Load events into the warehouse in bulk (COPY): those of a file that are not there yet."""

from dataclasses import dataclass
from pathlib import Path

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

from feature_pipeline.events_table import AMOUNTS, KEYS
from feature_pipeline.refusal import RefusedError
from feature_pipeline.warehouse import EVENTS, Session, one_row, session

_COLUMNS = (*KEYS, *AMOUNTS)
_NAMED = ", ".join(_COLUMNS)
_SAID = ", ".join(f"{{0}}.{amount}" for amount in AMOUNTS)

# It refuses what the table itself would refuse.
_ARRIVING = f"""
    CREATE TEMP TABLE arriving (LIKE {EVENTS} INCLUDING CONSTRAINTS INCLUDING INDEXES)
    ON COMMIT DROP
"""


@dataclass(frozen=True)
class Loaded:
    """What became of the rows of one file."""

    appended: int
    there_already: int


def load_events(address: str, events: Path) -> Loaded:
    """Append the events of a parquet file to `data_warehouse.customer_events`, all or none.

    A file may repeat what the warehouse holds; an event (customer, happened, arrived) counts once.
    `address` is a libpq connection string of a login with the role `feature_store_pipeline`.

    Raises:
        RefusedError: the file is not there or is not the events table, one of its rows breaks a
            producer's rule or says otherwise than the warehouse of the same event, or the
            warehouse cannot be reached or written to.
    """
    file = _opened(events)
    with session(address) as connection, connection.transaction():
        try:
            connection.execute(_ARRIVING)
            _copy(connection, file)
            _refuse_other_accounts(connection, events)
            arriving = file.metadata.num_rows
            appended = connection.execute(
                f"INSERT INTO {EVENTS} ({_NAMED}) SELECT {_NAMED} FROM arriving "
                "ON CONFLICT DO NOTHING"
            ).rowcount
        except (psycopg.DataError, psycopg.IntegrityError, psycopg.ProgrammingError) as error:
            raise RefusedError(
                f"{events} cannot be loaded: {error.diag.message_primary}. Mend the ingestion job, "
                "the file or the login's rights and run again; nothing was written"
            ) from None  # its details quote rows
    return Loaded(appended, arriving - appended)


def _opened(events: Path) -> pq.ParquetFile:
    if not events.is_file():
        raise RefusedError(f"no events file at {events}: name a parquet file of customer_events")
    try:
        file = pq.ParquetFile(events)
    except (pa.ArrowException, OSError) as error:
        raise RefusedError(f"{events} is not a readable parquet file ({error})") from error
    schema = file.schema_arrow
    if missing := [name for name in _COLUMNS if name not in schema.names]:
        raise RefusedError(f"{events} lacks {', '.join(missing)}: customer_events has {_NAMED}")
    for name in KEYS[1:]:
        kind = schema.field(name).type
        if not pa.types.is_timestamp(kind) or kind.tz is None:
            raise RefusedError(
                f"{events}: {name} is {kind}, which names no instant: write it with its time zone"
            )
    return file


def _copy(connection: Session, file: pq.ParquetFile) -> None:
    plain = csv.WriteOptions(include_header=False)
    with connection.cursor().copy(f"COPY arriving ({_NAMED}) FROM STDIN (FORMAT csv)") as copy:
        for batch in file.iter_batches(columns=list(_COLUMNS)):
            text = pa.BufferOutputStream()
            csv.write_csv(_in_microseconds(batch.select(list(_COLUMNS))), text, plain)
            copy.write(text.getvalue().to_pybytes())


def _in_microseconds(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Finer times are cut off, as the embedded engine does; PostgreSQL would round them up."""
    fields = [
        field.with_type(pa.timestamp("us", "UTC")) if pa.types.is_timestamp(field.type) else field
        for field in batch.schema
    ]
    columns = [c.cast(f.type, safe=False) for c, f in zip(batch.columns, fields, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=pa.schema(fields))


def _refuse_other_accounts(connection: Session, events: Path) -> None:
    (others,) = one_row(
        connection,
        f"""SELECT count(*) FROM arriving JOIN {EVENTS} AS held USING ({", ".join(KEYS)})
        WHERE ({_SAID.format("arriving")}) IS DISTINCT FROM ({_SAID.format("held")})""",
    )
    if others:
        raise RefusedError(
            f"{others:,} events of {events} are in {EVENTS} with other amounts: an event is never "
            "edited, send a later state of its day; nothing was written"
        )
