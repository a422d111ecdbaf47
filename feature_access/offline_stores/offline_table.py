"""Whether an offline table can answer: what is gone, or has not arrived yet, has no default.

A table is a parquet file, or a folder of them that a link leads to: the version that counts.
"""

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from storage.parquet_table import parts_of
from storage.table_bounds import known_up_to, retained_since

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class OfflineStoreEmptyError(RuntimeError):
    """The offline table of a view is not there or has no row: no value, not even a default."""


class BeforeRetentionError(ValueError):
    """A time of which retention has let go: what was known then is not known any more."""


class NotYetKnownError(ValueError):
    """A time beyond what has arrived: the next refresh may give it another answer."""


def columns_of(schema: pa.Schema) -> dict[str, pa.DataType]:
    """The columns by their names."""
    return dict(zip(schema.names, schema.types, strict=True))


def first_part(path: str) -> Path | None:
    """A parquet file of the table, which tells its columns; None where none is written yet."""
    return next(iter(parts_of(Path(path))), None)


def refuse_unless_it_knows(path: str, view: str, times: pa.ChunkedArray) -> None:
    """Make sure that a customer without a row is unknown: none is gone, or yet to come.

    Raises:
        OfflineStoreEmptyError: the table is not there, or has no row.
        BeforeRetentionError: a time lies before the table's beginning.
        NotYetKnownError: a time lies beyond what the table is known up to.
    """
    if not any(pq.read_metadata(part).num_rows for part in parts_of(Path(path))):
        raise OfflineStoreEmptyError(
            f"the offline store holds nothing of {view} ({path}): run "
            "scripts/refresh.py before reading it"
        )
    table = Path(path)
    refuse_times_outside(retained_since(table), known_up_to(table), view, times)


def refuse_times_outside(
    begins: datetime | None, known: datetime | None, view: str, times: pa.ChunkedArray
) -> None:
    """Make sure that every time lies where a table is known, both ends included; None is no end.

    Before 1970 there was nothing to know, and the defaults are right.

    Raises:
        BeforeRetentionError: some lie before it begins.
        NotYetKnownError: some lie beyond what it is known up to.
    """
    if begins is not None:
        gone = pc.and_(pc.less(times, _instant(begins)), pc.greater_equal(times, _instant(_EPOCH)))
        if lost := pc.sum(gone).as_py():
            raise BeforeRetentionError(
                f"{lost:,} rows ask {view} for times before {begins.isoformat()}, of which "
                "retention has let go: leave them out"
            )
    if known is not None and (later := rows_after(known, times)):
        raise NotYetKnownError(
            f"{later:,} rows ask {view} for times after {known.isoformat()}, up to which it is "
            "known: leave them out, or refresh first"
        )


def rows_after(known: datetime, times: pa.ChunkedArray | pa.Array) -> int:
    """How many times, in microseconds, are later."""
    return pc.sum(pc.greater(times, _instant(known))).as_py() or 0


def _instant(at: datetime) -> pa.Scalar:
    return pa.scalar(at, pa.timestamp("us", "UTC"))
