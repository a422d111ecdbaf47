"""Which files below `data/` can no longer be read: asked once a command has failed.

Engines name the fault and often not the file. Formats are told by their own readers: SQLite's
`quick_check`, head and footer of a parquet file, JSON. No table is read through: it may be large.
"""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

_PARQUET = b"PAR1"
_UNFINISHED = ".draft"  # of a job that is at it, or was killed


def damaged_files(repository: Path) -> Iterator[str]:
    """Each damaged file of a feature repository, by its path from there, and what is wrong."""
    if not is_feature_repository(repository):
        return
    for file in sorted(path for path in (repository / "data").rglob("*") if path.is_file()):
        place = file.relative_to(repository)
        fault = _FAULTS.get(file.suffix)
        if fault and not any(part.endswith(_UNFINISHED) for part in place.parts):
            why = fault(file) if file.stat().st_size else "it is empty"
            if why:
                yield f"{place} is damaged ({why})"


def is_feature_repository(folder: Path) -> bool:
    """Whether what lies below its `data/` is a feature store's: another's is nothing to us."""
    return (folder / "feature_store.yaml").is_file() and (folder / "data").is_dir()


def _of_a_database(file: Path) -> str:
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as database:
            ((found, *_), *_) = database.execute("PRAGMA quick_check(1)").fetchall()
    except sqlite3.OperationalError:
        return ""  # another job holds it
    except sqlite3.DatabaseError as error:
        return str(error)
    return "" if found == "ok" else "its pages do not fit together"


def _of_a_table(file: Path) -> str:
    # Imported late: a command that does not fail has no need of it here.
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        pq.read_metadata(file)
        begins = file.open("rb").read(len(_PARQUET)) == _PARQUET
    except (pa.ArrowException, OSError) as error:
        return str(error).splitlines()[0].rstrip(".")
    return "" if begins else "it does not begin as a parquet file"


def _of_a_document(file: Path) -> str:
    try:
        json.loads(file.read_bytes())
    except ValueError:
        return "it holds no JSON"
    return ""


def _of_a_list(file: Path) -> str:
    try:
        file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return "it holds no UTF-8"
    return ""


_FAULTS: dict[str, Callable[[Path], str]] = {
    ".db": _of_a_database,
    ".parquet": _of_a_table,
    ".json": _of_a_document,
    ".txt": _of_a_list,
}
