"""The newest feature row of each entity row, of a table in parquet, by two passes over it.

The first reads keys and times alone and lays them in order, which costs nothing where the table
lies in order already; then each entity row looks its time up among those of its key. The second
fetches the features of the rows that were found. A join that carries them along has to sort them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from glob import escape
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from feature_access.offline_table import parts_of, refuse_unless_it_knows
from feature_access.point_in_time import MATCHED, ROW, Asked, EntityRows

Integers = npt.NDArray[np.int64]

_POSITION = "(CAST(file_index AS BIGINT) << 40) + file_row_number"
_BATCH = 122_880
"""Rows that DuckDB gives to one thread; an Arrow table in one piece it gives to one alone."""
_BLOCK = 16_384
"""Rows whose search stays within a core's cache."""
_EARLIEST = -9_223_372_022_400_000_000
"""The first microsecond that DuckDB has a time for."""


@dataclass(frozen=True)
class FileJoin:
    """What is asked of one feature view, and where it lies."""

    asked: Asked
    path: str

    def read(self, entity_rows: EntityRows, connection: duckdb.DuckDBPyConnection) -> pa.Table:
        """This view's columns for the asked rows: of the newest feature row within the ttl.

        The last column says whether there was one: what the match rate counts, before defaults.

        Raises:
            OfflineStoreEmptyError, BeforeRetentionError: see `refuse_unless_it_knows`.
            ValueError: a join key cannot be compared with the table's.
            RuntimeError: the table was replaced in between.
        """
        times = entity_rows.rows[entity_rows.time_column]
        refuse_unless_it_knows(self.path, self.asked.view, times)
        parts = parts_of(Path(self.path).resolve())
        as_it_was = _identity(parts)
        try:
            positions = self._positions(entity_rows, connection, _literally(parts))
        except duckdb.ConversionException as error:
            raise ValueError(
                f"the entity frame's {', '.join(self.asked.join_keys)} cannot be compared with "
                f"those of {self.asked.view}: give them in its type ({str(error).splitlines()[0]})"
            ) from error
        values = self._values(positions, connection, _literally(parts))
        if _identity(parts) != as_it_was:
            raise RuntimeError(f"{self.path} was replaced while it was read: read it again")
        return values

    def _positions(
        self, entity_rows: EntityRows, connection: duckdb.DuckDBPyConnection, parts: list[str]
    ) -> Integers:
        """Where each entity row's feature row lies in the parts; -1 where there is none."""
        asked, count = self.asked, entity_rows.rows.num_rows
        times = _integers(entity_rows.rows[entity_rows.time_column].cast(pa.int64()))
        found = np.full(count, -1)
        if not count:
            return found
        ttl = asked.ttl // timedelta(microseconds=1) if asked.ttl else None
        since = _EARLIEST if ttl is None else max(_EARLIEST, int(times.min()) - ttl)
        log = self._log(connection, parts, since, int(times.max()))
        keys = [_whole(log[f"key_{i}"]) for i in range(len(asked.join_keys))]
        stamps, positions = (_integers(log[name]) for name in ("stamp", "position"))
        starts = np.flatnonzero(np.append(True, ~_same_as_before(keys)))[: len(stamps)]
        stops = np.append(starts, len(stamps))[1:]
        of_key = {f"key_{i}": key.take(pa.array(starts)) for i, key in enumerate(keys)}
        _shared_out(connection, "spans", pa.table({**of_key, "start": starts, "stop": stops}))
        _shared_out(connection, "asked", entity_rows.asked(list(asked.join_keys)))
        same_key = " AND ".join(f'e."{e}" = s.key_{i}' for i, e in enumerate(asked.join_keys))
        span = connection.execute(
            f"""SELECT e."{ROW}" AS row, s.start, s.stop
            FROM asked AS e JOIN spans AS s ON {same_key}"""
        ).fetch_arrow_table()
        rows, first, stop = (_integers(span[name]) for name in ("row", "start", "stop"))
        for some in (slice(at, at + _BLOCK) for at in range(0, len(rows), _BLOCK)):
            row, when = rows[some], times[rows[some]]
            newest = newest_at(stamps, first[some], stop[some], when)
            known = newest >= first[some]
            if ttl is not None:
                known &= when - stamps[newest] <= ttl
            found[row[known]] = positions[newest[known]]
        return found

    def _log(
        self,
        connection: duckdb.DuckDBPyConnection,
        parts: list[str],
        since: int,
        until: int,
    ) -> pa.Table:
        """Keys, times and positions of the rows that can count, by key and time."""
        asked = self.asked
        stamp = f'f."{asked.timestamp_field}"'
        keys = [f'f."{key}"' for key in asked.join_keys.values()]
        named = ", ".join(f"{key} AS key_{i}" for i, key in enumerate(keys))
        no_null = " AND ".join(f"{key} IS NOT NULL" for key in keys)
        query = f"""
            SELECT {named}, epoch_us(CAST({stamp} AS TIMESTAMPTZ)) AS stamp, {_POSITION} AS position
            FROM read_parquet($parts) AS f
            WHERE {no_null}
              AND {stamp} BETWEEN make_timestamptz($since) AND make_timestamptz($until)
        """
        parameters = {"parts": parts, "since": since, "until": until}
        log = connection.execute(query, parameters).fetch_arrow_table().combine_chunks()
        order = [*(f"key_{i}" for i in range(len(keys))), "stamp"]
        if _in_order([_whole(log[name]) for name in order]):
            return log
        del log  # before the next one is there
        query += f"ORDER BY {', '.join(order)}, position"
        return connection.execute(query, parameters).fetch_arrow_table().combine_chunks()

    def _values(
        self, positions: Integers, connection: duckdb.DuckDBPyConnection, parts: list[str]
    ) -> pa.Table:
        """The features of the rows there, and whether there was one, in the order of positions."""
        asked, count = self.asked, np.arange(len(positions))
        found = {"row": count, "position": pa.array(positions, mask=positions < 0)}
        _shared_out(connection, "found", pa.table(found))
        values = ", ".join(
            f'coalesce(f."{column}", $default_{i}) AS "{output}"'
            for i, (output, column) in enumerate(asked.features.items())
        )
        parameters: dict[str, Any] = {f"default_{i}": d for i, d in enumerate(asked.defaults)}
        fetched = connection.execute(
            f"""
            SELECT {values}, e.position IS NOT NULL AS "{MATCHED}", e.row AS "{ROW}"
            FROM found AS e LEFT JOIN read_parquet($parts) AS f ON e.position = {_POSITION}
            """,
            parameters | {"parts": parts},
        ).fetch_arrow_table()
        places = np.empty_like(count)
        places[_integers(fetched[ROW])] = count
        return fetched.drop_columns([ROW]).take(pa.array(places))


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


