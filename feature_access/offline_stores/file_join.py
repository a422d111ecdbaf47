"""The newest feature row of each entity row, of a table in parquet, by two passes over it.

The first reads keys and times alone and lays them in order, which costs nothing where the table
lies in order already; then each entity row looks its time up among those of its key. The second
fetches the features of the rows that were found. A join that carries them along has to sort them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from feature_access.entities.rows import ROW, EntityRows
from feature_access.offline_stores.offline_table import columns_of, refuse_unless_it_knows
from feature_access.offline_stores.ordered_rows import (
    OrderedRows,
    in_order,
    in_order_as_created,
    queried,
)
from feature_access.offline_stores.parquet_rows import Integers, ParquetRows
from feature_access.offline_stores.point_in_time import MATCHED, ViewQuery
from feature_access.offline_stores.source_columns import refuse_unlike_the_source
from storage.parquet_table import parts_of

_BLOCK = 16_384
"""Rows whose search stays within a core's cache."""
_LATEST = np.iinfo(np.int64).max // 2
"""Later than any time in microseconds that Python has."""


@dataclass(frozen=True)
class FileJoin:
    """What is asked of one feature view, and where it lies."""

    asked: ViewQuery
    path: str

    def read(self, entity_rows: EntityRows) -> pa.Table:
        """This view's columns for the asked rows: of the newest feature row within the ttl.

        The last column says whether there was one: what the match rate counts, before defaults.

        Raises:
            OfflineStoreEmptyError, BeforeRetentionError, NotYetKnownError: see
                `refuse_unless_it_knows`.
            ValueError: a join key cannot be compared with the table's, or a column is not there.
            RuntimeError: the table was replaced in between.
        """
        times = entity_rows.rows[entity_rows.time_column]
        refuse_unless_it_knows(self.path, self.asked.view, times)
        parts = parts_of(Path(self.path))
        as_it_was = _identity(parts)
        refuse_unlike_the_source(self.asked, columns_of(pq.read_schema(parts[0])))
        rows = self._rows(parts, _integers(times.cast(pa.int64())))
        values = self._values(self._numbers(entity_rows, rows), rows)
        if _identity(parts) != as_it_was:
            raise RuntimeError(f"{self.path} was replaced while it was read: read it again")
        return values

    def _rows(self, parts: Sequence[Path], times: Integers) -> ParquetRows:
        """The rows that can count at some of the times."""
        since = times.min(initial=_LATEST) - self._ttl if self._ttl else -np.inf
        return ParquetRows.between(
            parts, self.asked.timestamp_field, since, times.max(initial=-_LATEST)
        )

    @property
    def _ttl(self) -> int | None:
        """In microseconds."""
        return self.asked.ttl // timedelta(microseconds=1) if self.asked.ttl else None

    def _numbers(self, entity_rows: EntityRows, rows: ParquetRows) -> Integers:
        """The number of each entity row's feature row; -1 where there is none."""
        times = _integers(entity_rows.rows[entity_rows.time_column].cast(pa.int64()))
        found = np.full(len(times), -1)
        log = self._in_order(rows)
        of_row, which = self._spans(entity_rows, log.keys, len(log.starts))
        stops = np.append(log.starts, len(log.stamps))[1:]
        for some in (slice(at, at + _BLOCK) for at in range(0, len(of_row), _BLOCK)):
            row, first, stop = of_row[some], log.starts[which[some]], stops[which[some]]
            when = times[row]
            newest = newest_at(log.counting_since, first, stop, when)
            known = newest >= first
            if self._ttl:
                known &= when - log.stamps[newest] <= self._ttl
            found[row[known]] = log.number_of(newest[known])
        return found

    def _in_order(self, rows: ParquetRows) -> OrderedRows:
        asked = self.asked
        keys = list(asked.join_keys.values())
        if asked.created_column is None:
            return in_order(rows, keys, asked.timestamp_field)
        return in_order_as_created(
            rows, keys, asked.timestamp_field, asked.created_column, by_then=asked.created_by_then
        )

    def _spans(
        self, entity_rows: EntityRows, of_span: list[pa.Array], spans: int
    ) -> tuple[Integers, Integers]:
        """The entity rows of which there is a key, and which of the keys in the table it is."""
        asked = list(self.asked.join_keys)
        if not asked:  # all rows are of one key, if there are any
            there = np.arange(entity_rows.rows.num_rows if spans else 0)
            return there, np.zeros_like(there)
        types = {key: there.type for key, there in zip(asked, of_span, strict=True)}
        rows = entity_rows.asked(types, self.asked.view)
        given = rows[asked[0]]
        if len(asked) == 1 and given.type == of_span[0].type and _is_exact(given.type):
            which = places_among(of_span[0], given)
            there = np.flatnonzero(which >= 0)
            return there, which[there]
        same = " AND ".join(f'e."{key}" = s.key_{i}' for i, key in enumerate(asked))
        table = pa.table({f"key_{i}": key for i, key in enumerate(of_span)})
        found = queried(
            f'SELECT e."{ROW}" AS row, s.span FROM asked AS e JOIN spans AS s ON {same}',
            asked=rows,
            spans=table.append_column("span", pa.array(np.arange(spans))),
        )
        return _integers(found["row"]), _integers(found["span"])

    def _values(self, numbers: Integers, rows: ParquetRows) -> pa.Table:
        """The features of the rows there, or defaults, and whether there was a row."""
        matched = numbers >= 0
        with_row = np.flatnonzero(matched)
        with_row = with_row[np.argsort(numbers[with_row])]
        columns = list(dict.fromkeys(self.asked.features.values()))
        fetched = rows.fetch(columns, numbers[with_row])
        which = np.empty_like(numbers)
        which[with_row] = np.arange(len(with_row))
        values = fetched.take(pa.array(which, mask=~matched))
        asked = zip(self.asked.features.items(), self.asked.defaults, strict=True)
        named = {output: _filled(values[column], default) for (output, column), default in asked}
        return pa.table({**named, MATCHED: matched})


