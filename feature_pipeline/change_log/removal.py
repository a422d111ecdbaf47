"""Take rows out of a parquet table; those that stay are as they were: value, type and order."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import reduce
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from feature_pipeline.change_log.event_parts import event_parts
from storage.atomic import replacing
from storage.errors import RefusedError
from storage.parquet_table import delete_other_versions, new_version, notes_of, place_in

Unwanted = Callable[[pa.Table], pa.ChunkedArray]
"""Which rows of a table are to go, as booleans; null stays."""


def rows_to_go(table: Path, unwanted: Unwanted) -> int:
    """How many rows are to go; none where there is no table.

    Raises:
        RefusedError: a file cannot be read, lacks a column that is asked for, or is no part though
            it lies where the parts do.
    """
    return sum(_rows_to_go(part, unwanted) for part in event_parts(table))


def _rows_to_go(file: Path, unwanted: Unwanted) -> int:
    with _readable(file) as source:
        return sum(pc.sum(unwanted(group)).as_py() or 0 for group in _groups(source))


@contextmanager
def rewritten(file: Path, unwanted: Unwanted) -> Iterator[Path]:
    """Give a draft of the file without those rows, which takes its place once the block is done.

    Raises:
        RefusedError: see `rows_to_go`; also when the file's folder cannot be written.
    """
    with replacing(file) as draft:
        _write_the_others(file, unwanted, draft)
        yield draft


def remove(table: Path, unwanted: Unwanted) -> int:
    """Take the rows out at once, and say how many; a part without any is not touched.

    Of a folder of parts no version stays that holds them.

    Raises:
        RefusedError: see `rewritten`.
    """
    rows = {part: _rows_to_go(part, unwanted) for part in event_parts(table)}
    holding_some = [part for part, some in rows.items() if some]
    if table.is_file() and holding_some:
        with rewritten(table, unwanted):
            pass
    elif holding_some:
        others = [part for part in rows if part not in holding_some]
        with new_version(table, [*others, *notes_of(table)]) as version:
            for part in holding_some:
                _write_the_others(part, unwanted, place_in(version, table, part))
    delete_other_versions(table)
    return sum(rows.values())


def _write_the_others(file: Path, unwanted: Unwanted, target: Path) -> None:
    with _readable(file) as source:
        schema = source.schema_arrow
        # Row group by row group, so that a large file needs no more memory than one of them.
        with pq.ParquetWriter(target, schema) as writer:
            for group in _groups(source):
                staying = group.filter(pc.invert(pc.fill_null(unwanted(group), False)))
                if staying.num_rows:
                    writer.write_table(staying)


def before(cutoff: datetime, *columns: str) -> Unwanted:
    """Rows with a time in any of the columns that is earlier than `cutoff`."""

    def unwanted(table: pa.Table) -> pa.ChunkedArray:
        bound = pa.scalar(cutoff, pa.timestamp("us", "UTC"))
        return reduce(pc.or_kleene, (pc.less(_utc(table[name]), bound) for name in columns))

    return unwanted


def holding(column: str, identifier: object) -> Unwanted:
    """Rows whose column holds the identifier, whatever type the column spells it in."""

    def unwanted(table: pa.Table) -> pa.ChunkedArray:
        return pc.equal(pc.cast(table[column], pa.large_string()), str(identifier))

    return unwanted


def _utc(times: pa.ChunkedArray) -> pa.ChunkedArray:
    """To the microsecond, rounded down; naive times are UTC, as Feast takes them."""
    if times.type.tz is None:
        times = pc.assume_timezone(times, "UTC")
    return times.cast(pa.timestamp("us", "UTC"), safe=False)


def _groups(source: pq.ParquetFile) -> Iterator[pa.Table]:
    return (source.read_row_group(i) for i in range(source.num_row_groups))


@contextmanager
def _readable(file: Path) -> Iterator[pq.ParquetFile]:
    try:
        with pq.ParquetFile(file) as source:
            yield source
    except (pa.ArrowException, OSError, KeyError) as error:
        raise RefusedError(
            f"{file} cannot be read as what it is to be ({error}): mend or remove it, and run again"
        ) from error
