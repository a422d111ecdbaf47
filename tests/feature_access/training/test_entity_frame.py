"""Entity frames: the same rows from parquet, CSV and a database; secrets in no message."""

import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from feature_access.training.entity_frame import DATABASE_VARIABLE, as_pandas, read_entity_frame
from storage.errors import RefusedError

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


@pytest.mark.parametrize("kind", [pa.uint64(), pa.int32(), pa.int16(), pa.uint8()], ids=str)
def test_so_are_integers_of_any_width(kind):
    values = [1, None, BEYOND_FLOATS if kind == pa.uint64() else 7]
    there_and_back = pa.Table.from_pandas(as_pandas(pa.table({"x": pa.array(values, kind)})))
    assert (there_and_back["x"].type, there_and_back["x"].to_pylist()) == (kind, values)


def test_what_an_index_was_in_pandas_is_no_column(tmp_path):
    as_pandas(ROWS).iloc[1:].to_parquet(tmp_path / "labels.parquet")
    frame = as_pandas(read_entity_frame(tmp_path / "labels.parquet", {}))
    assert list(frame.columns) == ROWS.column_names


def csv_column(tmp_path: Path, *fields: str, **options: Any) -> pa.ChunkedArray:
    """A column of a CSV file, beside another of ones."""
    rows = "".join(f"{field},1\n" for field in fields)
    (tmp_path / "column.csv").write_text("x,ones\n" + rows, encoding="utf-8", newline="")
    read = read_entity_frame(tmp_path / "column.csv", {}, **options)
    assert read["ones"].to_pylist() == [1] * len(fields)
    return read["x"]


TEXTS = [
    ["NA", "null", "None", "nan", "N/A", "NaN", "NULL", "<NA>", "#N/A", "none"],
    ["007", "7"],
    ["1.5", "nan"],
    ["1", "NA"],
    ["true", "yes"],
    ["1", "true"],
    ['"1,000"', '"2,000"'],
    [" 1", "2 "],
    ["+1", "2"],
    [str(2**63), "1"],
    [str(BEYOND_FLOATS), "1.5"],
    ["1e999", "1"],
    ["2017-11-15", "2017-11-16"],
    ["0x1", "1"],
    ["１", "1"],
    ['"a\nb"', '"a\r\nb"', '"q""uote"'],
]


@pytest.mark.parametrize("fields", TEXTS, ids=" ".join)
def test_text_stays_text_in_a_csv(tmp_path, fields):
    told = [f.strip('"').replace('""', '"') if f.startswith('"') else f for f in fields]
    column = csv_column(tmp_path, *fields)
    assert (column.type, column.to_pylist()) == (pa.string(), told)


@pytest.mark.parametrize(
    ("fields", "kind", "values"),
    [
        (["1", "-2", "", str(BEYOND_FLOATS)], pa.int64(), [1, -2, None, BEYOND_FLOATS]),
        (["0", str(2**63 - 1), str(-(2**63))], pa.int64(), [0, 2**63 - 1, -(2**63)]),
        (["1.50", "", "2", "-.5", "1e3"], pa.float64(), [1.5, None, 2.0, -0.5, 1000.0]),
        (["true", "", "False"], pa.bool_(), [True, None, False]),
        (['"1"', '""'], pa.int64(), [1, None]),
        (["a", "", '""'], pa.string(), ["a", None, ""]),
        (["", ""], pa.string(), [None, None]),
        ([], pa.string(), []),
    ],
)
def test_an_empty_field_alone_is_null_in_a_csv(tmp_path, fields, kind, values):
    column = csv_column(tmp_path, *fields)
    assert (column.type, column.to_pylist()) == (kind, values)


def test_a_column_that_is_declared_text_is_text_in_a_csv(tmp_path):
    fields = ["007", "7", "true", "1.5", "NA", "", '""']
    column = csv_column(tmp_path, *fields, text=["x"])
    assert column.to_pylist() == ["007", "7", "true", "1.5", "NA", None, ""]


@pytest.mark.parametrize("start", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_csv_of_another_system_is_the_same(tmp_path, start, end):
    text = start + end.join(['customer_id,"no,te"', "1,a", '2,"b', 'c"', "", "3,d"])
    (tmp_path / "labels.csv").write_bytes(text.encode())
    rows = read_entity_frame(tmp_path / "labels.csv", {})
    assert rows.to_pydict() == {"customer_id": [1, 2, 3], "no,te": ["a", f"b{end}c", "d"]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("customer_id,event_timestamp\n1,yesterday\n", "row 1: 'yesterday' is no time"),
        ("", "is empty"),
        ("a,b\n1,2\n7007007,2,3\n", "line 3 has 3 fields and the header 2"),
        ("a,b\n1,2\n7007007\n", "line 3 has 1 fields and the header 2"),
        ('a,b\n1,"x\ny"\n\n7007007\n', "line 5 has 1 fields and the header 2"),
        ("a,b,a\n7007007,2,3\n", "two columns of one name: a"),
        ('a,b\n7007007,"2\n3,4\n', "a quote that is not closed"),
    ],
)
def test_a_csv_that_cannot_be_read_is_refused_in_words(tmp_path, text, message):
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(RefusedError, match=message) as refused:
        read_entity_frame(tmp_path / "labels.csv", {})
    assert "7007007" not in str(refused.value)  # somebody's identifier


def test_a_csv_in_another_encoding_is_refused(tmp_path):
    (tmp_path / "labels.csv").write_bytes("a,b\n1,é\n".encode("latin-1"))
    with pytest.raises(RefusedError, match="cannot be read"):
        read_entity_frame(tmp_path / "labels.csv", {})


TIMES = ["2017-11-15T12:00Z", "2017-11-15 13:00:00.000000+01:00", "20171115T12"]
KINDS = [
    pa.string(),
    pa.large_string(),
    pa.string_view(),
    pa.dictionary(pa.int8(), pa.string()),
    pa.dictionary(pa.int32(), pa.large_string()),
]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_time_of_text_is_iso_8601_alone_however_the_text_is_held(tmp_path, kind):
    file = tmp_path / "labels.parquet"
    for times in (TIMES, [TIMES[0], "05/11/2017"]):
        column = pa.array(times).cast(kind)
        pq.write_table(pa.table({"event_timestamp": column}), file, store_schema=True)
        if times is TIMES:
            read = read_entity_frame(file, {})["event_timestamp"]
            assert read.type == pa.timestamp("us", tz="UTC")
            assert read.to_pylist() == [NOON] * 3
        else:
            with pytest.raises(RefusedError, match="row 2: '05/11/2017' is no time"):
                read_entity_frame(file, {})


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
        ("DELETE FROM labels", r"not authorized \(it is sent one SELECT, which may change nothing"),
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