def _filled(values: pa.ChunkedArray, default: object) -> pa.ChunkedArray:
    return values if default is None else pc.fill_null(values, pa.scalar(default).cast(values.type))


def places_among(keys: pa.Array, given: pa.ChunkedArray) -> Integers:
    """Where each of the given stands among the keys, each of which is there once; -1 for nowhere.

    Numbers without great gaps have an address each, which takes a sixth of the time of hashing.
    """
    if pa.types.is_signed_integer(keys.type) and len(keys) and not given.null_count:
        known, asked = (_integers(column).astype(np.int64, copy=False) for column in (keys, given))
        lowest, highest = int(known.min()), int(known.max())
        if highest - lowest < 4 * len(keys):
            addresses = np.full(highest - lowest + 1, -1)
            addresses[known - lowest] = np.arange(len(keys))
            within = (asked >= lowest) & (asked <= highest)
            return np.where(within, addresses[np.where(within, asked - lowest, 0)], -1)
    return _integers(pc.index_in(given, keys).cast(pa.int64()).fill_null(-1))


def newest_at(stamps: Integers, first: Integers, stop: Integers, times: Integers) -> Integers:
    """Per time the last place in [first, stop) whose stamp is not after it; first - 1 for none.

    The stamps ascend from `first` to `stop`.
    """
    low, high = first, stop
    for _ in range(int((stop - first).max(initial=0)).bit_length()):
        middle = (low + high) >> 1
        later = middle + 1
        not_after = (low < high) & (stamps[np.minimum(middle, len(stamps) - 1)] <= times)
        low, high = np.where(not_after, later, low), np.where(not_after, high, middle)
    return low - 1


def _is_exact(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_string(kind))


def _integers(column: pa.ChunkedArray | pa.Array) -> Integers:
    integers: Integers = column.to_numpy()
    return integers


def _identity(parts: Sequence[Path]) -> list[tuple[int, int, int]]:
    """Which files these are: a position in one means nothing in another."""
    status = [part.stat() for part in parts]
    return [(s.st_ino, s.st_mtime_ns, s.st_size) for s in status]
