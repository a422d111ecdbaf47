"""Whether an offline table can answer: an empty one, or one cut by retention, has no default.

A table is a parquet file, or a folder of them that a link leads to: the version that counts.
"""

import glob
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BEGINNING = "_kept_from"
"""Where feature_pipeline/retention.py writes the instant that the table begins at."""


class OfflineStoreEmptyError(RuntimeError):
    """The offline table of a view is not there or has no row: no value, not even a default."""


class BeforeRetentionError(ValueError):
    """A time of which retention has let go: what was known then is not known any more."""


def parquet_at(path: str) -> str:
    """A table for `read_parquet`: a file, or every part of a folder as it stands now."""
    if Path(path).is_dir():
        return f"{glob.escape(str(Path(path).resolve()))}/*.parquet"
    return glob.escape(path)


def parts_of(table: Path) -> list[Path]:
    """The parquet files of a table; a single file is its own part."""
    return [table] if table.is_file() else sorted(table.glob("*.parquet"))


def refuse_unless_it_knows(path: str, view: str, times: pa.ChunkedArray) -> None:
    """Make sure that a customer without a row is unknown, and none whose row is gone.

    Raises:
        OfflineStoreEmptyError: the table is not there, or has no row.
        BeforeRetentionError: a time lies before the table's beginning.
    """
    if not any(pq.read_metadata(part).num_rows for part in parts_of(Path(path))):
        raise OfflineStoreEmptyError(
            f"the offline store holds nothing of {view} ({path}): run "
            "scripts/refresh.py before reading it"
        )
    beginning = Path(path) / _BEGINNING
    if not beginning.is_file():
        return
    refuse_times_before(datetime.fromisoformat(beginning.read_text()), view, times)


def refuse_times_before(begins: datetime, view: str, times: pa.ChunkedArray) -> None:
    """Make sure that no time lies before the instant that a table begins at.

    Before 1970 there was nothing to know, and the defaults are right.

    Raises:
        BeforeRetentionError: some do.
    """
    gone = pc.and_(pc.less(times, _instant(begins)), pc.greater_equal(times, _instant(_EPOCH)))
    if lost := pc.sum(gone).as_py():
        raise BeforeRetentionError(
            f"{lost:,} rows ask {view} for times before {begins.isoformat()}, of which retention "
            "has let go: leave them out"
        )


def _instant(at: datetime) -> pa.Scalar:
    return pa.scalar(at, pa.timestamp("us", "UTC"))
