"""An amount of money is one decimal, whatever its type and whichever engine reads it."""

import re
from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Context, Decimal
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import events_table
from sound_rows import SOUND
from spark_session import started
from warehouse import EVENTS, PIPELINE, SECRET, empty

from feature_pipeline.change_log.events_table import events_view, refuse_wrong_schema
from feature_pipeline.change_log.intake import accept, judge
from feature_pipeline.change_log.local_days import IN_UTC
from storage.errors import RefusedError

pytest_plugins = ["postgres_server", "warehouse"]
BOUNDS = {"as_of": SOUND.created_timestamp, "lateness_us": 0}

INTEGERS = [getattr(pa, f"{sign}int{bits}")() for sign in ("", "u") for bits in (8, 16, 32, 64)]
DECIMALS = [
    *(pa.decimal128(*one) for one in ((1, 0), (5, 5), (10, 2), (18, 9), (19, 4), (38, 0))),
    *(pa.decimal128(*one) for one in ((38, 12), (38, 13), (38, 38))),
]
FLOATS = [pa.float32(), pa.float64()]
EDGES = [0.1, 2.675, 16777216.0, 16777217.0, 16777216.1, 123456.78, 99999999.99, 999999.9999999999]
EDGES += [1e6, 1e-7, 4.9e-12, 5e-13, 5.1e-13, 1e-300, 2.0**53, 1e22, 9.999999999999999e25, 1e26]
# Cents whose product by 100 is no whole number, and floats that are next to cents.
EDGES += [0.29, 4.35, 1.005, 999999.99, 999999.995, 8.130000000000001, 4.569999999999999]
EDGES += [1e39, 5e-324, 12345678901234.56, 0.1234567890125, 2251799813685248.5, -0.0]
HARD = Context(prec=400, rounding=ROUND_HALF_UP)


def exactly(value: Any, kind: pa.DataType) -> Decimal | None:
    """The rule, in the plainest words: what is written, to 12 places, of at most 38 digits."""
    if kind in FLOATS:
        written = Decimal(repr(float(_in_32_bits([value])[0]) if kind == pa.float32() else value))
    else:
        written = Decimal(value)
    if not written.is_finite():
        return None
    money = written.quantize(Decimal("1e-12"), context=HARD)
    return money if money < 10**26 else None


def values_of(kind: pa.DataType) -> st.SearchStrategy:
    if kind in FLOATS:
        width = 32 if kind == pa.float32() else 64
        floats = st.floats(min_value=0, width=width) | st.just(float("nan"))
        cents = st.integers(0, 10**12).map(lambda n: n / 100)
        tiny = st.floats(0, 2**-32, width=width)
        return floats | tiny | cents if width == 64 else floats | tiny
    if pa.types.is_decimal(kind):
        largest = 10**kind.precision - 1
        whole = st.integers(0, largest) | st.sampled_from([largest, 0])
        return whole.map(lambda n: Decimal(n).scaleb(-kind.scale, HARD))
    most = 2 ** (kind.bit_width - pa.types.is_signed_integer(kind)) - 1
    return st.integers(0, most) | st.sampled_from([most, 0])


def table_of(values: list[Any], kind: pa.DataType) -> pa.Table:
    rows = events_table(SOUND._replace(customer_id=n) for n in range(len(values)))
    place = rows.schema.get_field_index("order_value")
    if kind == pa.float32():
        values = _in_32_bits(values)
    return rows.set_column(place, "order_value", pa.array(values, kind))


def _in_32_bits(values: list[float]) -> list[np.float32]:
    with np.errstate(over="ignore"):
        return list(np.array(values, dtype=np.float64).astype(np.float32))


def by_duckdb(file: Path) -> dict[int, Decimal]:
    refuse_wrong_schema(file)
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        events_view(connection, [file])
        judge(connection, "FROM events_file", "judged", BOUNDS)
        accept(connection, "judged", IN_UTC)
        rows = connection.execute("SELECT customer_id, order_value FROM accepted_events").fetchall()
    return dict(rows)


def expected(values: list[Any], kind: pa.DataType) -> dict[int, Decimal]:
    decimals = {n: exactly(value, kind) for n, value in enumerate(values)}
    return {n: decimal for n, decimal in decimals.items() if decimal is not None}