def _shared_out(connection: duckdb.DuckDBPyConnection, name: str, rows: pa.Table) -> None:
    """Let queries read the rows by this name, on every core."""
    batches = rows.combine_chunks().to_batches(max_chunksize=_BATCH)
    connection.register(name, pa.Table.from_batches(batches, rows.schema))


def _in_order(columns: Sequence[pa.Array]) -> bool:
    """Whether no row comes before the one above it, compared column by column."""
    same: Any = True
    for column in columns:
        if (same & _truths(pc.less(column[1:], column[:-1]))).any():
            return False
        same = same & _truths(pc.equal(column[1:], column[:-1]))
    return True


def _same_as_before(keys: Sequence[pa.Array]) -> npt.NDArray[np.bool_]:
    """Of each row but the first, whether its keys are those of the one above it."""
    same: npt.NDArray[np.bool_] = np.all(
        [_truths(pc.equal(key[1:], key[:-1])) for key in keys], axis=0
    )
    return same


def _truths(values: pa.Array) -> npt.NDArray[np.bool_]:
    truths: npt.NDArray[np.bool_] = values.to_numpy(zero_copy_only=False)
    return truths


def _integers(column: pa.ChunkedArray) -> Integers:
    integers: Integers = column.to_numpy()
    return integers


def _whole(column: pa.ChunkedArray) -> pa.Array:
    """The column in one piece, copied only if it is in several."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _literally(parts: Sequence[Path]) -> list[str]:
    return [escape(str(part)) for part in parts]


def _identity(parts: Sequence[Path]) -> list[tuple[int, int, int]]:
    """Which files these are: a position in one means nothing in another."""
    status = [part.stat() for part in parts]
    return [(s.st_ino, s.st_mtime_ns, s.st_size) for s in status]
