"""A .sql file of labels is answered, and changes nothing: the database's own engine sees to it."""

import sqlite3
from pathlib import Path

import pytest
from postgres_server import Database

from feature_access.training.entity_frame import DATABASE_VARIABLE, read_entity_frame
from storage.errors import RefusedError

pytest_plugins = ["postgres_server"]

NOT_A_SELECT = [
    "DROP TABLE labels",
    "DELETE FROM labels",
    "DELETE FROM labels RETURNING id",
    "INSERT INTO labels VALUES (3) RETURNING id",
    "UPDATE labels SET id = 9 RETURNING id",
    "CREATE TABLE more AS SELECT id FROM labels",
    "SELECT id FROM labels; DROP TABLE labels",
    "SELECT id FROM labels; COMMIT; DROP TABLE labels",
    "COMMIT; DROP TABLE labels",
]
OF_SQLITE = [
    *("PRAGMA query_only = OFF", "PRAGMA user_version = 7", "BEGIN IMMEDIATE"),
    *("ATTACH 'made.db' AS made", "VACUUM INTO 'made.db'", "CREATE TEMP TABLE t AS SELECT 1"),
    *("REPLACE INTO labels VALUES (1) RETURNING id", "WITH t AS (SELECT 1) DELETE FROM labels"),
]
OF_POSTGRES = [
    "WITH gone AS (DELETE FROM labels RETURNING id) SELECT id FROM gone",
    "WITH more AS (INSERT INTO labels VALUES (3) RETURNING id) SELECT id FROM more",
    *("SELECT id FROM labels FOR UPDATE", "SELECT nextval('counter') AS id"),
    *("SELECT grow() AS id", "SELECT setval('counter', 9) AS id", "SELECT lo_create(4711) AS id"),
    *("SET TRANSACTION READ WRITE", "TRUNCATE labels", "COPY labels TO PROGRAM 'touch made.db'"),
    *("DO $$ BEGIN DELETE FROM labels; END $$", "CALL shrink()", "SELECT id INTO more FROM labels"),
    "COMMIT; BEGIN READ WRITE; DELETE FROM labels; COMMIT; SELECT 1 AS id",
]
SELECTS = [
    *("SELECT id FROM labels ORDER BY id", "SELECT id FROM labels ORDER BY id;\n"),
    "-- labels\nWITH mine AS (SELECT id FROM labels) SELECT id FROM mine ORDER BY id",
    "SELECT id FROM labels WHERE '50%' LIKE '%:a%' OR true ORDER BY id",
]


def selected(text: str, address: str, folder: Path) -> list[int]:
    file = folder / "labels.sql"
    file.write_text(text, encoding="utf-8")
    rows: list[int] = read_entity_frame(file, {DATABASE_VARIABLE: address})["id"].to_pylist()
    return rows


@pytest.fixture
def in_sqlite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)  # where a file would be made
    with sqlite3.connect(tmp_path / "labels.db") as connection:
        connection.execute("CREATE TABLE labels (id INTEGER)")
        connection.executemany("INSERT INTO labels VALUES (?)", [(1,), (2,)])
    return f"sqlite:///{tmp_path / 'labels.db'}"


@pytest.fixture
def in_postgres(database: Database) -> str:
    """Its user may do everything: what holds is not the grants."""
    with database.connect() as connection:
        connection.execute("CREATE TABLE labels (id bigint)")
        connection.execute("INSERT INTO labels VALUES (1), (2)")
        connection.execute("CREATE SEQUENCE counter")
        connection.execute(
            "CREATE FUNCTION grow() RETURNS bigint LANGUAGE sql AS "
            "$$ INSERT INTO labels VALUES (3) RETURNING id $$"
        )
        connection.execute(
            "CREATE PROCEDURE shrink() LANGUAGE sql AS $$ DELETE FROM labels WHERE id = 1 $$"
        )
    return database.url


def test_sqlite_is_read(in_sqlite: str, tmp_path: Path) -> None:
    for text in SELECTS:
        assert selected(text, in_sqlite, tmp_path) == [1, 2]


@pytest.mark.parametrize("text", NOT_A_SELECT + OF_SQLITE)
def test_sqlite_is_never_changed(text: str, in_sqlite: str, tmp_path: Path) -> None:
    file = Path(in_sqlite.removeprefix("sqlite:///"))
    before = file.read_bytes()
    with pytest.raises(RefusedError):
        selected(text, in_sqlite, tmp_path)
    assert file.read_bytes() == before
    assert sorted(f.name for f in tmp_path.iterdir()) == ["labels.db", "labels.sql"]


def test_postgres_is_read(in_postgres: str, tmp_path: Path) -> None:
    for text in SELECTS:
        assert selected(text, in_postgres, tmp_path) == [1, 2]


def test_postgres_is_never_changed(
    in_postgres: str, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for text in NOT_A_SELECT + OF_POSTGRES:
        with pytest.raises(RefusedError):
            selected(text, in_postgres, tmp_path)
        with database.connect() as connection:
            found = connection.execute("SELECT id FROM labels ORDER BY id").fetchall()
            state = connection.execute("SELECT last_value, is_called FROM counter").fetchone()
            tables = connection.execute(
                "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = "
                "'public'::regnamespace"
            ).fetchall()
        assert (found, state, tables) == ([(1,), (2,)], (1, False), [("labels",)]), text