@pytest.mark.parametrize("kind", [*INTEGERS, *DECIMALS, *FLOATS], ids=str)
def test_duckdb_takes_each_amount_as_it_is_written(kind: pa.DataType, tmp_path: Path) -> None:
    @settings(max_examples=12 if kind in FLOATS else 4)
    @given(st.lists(values_of(kind), min_size=1, max_size=40))
    def whatever_the_amounts(values: list[Any]) -> None:
        pq.write_table(table_of(values, kind), tmp_path / "events.parquet")
        assert by_duckdb(tmp_path / "events.parquet") == expected(values, kind)

    whatever_the_amounts()


SAMPLES: list[tuple[pa.DataType, list[Any]]] = [
    (pa.float64(), EDGES),
    (pa.float32(), EDGES),
    *((kind, [0, 1, 2 ** (kind.bit_width - 1) - 1]) for kind in INTEGERS),
    (pa.uint64(), [2**64 - 1]),
    *((kind, [Decimal(10**kind.precision - 1).scaleb(-kind.scale, HARD)]) for kind in DECIMALS),
]


@pytest.mark.parametrize(("kind", "values"), SAMPLES, ids=str)
def test_duckdb_on_the_edges(kind: pa.DataType, values: list[Any], tmp_path: Path) -> None:
    pq.write_table(table_of(values, kind), tmp_path / "events.parquet")
    assert by_duckdb(tmp_path / "events.parquet") == expected(values, kind)


def test_the_warehouse_is_given_each_amount_as_it_is_written(shared_warehouse, tmp_path) -> None:
    from feature_pipeline.compute_engines.postgres.load import load_events

    pipeline = shared_warehouse.seen_by(PIPELINE, SECRET)
    for kind, values in SAMPLES:
        empty(shared_warehouse)
        pq.write_table(table_of(values, kind), tmp_path / "events.parquet")
        load_events(pipeline.address, tmp_path / "events.parquet")
        with shared_warehouse.connect() as connection:
            amount = "CASE WHEN round(order_value, 12) < 1e26 THEN round(order_value, 12) END"
            held = dict(connection.execute(f"SELECT customer_id, {amount} FROM {EVENTS}"))
        assert {n: one for n, one in held.items() if one is not None} == expected(values, kind)


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    yield from started("local[2]")


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_spark_takes_each_amount_as_it_is_written(spark: Any, tmp_path: Path) -> None:
    from feature_pipeline.compute_engines.spark import sql as sql
    from feature_pipeline.compute_engines.spark.lake import read_events
    from storage.spark_session import own_session

    session = own_session(spark)
    for kind, values in SAMPLES:
        pq.write_table(table_of(values, kind), tmp_path / "events.parquet")
        read_events(session, [tmp_path / "events.parquet"]).createOrReplaceTempView("events_file")
        judged = session.sql(sql.JUDGED, args=BOUNDS)
        judged.createOrReplaceTempView("judged")
        rows = (
            session.sql(sql.ACCEPTED, args={"zone": IN_UTC})
            .select("customer_id", "order_value")
            .toArrow()
            .to_pylist()
        )
        held = {row["customer_id"]: row["order_value"] for row in rows}
        assert held == expected(values, kind), kind


REFUSED = [
    ("order_value", pa.float16()),
    ("order_value", pa.decimal256(39, 2)),
    ("order_value", pa.bool_()),
    ("customer_id", pa.uint64()),
    ("orders", pa.float64()),
]


@pytest.mark.parametrize(("column", "kind"), REFUSED, ids=str)
def test_what_engines_read_in_different_ways_is_refused(column, kind, tmp_path: Path) -> None:
    rows = events_table([SOUND])
    place = rows.schema.get_field_index(column)
    value = np.float16(1) if kind == pa.float16() else Decimal(1) if "dec" in str(kind) else 1
    odd = rows.set_column(place, column, pa.array([value]).cast(kind))
    pq.write_table(odd, tmp_path / "events.parquet")
    with pytest.raises(RefusedError, match=f"wrong type: {column} is {re.escape(str(kind))}, exp"):
        refuse_wrong_schema(tmp_path / "events.parquet")


@pytest.mark.parametrize("kind", [pa.large_string(), pa.string_view(), pa.string()], ids=str)
def test_texts_are_texts_however_they_are_laid_out(kind: pa.DataType, tmp_path: Path) -> None:
    folder = tmp_path / "events"
    folder.mkdir()
    text = events_table([SOUND._replace(customer_id="one")])
    pq.write_table(text, folder / "a.parquet")
    for number, column in enumerate((text[0].cast(kind), text[0].dictionary_encode())):
        pq.write_table(text.set_column(0, "customer_id", column), folder / f"{number}.parquet")
    assert refuse_wrong_schema(folder) == 3
