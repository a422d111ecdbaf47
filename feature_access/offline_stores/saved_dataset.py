"""A read that is kept: its rows, defaults and on-demand features included, where Feast reads again.

Feast pulls a saved dataset by its column `event_timestamp`, from the first to the last of its
times (`PassthroughProvider.retrieve_saved_dataset`, Feast 0.67).
"""

import os
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from feast.data_format import ParquetFormat
from feast.errors import SavedDatasetLocationAlreadyExists
from feast.saved_dataset import SavedDatasetStorage

Read = Callable[[], pa.Table]
"""Reads the rows; called when all else is known to be well, for it takes long."""
Save = Callable[[Read, SavedDatasetStorage, bool], None]
"""How a store keeps rows; whether it may overwrite what is there."""

_READ_BY = "event_timestamp"
_PART = "part-0.parquet"


def refuse_unreadable(times: pa.ChunkedArray, time_column: str) -> None:
    """Make sure that Feast can read the rows again.

    Raises:
        ValueError: there are none, or their time has another name than Feast reads them by.
    """
    if not len(times):
        raise ValueError("there are no rows, and Feast reads no empty dataset: leave it unsaved")
    if time_column != _READ_BY:
        raise ValueError(
            f"Feast reads a saved dataset by its column {_READ_BY}, and the entity frame's time is "
            f"called {time_column}: rename it"
        )


def refuse_other_storage(storage: SavedDatasetStorage, *right: type[SavedDatasetStorage]) -> None:
    """Make sure that the place is one of the offline store's own kind.

    Raises:
        ValueError: it is of another.
    """
    if not isinstance(storage, right):
        raise ValueError(
            f"this offline store keeps no dataset in a {type(storage).__name__}: give a "
            f"{right[0].__name__}"
        )


def refuse_other_format(file_format: object) -> None:
    """Make sure that a dataset is to be kept as parquet.

    Raises:
        ValueError: it is not.
    """
    if file_format not in (None, "", "parquet") and not isinstance(file_format, ParquetFormat):
        raise ValueError(f"datasets are kept as parquet here, not as {file_format}: leave it out")


def save_as_parquet(read: Read, path: str, allow_overwrite: bool) -> None:
    """Keep the rows in one file at `path`, or in the folder there as its only part.

    Raises:
        SavedDatasetLocationAlreadyExists: something is there, and may not be overwritten.
        ValueError: `path` is not on this machine, the folder holds other things than parquet, or a
            column holds times finer than a microsecond.
    """
    target = Path(path)
    if "://" in path:
        raise ValueError(f"{path} is not on this machine: give the path of a file or a folder")
    if target.exists() and not allow_overwrite:
        raise SavedDatasetLocationAlreadyExists(path)
    parts = list(target.iterdir()) if target.is_dir() else []
    if strange := sorted(part.name for part in parts if part.suffix != ".parquet"):
        raise ValueError(f"{path} holds {', '.join(strange)}, which is no dataset: name another")
    rows = read().replace_schema_metadata(None)
    target.parent.mkdir(parents=True, exist_ok=True)
    new = target.with_name(f".{target.name}-{os.getpid()}")
    try:
        pq.write_table(rows, new, coerce_timestamps="us")
        for part in parts:  # between this and the next step nothing is read, and no row twice
            part.unlink()
        new.replace(target / _PART if target.is_dir() else target)
    except pa.ArrowInvalid as error:
        raise ValueError(f"{path} keeps microseconds: round the entity frame ({error})") from None
    finally:
        new.unlink(missing_ok=True)
