"""Rows of a parquet table by their numbers, counted through all of its parts.

Arrow reads them and no query: there is nothing to compute, and Arrow decodes columns side by side,
each into one piece of memory.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import groupby
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

Integers = npt.NDArray[np.int64]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class RowGroup:
    """The least of a part that can be read."""

    part: Path
    number: int
    rows: int


@dataclass(frozen=True)
class ParquetRows:
    """The rows that may be stamped in some stretch of time, and all others of their row groups."""

    groups: tuple[RowGroup, ...]
    footers: Mapping[Path, pq.FileMetaData]
    """The footer of each part, the first one's first."""

    @classmethod
    def between(
        cls, parts: Sequence[Path], stamp: str, since: float, until: float
    ) -> "ParquetRows":
        """Row groups of the parts, at least one; both bounds included, in UTC microseconds.

        Raises:
            ValueError: a part has no such column.
        """
        groups = []
        footers = {part: pq.read_metadata(part) for part in parts}
        for part, metadata in footers.items():
            _refuse_missing([stamp], metadata.schema.names, part)
            column = metadata.schema.names.index(stamp)
            for number in range(metadata.num_row_groups):
                group = metadata.row_group(number)
                oldest, newest = _extent(group.column(column).statistics)
                if newest >= since and oldest <= until:
                    groups.append(RowGroup(part, number, group.num_rows))
        return cls(tuple(groups), footers)

    @cached_property
    def _schema(self) -> pa.Schema:
        return next(iter(self.footers.values())).schema.to_arrow_schema()

    def read(self, columns: Sequence[str]) -> pa.Table:
        """Some columns of all rows, each in one piece; the first row is number 0."""
        return self._read(self.groups, columns)

    def fetch(self, columns: Sequence[str], numbers: Integers) -> pa.Table:
        """Some columns of the rows of these numbers, which ascend and may repeat."""
        sizes = np.array([group.rows for group in self.groups], np.int64)
        ends = np.cumsum(sizes)
        until = np.searchsorted(numbers, ends)
        since = np.append(0, until)[: len(until)]
        fetched = []
        for i in np.flatnonzero(since < until):  # one at a time: the next lies in the same memory
            rows = numbers[since[i] : until[i]] - (ends[i] - sizes[i])
            fetched.append(self._read([self.groups[i]], columns).take(pa.array(rows)))
        none = self._read([], columns)
        return pa.concat_tables(fetched or [none], promote_options="permissive").combine_chunks()

    def _read(self, groups: Sequence[RowGroup], columns: Sequence[str]) -> pa.Table:
        _refuse_missing(columns, self._schema.names, next(iter(self.footers)))
        tables = [
            pq.ParquetFile(part, metadata=self.footers[part]).read_row_groups(
                [g.number for g in of_part], columns=list(columns)
            )
            for part, of_part in groupby(groups, key=lambda group: group.part)
        ]
        # Beside an empty piece a column would be in two, and copied to be in one.
        some = tables or [self._schema.empty_table().select(columns)]
        together = pa.concat_tables(some, promote_options="permissive")
        return together.cast(_without_dictionaries(together.schema)).combine_chunks()


def _refuse_missing(columns: Sequence[str], there: Sequence[str], part: Path) -> None:
    if missing := sorted(set(columns) - set(there)):
        raise ValueError(
            f"{part.name} has no column {', '.join(missing)}, it has {', '.join(there)}: declare "
            "the source's columns as they are"
        )


def _without_dictionaries(schema: pa.Schema) -> pa.Schema:
    return pa.schema(
        [f.with_type(f.type.value_type) if pa.types.is_dictionary(f.type) else f for f in schema]
    )


def _extent(statistics: pq.Statistics | None) -> tuple[float, float]:
    """The oldest and the newest stamp of a row group, as far as it says; microseconds."""
    unknown = -np.inf, np.inf
    if statistics is None or not statistics.has_min_max:
        return unknown
    try:
        bounds = statistics.min, statistics.max
    except (ValueError, OverflowError):  # an instant beyond Python's years
        return unknown
    if not all(isinstance(bound, datetime) for bound in bounds):
        return unknown
    oldest, newest = (bound.replace(tzinfo=bound.tzinfo or UTC) - _EPOCH for bound in bounds)
    return oldest // timedelta(microseconds=1), newest // timedelta(microseconds=1)
