"""Search every file below a folder for one customer: what an erasure is proved by.

Tables are read value by value, since their files are compressed; in SQLite files the raw bytes are
searched as well, where a deleted row may linger. A number in a column of another name than an
identifier's is a measure: 7 orders are not customer 7.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from math import isfinite
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from feature_pipeline.erasure.identity import Identity

_BEYOND_KEYS = 2**64


@dataclass(frozen=True)
class Searched:
    """One place, and what was found there."""

    place: str
    looked_at: str
    """How much there was, such as `1,234 rows`."""
    found: int
    """Rows, lines or other pieces that tell of the customer."""
    unread: str = ""
    """Why it could not be searched; then nothing is proved."""

    @property
    def is_clean(self) -> bool:
        """It was searched, and nothing was found."""
        return not self.found and not self.unread


def search(folder: Path, more: Iterable[Path], identity: Identity) -> tuple[Searched, ...]:
    """Search every file below the folder, hidden ones included, and `more`."""
    files = {file for file in folder.rglob("*") if file.is_file()} | set(more)
    return tuple(_searched(file, folder.parent, identity) for file in sorted(files))


def _searched(file: Path, root: Path, identity: Identity) -> Searched:
    place = file.relative_to(root).as_posix() if file.is_relative_to(root) else str(file)
    try:
        looked_at, found = _way_into(file)(file, identity)
    except (OSError, pa.ArrowException, sqlite3.Error) as error:
        return Searched(place, "nothing", 0, f"{type(error).__name__}: it cannot be read")
    return Searched(place, looked_at, found + identity.is_in(place))


def _way_into(file: Path) -> Callable[[Path, Identity], tuple[str, int]]:
    with file.open("rb") as content:
        beginning = content.read(16)
    if beginning.startswith(b"PAR1") or file.suffix == ".parquet":
        return _in_parquet
    return _in_sqlite if beginning.startswith(b"SQLite format 3") else _in_text


def _in_parquet(file: Path, identity: Identity) -> tuple[str, int]:
    with pq.ParquetFile(file) as table:
        metadata = table.metadata.metadata or {}
        found = sum(identity.is_in(v.decode(errors="replace")) for v in metadata.values())
        for i in range(table.num_row_groups):
            group = table.read_row_group(i)
            found += sum(_in_column(name, group[name], identity) for name in group.column_names)
        return f"{table.metadata.num_rows:,} rows", found


def _in_column(name: str, column: pa.ChunkedArray, identity: Identity) -> int:
    distinct = pc.value_counts(column.combine_chunks()).to_pylist()
    return sum(one["counts"] for one in distinct if _is(one["values"], name, identity))


def _is(value: Any, column: str, identity: Identity) -> bool:
    """Whether a table's value tells of the customer."""
    if value is None or isinstance(value, bool):
        return False
    if isinstance(value, bytes):
        return identity.is_in_bytes(value) or identity.is_in(_text_of(value))
    if identity.names(column) and _plain(value) == identity.text:
        return True
    return not isinstance(value, int | float) and identity.is_in(str(value))


def _text_of(content: bytes) -> str:
    """Bytes that are text; among others a digit is no digit."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return ""
    return text if all(char.isprintable() or char.isspace() for char in text) else ""


def _plain(value: Any) -> str:
    """A whole number is spelled as one, even where it is held as a float or a decimal."""
    if (
        not isinstance(value, float | Decimal)
        or not isfinite(value)
        or not -_BEYOND_KEYS < value < _BEYOND_KEYS
    ):
        return str(value)
    return str(int(value)) if value == int(value) else str(value)


def _in_sqlite(file: Path, identity: Identity) -> tuple[str, int]:
    rows = found = 0
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        for column_names, values in _rows_of(connection):
            rows += 1
            pairs = zip(column_names, values, strict=True)
            found += any(_is(value, name, identity) for name, value in pairs)
    if not found:  # what is in a table is in the bytes: only what lingers is news
        found = int(identity.is_in_bytes(file.read_bytes()))
    return f"{rows:,} rows, {file.stat().st_size:,} bytes", found


def _rows_of(connection: sqlite3.Connection) -> Iterator[tuple[list[str], tuple[Any, ...]]]:
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    for (table,) in tables:
        quoted = '"' + table.replace('"', '""') + '"'
        described = connection.execute(f"PRAGMA table_info({quoted})").fetchall()
        # A table's own row number is nobody's identifier.
        names = ["" if kind == "INTEGER" and pk else name for _, name, kind, _, _, pk in described]
        for row in connection.execute(f"SELECT * FROM {quoted}"):
            yield names, row


def _in_text(file: Path, identity: Identity) -> tuple[str, int]:
    content = file.read_bytes()
    lines = content.decode(errors="replace").splitlines()
    found = sum(map(identity.is_in, lines)) or int(identity.is_in_bytes(content))
    return f"{len(content):,} bytes", found
