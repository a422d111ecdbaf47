"""Entity frames: the same rows from parquet, CSV and a database; secrets in no message."""

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from feature_access.entity_frame import DATABASE_VARIABLE, as_pandas, read_entity_frame
from feature_access.refusal import RefusedError

NOON = datetime(2017, 11, 15, 12, tzinfo=UTC)
BEYOND_FLOATS = 2**53 + 1
ROWS = pa.table(
    {
        "customer_id": pa.array([1, None, BEYOND_FLOATS], pa.int64()),
        "event_timestamp": pa.array([NOON] * 3, pa.timestamp("us", tz="UTC")),
        "churned": pa.array([True, None, False]),
        "note": pa.array(["a, b", None, "c"]),
    }
)
CSV = f"""customer_id,event_timestamp,churned,note
1,2017-11-15T12:00Z,true,"a, b"
,2017-11-15 13:00:00.000000+01:00,,
{BEYOND_FLOATS},2017-11-15 12:00:00,false,c
"""


@pytest.fixture
def parquet(tmp_path: Path) -> Path:
    pq.write_table(ROWS, tmp_path / "labels.parquet")
    return tmp_path / "labels.parquet"


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    (tmp_path / "labels.csv").write_text(CSV, encoding="utf-8")
    return tmp_path / "labels.csv"


@pytest.fixture
def database(tmp_path: Path) -> dict[str, str]:
    """The environment that names a database in which `labels` holds the rows."""
    with sqlite3.connect(tmp_path / "labels.db") as connection:
        connection.execute("CREATE TABLE labels (id INTEGER, at TEXT, churned INTEGER, note TEXT)")
        connection.executemany(
            "INSERT INTO labels VALUES (?, ?, ?, ?)",
            [
                (1, "2017-11-15 12:00:00", 1, "a, b"),
                (None, "2017-11-15T13:00:00+01:00", None, None),
                (BEYOND_FLOATS, "2017-11-15 12:00:00Z", 0, "c"),
            ],
        )
    return {DATABASE_VARIABLE: f"sqlite:///{tmp_path / 'labels.db'}"}


def written(tmp_path: Path, select: str) -> Path:
    (tmp_path / "labels.sql").write_text(select, encoding="utf-8")
    return tmp_path / "labels.sql"


SELECT = """-- of everyone
SELECT id AS customer_id, at AS event_timestamp,
    iif(churned IS NULL, NULL, churned = 1) AS churned, note
FROM labels WHERE coalesce(note, '') NOT LIKE '%:name%' ORDER BY rowid
"""


def test_a_file_and_a_database_give_the_same_rows(parquet, csv, database, tmp_path):
    expected = ROWS.to_pylist()
    assert read_entity_frame(parquet, {}).to_pylist() == expected
    assert read_entity_frame(csv, {}).to_pylist() == expected
    selected = read_entity_frame(written(tmp_path, SELECT), database)
    assert selected.to_pylist() == expected  # SQLite's booleans are 1 and 0, which equal ours
    for rows in (read_entity_frame(csv, {}), selected):
        assert rows.schema.field("event_timestamp").type == pa.timestamp("us", tz="UTC")
        assert rows.schema.field("customer_id").type == pa.int64()


def test_integers_beside_a_null_are_the_same_in_pandas():
    assert as_pandas(ROWS)["customer_id"].tolist()[2] == BEYOND_FLOATS
    assert pa.Table.from_pandas(as_pandas(ROWS))["customer_id"].to_pylist()[2] == BEYOND_FLOATS


def test_what_an_index_was_in_pandas_is_no_column(tmp_path):
    as_pandas(ROWS).iloc[1:].to_parquet(tmp_path / "labels.parquet")
    frame = as_pandas(read_entity_frame(tmp_path / "labels.parquet", {}))
    assert list(frame.columns) == ROWS.column_names


def test_a_key_of_text_is_text_in_a_csv(tmp_path):
    (tmp_path / "labels.csv").write_text("customer_id,event_timestamp\n007,2017-11-15\n")
    as_number = read_entity_frame(tmp_path / "labels.csv", {})
    as_text = read_entity_frame(tmp_path / "labels.csv", {}, text=["customer_id"])
    assert as_number["customer_id"].to_pylist() == [7]
    assert as_text["customer_id"].to_pylist() == ["007"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("customer_id,event_timestamp\n1,yesterday\n", "yesterday"),
        ("", "No columns"),
        ("a,b\n1,2,3\n1\n1,2,3,4,5\n", "Expected 3 fields"),
    ],
)
def test_a_csv_that_cannot_be_read_is_refused_in_words(tmp_path, text, message):
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(RefusedError, match=message):
        read_entity_frame(tmp_path / "labels.csv", {})


def test_what_is_no_parquet_is_refused(tmp_path):
    (tmp_path / "labels.parquet").write_text("no")
    with pytest.raises(RefusedError, match=r"labels\.parquet cannot be read"):
        read_entity_frame(tmp_path / "labels.parquet", {})
    with pytest.raises(RefusedError, match="no such file"):
        read_entity_frame(tmp_path / "absent.parquet", {})


def test_a_select_without_a_database_is_refused(tmp_path):
    with pytest.raises(RefusedError, match=f"{DATABASE_VARIABLE} is not set"):
        read_entity_frame(written(tmp_path, SELECT), {})


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("DELETE FROM labels", "selects nothing"),
        ("SELECT id, id FROM labels", "two columns of one name: id, id"),
        ("SELECT * FROM nowhere", "no such table: nowhere"),
        ("SELECT id AS customer_id FROM labels UNION SELECT 'x'", "cast it in the SELECT"),
    ],
)
def test_what_is_no_frame_is_refused_and_changes_nothing(tmp_path, database, statement, message):
    with pytest.raises(RefusedError, match=message):
        read_entity_frame(written(tmp_path, statement), database)
    assert read_entity_frame(written(tmp_path, SELECT), database).num_rows == 3


@pytest.mark.parametrize(
    "address",
    [
        "postgresql+psycopg://reader:hunter2hunter2@127.0.0.1:1/nowhere",
        "sqlite:////no/such/folder/hunter2hunter2",
        "nosuch://reader:hunter2hunter2@host/db",
        "hunter2hunter2",
    ],
)
def test_no_message_holds_the_address_or_its_password(tmp_path, address):
    with pytest.raises(RefusedError, match=f"the database of {DATABASE_VARIABLE}") as refused:
        read_entity_frame(written(tmp_path, SELECT), {DATABASE_VARIABLE: address})
    assert "hunter2hunter2" not in str(refused.value)
    assert refused.value.__cause__ is None
