"""A case of the corpus: what is changed in a repository that is kept, and what must be found.

A case is a folder with a `case.toml`:

    what = "the view keeps values a day too long"

    [breaks]                      # clause: check = a part of what it got; a list for several
    "§3 lookback window: ttl-is-the-lookback" = "31d"

    [[edit]]                      # a passage of a text file; it must stand there exactly once
    file = "feature_repo/customer_profile.py"
    old = "ttl=timedelta(days=30)"
    new = "ttl=timedelta(days=31)"

    [[sql]]                       # rows: DuckDB for a parquet file, whose table is the file's name,
    file = "data/operations.db"   # SQLite for a database
    run = "DELETE FROM operations WHERE job = 'backfill'"

`[unknown]`, in the form of `[breaks]`, names what can no longer be judged. `sign = true` renews the
signatures, so that an edited document is found out by its promises; `as_of` is another instant.
"""

import sqlite3
import tomllib
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from storage.duckdb_session import parquet_at
from storage.parquet_table import drop

Found = Mapping[str, tuple[str, ...]]
"""By `clause: check`, what was got."""


@dataclass(frozen=True)
class Case:
    name: str
    what: str
    breaks: Found
    unknown: Found
    edits: tuple[Mapping[str, str], ...]
    sql: tuple[Mapping[str, str], ...]
    sign: bool
    as_of: str | None

    @property
    def clauses(self) -> set[str]:
        """The clauses it must break."""
        return {name.partition(": ")[0] for name in self.breaks}

    @property
    def declares(self) -> bool:
        """Whether the definitions are changed, so that they have to be applied."""
        return any(edit["file"].startswith("feature_repo/") for edit in self.edits)

    def change(self, repository: Path) -> None:
        """Make the changes in a repository."""
        for edit in self.edits:
            path = repository / edit["file"]
            text = path.read_text(encoding="utf-8")
            assert text.count(edit["old"]) == 1, f"{edit['old']!r} stands not once in {path}"
            path.write_text(text.replace(edit["old"], edit["new"]), encoding="utf-8")
        for statement in self.sql:
            path = repository / statement["file"]
            rewrite = _in_parquet if path.suffix == ".parquet" else _in_sqlite
            rewrite(path, statement["run"])


def read_case(folder: Path) -> Case:
    """The case that a folder holds; a word it does not know is an error."""
    written = tomllib.loads((folder / "case.toml").read_text(encoding="utf-8"))
    case = Case(
        name=folder.name,
        what=written.pop("what"),
        breaks=_found(written.pop("breaks", {})),
        unknown=_found(written.pop("unknown", {})),
        edits=tuple(written.pop("edit", ())),
        sql=tuple(written.pop("sql", ())),
        sign=written.pop("sign", False),
        as_of=written.pop("as_of", None),
    )
    assert not written, f"{folder}: {', '.join(written)}"
    assert case.edits or case.sql or case.as_of, f"{folder} changes nothing"
    return case


def _found(written: Mapping[str, Any]) -> Found:
    return {name: (got,) if isinstance(got, str) else tuple(got) for name, got in written.items()}


def _in_parquet(path: Path, statement: str) -> None:
    """A table's parts become the one file that their names share."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"CREATE TABLE {path.stem} AS FROM read_parquet('{parquet_at(path)}')")
        connection.execute(statement)
        drop(path)
        connection.execute(f"COPY {path.stem} TO '{path}' (FORMAT parquet)")


def _in_sqlite(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        changed = database.execute(statement).rowcount
    assert changed, f"{statement!r} changes nothing in {path}"
