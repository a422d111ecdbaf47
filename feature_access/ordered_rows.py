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

from feature_access.parquet_rows import Integers, ParquetRows

_UTC_MICROSECONDS = pa.timestamp("us", "UTC")
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
    """Of the rows in the table; None where they count from 0."""

    def number_of(self, row: Integers) -> Integers:
        """In the table."""
        return row if self.numbers is None else self.numbers[row]


def in_order(rows: ParquetRows, keys: Sequence[str], stamp: str) -> OrderedRows:
    """The rows that have a key and a stamp; of two with the same the later in the table is last."""
    return _by_keys_alone(rows, keys, stamp) or _by_a_query(rows, keys, stamp)


def _by_keys_alone(rows: ParquetRows, keys: Sequence[str], stamp: str) -> OrderedRows | None:
    """Of parts that lie by key and time and follow each other in time; None of others."""
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
    same = _same_as_before(found)
    starts = _starts(same, len(found[0]))
    of_start = [key.take(pa.array(starts)) for key in found]
    del found  # for a page of memory that was touched before is the cheapest
    times = _stamps(rows.read([stamp])[stamp])
    if times.null_count:
        return None
    stamps = times.to_numpy() if numbers is None else times.to_numpy()[numbers]
    if (same & (stamps[1:] < stamps[:-1])).any():
        return None
    return OrderedRows(of_start, starts, stamps, numbers)


def _by_a_query(rows: ParquetRows, keys: Sequence[str], stamp: str) -> OrderedRows:
    read = rows.read([*keys, stamp])
    named = {f"key_{i}": read[key] for i, key in enumerate(keys)}
    log = pa.table({**named, "stamp": _stamps(read[stamp]), "number": np.arange(len(read))})
    log = log.filter(reduce(pc.and_, map(pc.is_valid, log.columns)))
    log = queried(f"FROM log ORDER BY {', '.join(named)}, stamp, number", log=log)
    found = [_whole(log[name]) for name in named]
    starts = _starts(_same_as_before(found), len(log))
    of_start = [key.take(pa.array(starts)) for key in found]
    return OrderedRows(of_start, starts, log["stamp"].to_numpy(), log["number"].to_numpy())


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


def _same_as_before(keys: Sequence[pa.Array]) -> npt.NDArray[np.bool_]:
    """Of each row but the first, whether its keys are those of the one above it."""
    same: npt.NDArray[np.bool_] = np.all(
        [_to_the_one_above(key, np.equal, pc.equal) for key in keys], axis=0
    )
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


def _stamps(column: pa.ChunkedArray) -> pa.Array:
    return _whole(column.cast(_UTC_MICROSECONDS, safe=False).cast(pa.int64()))


def _whole(column: pa.ChunkedArray) -> pa.Array:
    """The column in one piece, copied only if it is in several."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
