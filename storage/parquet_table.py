"""A table as a folder of parquet parts, of which every reader sees one whole version.

A part is written once and never changed. A version of the table is a folder that holds links to its
parts; the table's own name is a symbolic link to the version that counts, and moving that link is
the one step that readers see. So adding rows costs what is added, whatever lies there already, and
a job that is killed leaves the version before. The version before the newest stays until the next
write, for whoever is still reading it.

The parts of a day that is over are joined into one, or hourly runs would make 8,760 a year.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from shutil import rmtree

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from storage.duckdb_session import copy_to, parquet_at
from storage.errors import RefusedError

_WHOLE = "-whole"


def is_table(table: Path) -> bool:
    """Whether there is one: a parquet file, or a folder of them."""
    return table.is_file() or bool(parts_of(table))


def parts_of(table: Path) -> list[Path]:
    """The parquet files of a table in the order of their names; a single file is its own part."""
    if table.is_file():
        return [table]
    # Resolved first, so that whoever asks reads one version to its end.
    return sorted(table.resolve().glob("*.parquet"), key=lambda part: part.name)


def notes_of(table: Path) -> list[Path]:
    """What stands beside the parts, such as how far they are known."""
    beside = sorted(table.resolve().glob("_*")) if table.is_dir() else []
    return [note for note in beside if note.is_file()]


def end_of(part: Path) -> datetime:
    """Up to when the part's rows are known."""
    return datetime.strptime(_end_of(part), "%Y%m%dT%H%M%S%f").replace(tzinfo=UTC)


def rows_of(parts: Iterable[Path]) -> int:
    """Rows in the parts, by their metadata.

    Raises:
        RefusedError: a part is no parquet file any more.
    """
    return sum(map(_rows_in, parts))


def _rows_in(part: Path) -> int:
    try:
        return int(pq.read_metadata(part).num_rows)
    except (pa.ArrowException, OSError) as error:
        raise RefusedError(
            f"{part} is not a readable parquet file ({error}): restore it from a backup, or, where "
            "no retention has run, move its table away and refresh; nothing was written"
        ) from error


def part_up_to(end: datetime, *, whole: bool = False, share: int | None = None) -> str:
    """The name of a part whose rows are known up to `end`; parts sort by it.

    `whole`: it holds all that came before as well, and is not joined with the parts of its day.
    `share`: it is one of several that were written at once, each with customers of its own.
    """
    shared = "" if share is None else f"-{share:05}"
    return f"{end.astimezone(UTC):%Y%m%dT%H%M%S%f}{shared}{_WHOLE if whole else ''}.parquet"


def known_by(parts: Iterable[Path], end: datetime) -> list[Path]:
    """The parts that were written by a run up to `end`, or an earlier one."""
    latest = _end_of(Path(part_up_to(end)))
    return [part for part in parts if _end_of(part) <= latest]


@contextmanager
def new_version(table: Path, keeping: Iterable[Path] = ()) -> Iterator[Path]:
    """Give a folder with links to the parts that stay; it becomes the table once the block is done.

    A failure leaves the table as it was. One job at a time may write a table.

    Raises:
        RefusedError: the table's folder cannot be written.
    """
    versions = table.with_name(f".{table.name}")
    draft = versions / f".version.{os.getpid()}.draft"
    pointer = table.with_name(f".{table.name}.{os.getpid()}.draft")
    try:
        draft.mkdir(parents=True)
        for part in keeping:
            place_in(draft, table, part).hardlink_to(part)
    except OSError as error:
        rmtree(draft, ignore_errors=True)
        raise RefusedError(f"cannot write {table} ({error}): name a place you may write") from error
    try:
        yield draft
        before = _versions(table)
        newest = versions / f"{int(before[-1].name) + 1 if before else 1:09}"
        draft.rename(newest)
        if table.is_dir() and not table.is_symlink():  # a copy that followed the link
            table.rename(draft)
        counted = table.resolve()
        pointer.symlink_to(newest.relative_to(table.parent))
        pointer.replace(table)
        for older in before:
            if older.resolve() != counted:
                rmtree(older)
    finally:
        pointer.unlink(missing_ok=True)
        rmtree(draft, ignore_errors=True)


def place_in(version: Path, table: Path, part: Path) -> Path:
    """Where a part of the table has its place in another version: in a folder of the same name."""
    root = table.resolve()
    place = version / (part.relative_to(root) if part.is_relative_to(root) else part.name)
    place.parent.mkdir(parents=True, exist_ok=True)
    return place


@contextmanager
def adding_to(
    table: Path,
    known: datetime,
    end: datetime,
    connection: duckdb.DuckDBPyConnection,
    order: str,
) -> Iterator[Path]:
    """Give a folder for a part up to `end`, which joins those `known` by then once that is done.

    Parts beyond that were left by a run that was killed, and go. The parts of each day that is over
    become one, its rows in `order`.
    """
    parts = known_by(parts_of(table), known)
    days = days_to_join(parts, end)
    joined = {part for day in days for part in day}
    with new_version(table, [part for part in parts if part not in joined]) as version:
        for day in days:
            query = f"FROM read_parquet($parts, union_by_name = true) ORDER BY {order}"
            parameters = {"parts": [parquet_at(part) for part in day]}
            copy_to(connection, query, version / day[-1].name, parameters)
        yield version


def days_to_join(parts: Iterable[Path], end: datetime) -> list[list[Path]]:
    """The parts of each day that was over at `end`, where more than one run left some."""
    mergeable = sorted(part for part in parts if not part.stem.endswith(_WHOLE))
    by_day = [(day, list(of_day)) for day, of_day in groupby(mergeable, key=_day_of)]
    over = [of_day for day, of_day in by_day if day < f"{end:%Y%m%d}"]
    return [of_day for of_day in over if len(set(map(_end_of, of_day))) > 1]


def _day_of(part: Path) -> str:
    return part.name[: len("20240229")]


def _end_of(part: Path) -> str:
    return part.name[: len("20240229T120000000000")]


def drop(table: Path) -> None:
    """Leave nothing of it."""
    if table.is_dir() and not table.is_symlink():
        rmtree(table)
    table.unlink(missing_ok=True)
    rmtree(table.with_name(f".{table.name}"), ignore_errors=True)


def delete_other_versions(table: Path) -> None:
    """Leave nothing but the version that counts: what was taken out must not lie in another."""
    counting = table.resolve()
    for version in _versions(table):
        if version.resolve() != counting:
            rmtree(version)


def _versions(table: Path) -> list[Path]:
    folder = table.with_name(f".{table.name}")
    return sorted(version for version in folder.glob("[0-9]*") if version.is_dir())
