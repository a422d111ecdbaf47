"""The files that a table of events is made of, wherever in its folder a writer put them.

A part is a file whose name ends in `.parquet` and begins with neither `_` nor `.`; it lies in the
folder or in Hive folders (`month=2024-02/`), whose values are no columns of an event. What may lie
beside the parts: files of a name with `_` or `.` before it that does not end as a parquet file's
does (markers, checksums, what a writer has not finished), and the folders `_temporary` and `.…` of
a running writer. Whatever else lies there is named and refused, for one engine would read it and
the next would pass it over.
"""

from collections.abc import Collection, Iterator
from pathlib import Path

from feature_pipeline.change_log.event_columns import COLUMNS
from storage.errors import RefusedError

_NO_DATA = ("_", ".")  # Spark and dask pass over a file whose name begins so
_LIKE_PARQUET = (".parquet", ".parq", ".pq")
_IS_A_LOG_OF_PARTS = ("_delta_log", "_spark_metadata")


def event_parts(events: Path, columns: Collection[str] = COLUMNS) -> list[Path]:
    """The parts in the order of their paths; a single file is its own part, none is no table.

    No Hive folder may name one of the `columns`, which are read of the parts.

    Raises:
        RefusedError: something lies there that is neither a part nor may lie beside one, a part is
            there by two names, or a folder cannot be read.
    """
    if events.is_file():
        _refuse_hidden(events)
        return [events]
    # Resolved first, so that whoever asks reads one version to its end.
    root = events.resolve()
    if not root.is_dir():
        return []
    parts = sorted(_parts_in(root, events, columns), key=lambda part: part.relative_to(root))
    _refuse_one_by_two_names(parts, events)
    return parts


def _parts_in(folder: Path, events: Path, columns: Collection[str]) -> Iterator[Path]:
    for entry in _entries(folder):
        hidden = entry.name.startswith(_NO_DATA)
        if entry.is_dir():
            if _is_hive_folder(entry, events, columns):
                _refuse_ring(entry)
                yield from _parts_in(entry, events, columns)
            elif entry.name in _IS_A_LOG_OF_PARTS:
                raise RefusedError(
                    f"{entry} tells which parts of {events} count, which is not read here: write "
                    "the events as plain parquet"
                )
            elif not (entry.name == "_temporary" or entry.name.startswith(".")):
                _refuse(entry, events, "a folder beside the parts is named column=value")
        elif entry.is_file() and entry.name.endswith(".parquet") and not hidden:
            yield entry
        elif not hidden or entry.name.lower().endswith(_LIKE_PARQUET):
            _refuse(entry, events, "a part's name ends in .parquet and begins with no _ and no dot")


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError as error:
        raise RefusedError(
            f"{folder} cannot be read ({error.strerror}): give this job the right to, or mend the "
            "folder"
        ) from error


def _refuse_ring(folder: Path) -> None:
    if folder.resolve() in (above.resolve() for above in folder.parents):
        raise RefusedError(f"{folder} leads back to where it lies: remove that link")


def _is_hive_folder(folder: Path, events: Path, columns: Collection[str]) -> bool:
    column, equals, _ = folder.name.partition("=")
    if not equals or not column or column.startswith(_NO_DATA):
        return False
    if column.lower() in map(str.lower, columns):
        raise RefusedError(
            f"{folder} names {column}, which is a column of the events: write it into the "
            f"parts of {events}, and name the folder after another column"
        )
    return True


def _refuse(entry: Path, events: Path, rule: str) -> None:
    raise RefusedError(
        f"{entry} is no part of {events} and would be left out ({rule}): rename it, or move it away"
    )


def _refuse_hidden(events: Path) -> None:
    """A file that Spark would pass over, though it is named."""
    if events.name.startswith(_NO_DATA):
        raise RefusedError(
            f"{events} begins with _ or a dot, which marks what is no data: rename it"
        )


def _refuse_one_by_two_names(parts: list[Path], events: Path) -> None:
    names: dict[tuple[int, int], Path] = {}
    for part in parts:
        there = part.stat()
        other = names.setdefault((there.st_dev, there.st_ino), part)
        if other != part:
            raise RefusedError(
                f"{other} and {part} of {events} are one file by two names: remove one of them"
            )
