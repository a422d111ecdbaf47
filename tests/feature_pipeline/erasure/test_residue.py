"""The search tells a customer from a number: customer 1 is not in one order, nor in customer 49."""

import sqlite3
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from feature_pipeline.erasure.identity import Identity, without
from feature_pipeline.erasure.residual_search import search

HASH = "ab" * 32


def key_of(customer: int) -> bytes:
    named = b"\x01\0\0\0\x02\0\0\0\x0b\0\0\0customer_id"
    return named + b"\x04\0\0\0\x08\0\0\0" + customer.to_bytes(8, "little")


ONE = Identity("customer_id", "1", HASH, (key_of(1),))
NAMED = Identity("customer_id", "o'Brien-1", HASH, (b"customer_id o'Brien-1",))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("customer_id=1, event_timestamp=2017", True),
        ('{"customer_id": 1}', True),
        ("{'customer_id': '1'}", True),
        ("first customer_id 1 at", True),
        ("Customer 1", True),
        (f"of {HASH}", True),
        ('CONTEXT: COPY frame, line 1: "1,2017-12-01 00:00:00"', True),
        ('COPY arriving, line 20: "2017-12-01,1"', True),
        ('COPY frame, line 2, column at: "1"', True),
        ("DETAIL:  Failing row contains (1, 2017-12-01 00:00:00+00, null).", True),
        ("DETAIL:  Failing row contains (2017-12-01, 1).", True),
        ("DETAIL:  Failing row contains (11, 2017-12-01).", False),
        ("CONTEXT:  unnamed portal with parameters: $1 = '1'", True),
        ("CONTEXT:  unnamed portal with parameters: $1 = 'x', $2 = '1'", True),
        ("CONTEXT:  unnamed portal with parameters: $1 = '11'", False),
        ("DETAIL:  Key (customer_id)=(1) already exists.", True),
        ('COPY frame, line 1: "11,2017-12-01"', False),
        ('on line 3: "1 of 2"', False),
        ("customer_id=11", False),
        ("customer_id=1.5", False),
        ("customer_id=-1", False),
        ("1 of 1 customers", False),
        ("rows 1", False),
    ],
)
def test_in_a_text(text: str, told: bool) -> None:
    assert ONE.is_in(text) is told
    assert (ONE.redacted(text) != text) is told
    assert not ONE.is_in(ONE.redacted(text))


@pytest.mark.parametrize(
    ("text", "told"),
    [("it was o'Brien-1.", True), ("o'Brien-11", False), ("of o'Brien", False)],
)
def test_a_name_needs_nothing_beside_it(text: str, told: bool) -> None:
    assert NAMED.is_in(text) is told


def test_an_identity_does_not_show_itself() -> None:
    assert "o'Brien" not in f"{NAMED} {NAMED!r}"
    assert without(f"1 row of 1, not 11, {HASH}", ONE) == (
        "[erased] row of [erased], not 11, [erased]"
    )


def found(folder: Path, identity: Identity = ONE) -> dict[str, int]:
    places = search(folder, (), identity)
    assert all(not place.unread for place in places)
    return {Path(place.place).name: place.found for place in places}


COLUMNS = {
    "customer_id": [1, 49, None],
    "customer": ["1", "49", "x"],
    "user_id": [1.0, 2.5, None],
    "orders_30d": [1, 1, 1],
    "value_text": ["1", "1", "1"],
    "note": ["customer_id=49", "see customer_id=1", None],
    "hashed": [None, HASH, "cd" * 32],
    "key": [key_of(49), key_of(1), b""],
    "at": [datetime(2001, 1, 1, tzinfo=UTC)] * 3,
}
EXPECTED = dict.fromkeys(("customer_id", "customer", "user_id", "note", "hashed", "key"), 1)


@pytest.mark.parametrize("column", COLUMNS)
def test_in_a_table(tmp_path: Path, column: str) -> None:
    pq.write_table(pa.table({column: COLUMNS[column]}), tmp_path / "table.parquet")
    with sqlite3.connect(tmp_path / "table.db") as connection:
        kept = [value if column != "at" else str(value) for value in COLUMNS[column]]
        connection.execute(f'CREATE TABLE kept (id INTEGER PRIMARY KEY, "{column}")')
        connection.executemany("INSERT INTO kept VALUES (NULL, ?)", [(value,) for value in kept])
    expected = EXPECTED.get(column, 0)
    assert found(tmp_path) == {"table.parquet": expected, "table.db": expected}


def test_a_decimal_is_the_number_it_is(tmp_path: Path) -> None:
    held = [Decimal("1.00"), Decimal("1.01"), Decimal("49.00"), None]
    pq.write_table(pa.table({"customer_id": held, "orders": held}), tmp_path / "table.parquet")
    assert found(tmp_path) == {"table.parquet": 1}


def test_in_the_name_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "of_customer_id=1.txt").write_text("")
    (tmp_path / "of_customer_id=2.txt").write_text("")
    assert list(found(tmp_path).values()) == [1, 0]
