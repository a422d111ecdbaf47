"""Feature rows by key and time, however they lie in their table."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from feature_access.offline_stores.parquet_rows import Integers, ParquetRows

_NAIVE_MICROSECONDS, _UTC_MICROSECONDS = pa.timestamp("us"), pa.timestamp("us", "UTC")
_BEFORE_ALL = np.iinfo(np.int64).min
_BATCH = 122_880
"""Rows that DuckDB gives to one thread; an Arrow table in one piece it gives to one alone."""


@dataclass(frozen=True)
class OrderedRows:
    """When there are rows of which key, and where in their table."""

    keys: list[pa.Array]
    """Each once, in an array per join key."""
    starts: Integers
    """Where the rows of each key start."""
    stamps: Integers
    """In UTC microseconds; they ascend from a start to the next."""
    numbers: Integers | None = None
    """Numbers of the rows in the table; None where they count from 0."""
    since: Integers | None = None
    """From when on each row is the answer; they ascend. None where that is from its stamp on."""

    @property
    def counting_since(self) -> Integers:
        """From when on each row is the answer."""
        return self.stamps if self.since is None else self.since

    def number_of(self, row: Integers) -> Integers:
        """In the table."""
        return row if self.numbers is None else self.numbers[row]


def in_order(rows: ParquetRows, keys: Sequence[str], stamp: str) -> OrderedRows:
    """The rows that have a key and a stamp; of two with the same the later in the table is last."""
    in_place = _by_keys_alone(rows, keys, stamp) if keys else None
    return in_place or _by_a_query(rows, keys, stamp)


def in_order_as_created(
    rows: ParquetRows, keys: Sequence[str], stamp: str, created: str, *, by_then: bool
) -> OrderedRows:
    """Rows in order; of two with the same key and stamp the one created later is last.

    `by_then`, a row counts from its creation on, and one that says no creation not at all.
    """
    log = _log(rows, keys, stamp)
    creations = _instants(rows.read([created])[created], created).take(log["number"])
    unsaid = pa.scalar(_BEFORE_ALL, pa.int64())
    log = log.append_column("created", creations if by_then else creations.fill_null(unsaid))
    log = log.filter(pc.is_valid(log["created"]))
    order = ", ".join((*_names(keys), "stamp", "created", "number"))
    log = queried(f"FROM log ORDER BY {order}", log=log)
    ordered = _ordered(log, keys)
    return _from_creation_on(ordered, log["created"].to_numpy()) if by_then else ordered


def _from_creation_on(log: OrderedRows, created: Integers) -> OrderedRows:
    """At each instant that a row was both stamped and created, the newest of all that were."""
    since = np.maximum(log.stamps, created)
    of_key = np.repeat(np.arange(len(log.starts)), np.diff(np.append(log.starts, len(since))))
    places = np.lexsort((since, of_key))  # which is stable: of one instant the newest is last
    newest = np.maximum.accumulate(places)  # no key's rows come before another's
    return OrderedRows(
        log.keys, log.starts, log.stamps[newest], log.number_of(newest), since[places]
    )


def _by_keys_alone(rows: ParquetRows, keys: Sequence[str], stamp: str) -> OrderedRows | None:
    """Rows of parts that lie by key and time, one after the other; None of others."""
    found = [_whole(key) for key in rows.read(keys).columns]
    numbers = None
    if any(key.null_count for key in found):
        return None
    if not lie_in_order(found):
        if len(found) > 1 or not pa.types.is_integer(found[0].type):
            return None
        # A stable sort of parts in order only merges them, and keeps a key's rows as they follow.
        numbers = np.argsort(found[0].to_numpy(), kind="stable")
        found = [found[0].take(pa.array(numbers))]
    same = _same_as_before(found, len(found[0]))
    starts = _starts(same, len(found[0]))
    of_start = [key.take(pa.array(starts)) for key in found]
    del found  # for a page of memory that was touched before is the cheapest
    times = _instants(rows.read([stamp])[stamp], stamp)
    if times.null_count:
        return None
    stamps = times.to_numpy() if numbers is None else times.to_numpy()[numbers]
    if (same & (stamps[1:] < stamps[:-1])).any():
        return None
    return OrderedRows(of_start, starts, stamps, numbers)


def _by_a_query(rows: ParquetRows, keys: Sequence[str], stamp: str) -> OrderedRows:
    order = ", ".join((*_names(keys), "stamp", "number"))
    return _ordered(queried(f"FROM log ORDER BY {order}", log=_log(rows, keys, stamp)), keys)


def _log(rows: ParquetRows, keys: Sequence[str], stamp: str) -> pa.Table:
    """Keys, stamp and number of the rows that have them all."""
    read = rows.read(list(dict.fromkeys((*keys, stamp))))
    named = {name: read[key] for name, key in zip(_names(keys), keys, strict=True)}
    stamps = _instants(read[stamp], stamp)
    log = pa.table({**named, "stamp": stamps, "number": np.arange(len(read))})
    return log.filter(reduce(pc.and_, map(pc.is_valid, log.columns)))


def _ordered(log: pa.Table, keys: Sequence[str]) -> OrderedRows:
    found = [_whole(log[name]) for name in _names(keys)]
    starts = _starts(_same_as_before(found, len(log)), len(log))
    of_start = [key.take(pa.array(starts)) for key in found]
    return OrderedRows(of_start, starts, log["stamp"].to_numpy(), log["number"].to_numpy())


def _names(keys: Sequence[str]) -> list[str]:
    return [f"key_{i}" for i in range(len(keys))]


def queried(query: str, **tables: pa.Table) -> pa.Table:
    """What the embedded engine answers, in UTC."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for name, rows in tables.items():
            batches = rows.combine_chunks().to_batches(max_chunksize=_BATCH)
            connection.register(name, pa.Table.from_batches(batches, rows.schema))
        return connection.execute(query).fetch_arrow_table()


