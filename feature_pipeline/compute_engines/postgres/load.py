"""Load events into the warehouse in bulk (COPY): those of a table that are not there yet.

Every row comes in, for the refresh to judge, and sound ones wait for no other. One alone stays
out: an event that the warehouse holds with other amounts. Values may have been made of what it
holds, and an event is never edited; the newcomer is set aside with its reason.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from feature_pipeline.change_log.doubled_events import OF_ONE_HELD
from feature_pipeline.change_log.event_columns import AMOUNTS, COLUMNS, KEYS
from feature_pipeline.change_log.event_parts import event_parts
from feature_pipeline.change_log.events_table import refuse_wrong_schema
from feature_pipeline.compute_engines.postgres.keys import copy_texts, lend
from feature_pipeline.compute_engines.postgres.warehouse import (
    EVENTS,
    KEPT_FROM,
    QUARANTINE,
    REFRESHES,
    session,
    writing_alone,
)
from feature_pipeline.erasure.erased_customers import NO_ERASURES, ErasedCustomers
from storage.errors import RefusedError
from storage.one_row import one_row
from storage.postgres_session import Session

_NAMED = ", ".join(COLUMNS)
_SAME_EVENT = " AND ".join(f"held.{key} = arriving.{key}" for key in KEYS)
_SAYS_THE_SAME = " AND ".join(f"held.{one} IS NOT DISTINCT FROM arriving.{one}" for one in AMOUNTS)
_WITHOUT_KEY = f"num_nulls({', '.join(KEYS)}) > 0"

_ARRIVING = f"CREATE TEMP TABLE arriving (LIKE {EVENTS}) ON COMMIT DROP"
# As text, so that the server quotes no row of a COPY that fails or is cancelled.
_IN_TEXT = f"CREATE TEMP TABLE in_text ({' text, '.join(COLUMNS)} text) ON COMMIT DROP"
_KINDS = {"event_timestamp": "timestamptz", "created_timestamp": "timestamptz"}
_KINDS |= {"order_value": "numeric"}
_READ = f"""
    INSERT INTO arriving ({_NAMED})
    SELECT {", ".join(f"{name}::{_KINDS.get(name, 'bigint')}" for name in COLUMNS)} FROM in_text
"""
_APPEND = f"""
    INSERT INTO {EVENTS} ({_NAMED}) SELECT {_NAMED} FROM arriving
    WHERE NOT {_WITHOUT_KEY} AND NOT EXISTS (SELECT FROM {EVENTS} AS held WHERE {_SAME_EVENT})
"""
_APPEND_WITHOUT_KEY = f"""
    INSERT INTO {EVENTS} ({_NAMED}) (
        SELECT {_NAMED} FROM arriving WHERE {_WITHOUT_KEY}
        EXCEPT ALL SELECT {_NAMED} FROM {EVENTS} WHERE {_WITHOUT_KEY}
    )
"""
_OTHERWISE = f"""
    CREATE TEMP TABLE otherwise ON COMMIT DROP AS
    SELECT {_NAMED}, '{OF_ONE_HELD}' AS reason FROM arriving
    WHERE EXISTS (SELECT FROM {EVENTS} AS held WHERE {_SAME_EVENT})
      AND NOT EXISTS (SELECT FROM {EVENTS} AS held WHERE {_SAME_EVENT} AND {_SAYS_THE_SAME})
"""
_LET_GO = f"""
    DELETE FROM arriving USING (SELECT max(begins) AS begins FROM {KEPT_FROM}) AS kept
    WHERE least(event_timestamp, created_timestamp) < begins
"""
_TOO_LATE = f"""
    SELECT count(*), min(arriving.created_timestamp)::text, max(as_of) FROM arriving, (
        SELECT as_of FROM {REFRESHES} ORDER BY refresh DESC LIMIT 1
    ) AS last
    WHERE created_timestamp <= as_of AND created_timestamp > '-infinity' AND NOT {_WITHOUT_KEY}
      AND NOT EXISTS (SELECT FROM {EVENTS} AS held WHERE {_SAME_EVENT})
"""
_SET_ASIDE = f"""
    INSERT INTO {QUARANTINE} ({_NAMED}, reason) (
        SELECT {_NAMED}, reason FROM otherwise EXCEPT SELECT {_NAMED}, reason FROM {QUARANTINE}
    )