def lie_in_order(columns: Sequence[pa.Array]) -> bool:
    """Whether no row comes before the one above it, compared column by column."""
    same: Any = True
    for column in columns:
        if (same & _to_the_one_above(column, np.less, pc.less)).any():
            return False
        same = same & _to_the_one_above(column, np.equal, pc.equal)
    return True


def _same_as_before(keys: Sequence[pa.Array], rows: int) -> npt.NDArray[np.bool_]:
    """Whether a row's keys are those of the one above it; for each row but the first."""
    same: npt.NDArray[np.bool_] = np.ones(max(rows - 1, 0), np.bool_)
    for key in keys:
        same &= _to_the_one_above(key, np.equal, pc.equal)
    return same


def _to_the_one_above(
    column: pa.Array, of_numbers: np.ufunc, of_any: Callable[..., pa.Array]
) -> npt.NDArray[np.bool_]:
    """Each row but the first compared with it; numbers by numpy, in a third of Arrow's time."""
    compared: npt.NDArray[np.bool_]
    if pa.types.is_integer(column.type) and not column.null_count:
        values = column.to_numpy()
        compared = of_numbers(values[1:], values[:-1])
    else:
        compared = of_any(column[1:], column[:-1]).to_numpy(zero_copy_only=False)
    return compared


def _starts(same: npt.NDArray[np.bool_], rows: int) -> Integers:
    return np.flatnonzero(np.append(True, ~same))[:rows]


def _instants(column: pa.ChunkedArray, name: str) -> pa.Array:
    """In UTC microseconds; times without a zone are UTC, and a date is its midnight.

    Raises:
        ValueError: the column holds no times.
    """
    if pa.types.is_date(column.type):
        column = column.cast(_NAIVE_MICROSECONDS)
    if not pa.types.is_timestamp(column.type):
        raise ValueError(
            f"column {name} holds {column.type} and no times: store it as a timestamp or a date"
        )
    return _whole(column.cast(_UTC_MICROSECONDS, safe=False).cast(pa.int64()))


def _whole(column: pa.ChunkedArray) -> pa.Array:
    """The column in one piece, copied only if it is in several."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