"""


@dataclass(frozen=True)
class Loaded:
    """What became of the rows of one table."""

    appended: int
    there_already: int
    set_aside: int
    """Events that the warehouse holds with other amounts."""
    left_out: int
    """Events of customers who were erased."""


def load_events(address: str, events: Path, erased: ErasedCustomers = NO_ERASURES) -> Loaded:
    """Append the events of a parquet table to `data_warehouse.customer_events`, all or none.

    A table may repeat what the warehouse holds; an event (customer, happened, arrived) counts once.
    `address` is a libpq connection string of a login with the role `feature_store_pipeline`.

    What retention has let go of stays gone, and counts as there already; so do the `erased`.

    Raises:
        RefusedError: an event says that it arrived before the last refresh, another job writes, the
            table is not there or is not the events table, a part cannot be read, its
            customers are not the warehouse's, or the warehouse cannot be reached or written to.
    """
    rows = refuse_wrong_schema(events)
    # Alone, or a refresh could pass over what this transaction has not committed yet.
    with session(address) as connection, writing_alone(connection), connection.transaction():
        try:
            connection.execute(_ARRIVING)
            connection.execute(_IN_TEXT)
            for part in event_parts(events):
                _copy(connection, part)
            connection.execute(_READ)
            left_out = _leave_out(connection, erased)
            connection.execute(_LET_GO)
            connection.execute("ANALYZE arriving")
            _refuse_what_a_refresh_missed(connection, events)
            connection.execute(_OTHERWISE)
            appended = connection.execute(_APPEND).rowcount
            appended += connection.execute(_APPEND_WITHOUT_KEY).rowcount
            set_aside = connection.execute("SELECT FROM otherwise").rowcount
            connection.execute(_SET_ASIDE)
        except (psycopg.DataError, psycopg.IntegrityError, psycopg.ProgrammingError) as error:
            raise RefusedError(
                f"{events} cannot be loaded: {_quoting_nothing(error)}. Mend the ingestion job, "
                "the file or the login's rights and run again; nothing was written"
            ) from None
    return Loaded(appended, rows - appended - set_aside - left_out, set_aside, left_out)


def _quoting_nothing(error: psycopg.Error) -> str:
    """What the server said, without the row that it may quote."""
    return re.sub(r'"[^"]*"', "…", error.diag.message_primary or type(error).__name__)


def _leave_out(connection: Session, erased: ErasedCustomers) -> int:
    if not erased:
        return 0
    arriving = connection.execute("SELECT DISTINCT customer_id FROM arriving").fetchall()
    lend(connection, "erased_here", [customer for (customer,) in arriving if customer in erased])
    query = "customer_id::text IN (SELECT customer_id FROM erased_here)"
    return connection.execute(f"DELETE FROM arriving WHERE {query}").rowcount


def _refuse_what_a_refresh_missed(connection: Session, events: Path) -> None:
    """Let nothing come in that a refresh should have seen: every later one would refuse to go on.

    Raises:
        RefusedError: an event that is not held is to have arrived by the last refresh.
    """
    missed, first, as_of = one_row(connection, _TOO_LATE)
    if missed:
        raise RefusedError(
            f"{missed:,} events of {events} say they arrived by {as_of.isoformat()}, the first "
            f"at {first}: the refresh of that time did not see them, and its values were served. "
            "Let created_timestamp say when an event reaches the warehouse, which is later than "
            "that, and load it again; nothing was written"
        )


def _copy(connection: Session, part: Path) -> None:
    try:
        file = pq.ParquetFile(part, page_checksum_verification=True)
        batches = file.iter_batches(columns=list(COLUMNS))
        rows = chain.from_iterable(map(_as_postgres_reads_it, batches))
        copy_texts(connection, "in_text", len(COLUMNS), rows)
    except (pa.ArrowException, OSError) as error:
        raise RefusedError(
            f"{part} cannot be read to its end ({error}): write it anew from where its events "
            "came; nothing was written"
        ) from error


def _as_postgres_reads_it(batch: pa.RecordBatch) -> Iterator[tuple[str | None, ...]]:
    texts = (_spelled(batch.column(name)).cast(pa.string()).to_pylist() for name in COLUMNS)
    return zip(*texts, strict=True)


def _spelled(values: pa.Array) -> pa.Array:
    if pa.types.is_timestamp(values.type):
        return _instants(values)
    if pa.types.is_float32(values.type):
        return values.cast(pa.float64())  # it is the double that it is, not what it rounds to
    if pa.types.is_dictionary(values.type):
        return values.dictionary_decode()
    return values


def _instants(times: pa.Array) -> pa.Array:
    """Microseconds in UTC as text; outside the years 1 to 9999 they are infinite.

    Finer times are cut off, as the embedded engine does; PostgreSQL would round them up.
    """
    since_1970 = times.cast(pa.int64())
    in_a_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[times.type.unit]
    before, beyond = (
        compare(since_1970, max(-(2**63), min(seconds * in_a_second, 2**63 - 1)))
        for compare, seconds in ((pc.less, _YEAR_1), (pc.greater_equal, _YEAR_10000))
    )
    named = pc.if_else(pc.or_(before, beyond), pa.scalar(None, times.type), times)
    text = named.cast(pa.timestamp("us", "UTC"), safe=False).cast(pa.string())
    return pc.if_else(before, "-infinity", pc.if_else(beyond, "infinity", text))


_YEAR_1, _YEAR_10000 = -62_135_596_800, 253_402_300_800
"""Where they begin, in seconds since 1970."""
