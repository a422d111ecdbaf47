"""The newest feature row of each entity row, whatever lies in which part and in what order.

The judge looks through all rows for each entity row.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from feast.types import Int64, String
from hypothesis import given, settings
from hypothesis import strategies as st
from tries import tries

from feature_access.entities.rows import EntityRows
from feature_access.offline_stores.file_join import FileJoin, newest_at, places_among
from feature_access.offline_stores.ordered_rows import lie_in_order
from feature_access.offline_stores.point_in_time import MATCHED, ViewQuery

pytestmark = pytest.mark.usefixtures("one_engine")

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
UTC_MICROSECONDS = pa.timestamp("us", "UTC")
KEYS = {"customer_id": pa.int64(), "shop": pa.string()}
TYPES = {"customer_id": Int64, "shop": String}
TTL = 3

MOMENTS = st.integers(-6, 6)
CUSTOMERS = st.sampled_from([1, 2, 3])
SHOPS = st.sampled_from(["", "a", "ab"])
TOLD = st.lists(st.tuples(CUSTOMERS, SHOPS, MOMENTS), min_size=1, max_size=40)
SPOILED = st.lists(st.tuples(st.none() | CUSTOMERS, SHOPS, st.none() | MOMENTS), max_size=3)
"""Rows that lack a key or a time."""
ASKED = st.lists(st.tuples(CUSTOMERS | st.none(), SHOPS, MOMENTS), max_size=20)


def asked(ttl: int | None, keys: dict[str, str]) -> ViewQuery:
    return ViewQuery(
        view="log",
        timestamp_field="stamp",
        ttl=None if ttl is None else timedelta(microseconds=ttl),
        join_keys=keys,
        features={"value": "value", "plain": "value"},
        defaults=(-1, None),
    )


def answers(folder: Path, of: ViewQuery, entities: pa.Table) -> pa.Table:
    frame = entities.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
    rows = EntityRows.of(
        frame, keys={k: TYPES[k] for k in of.join_keys}, features=of.features.keys()
    )
    return FileJoin(of, str(folder)).read(rows)


def times(moments: list[int | None]) -> pa.Array:
    return pa.array(moments, UTC_MICROSECONDS)


AS_IT_COMES, IN_ORDER, REFRESHED = "as it comes", "in order", "a part after the other in time"


@settings(max_examples=tries(300))
@given(
    st.tuples(TOLD, st.just([]) | SPOILED).map(lambda rows: rows[0] + rows[1]),
    ASKED,
    st.sampled_from([None, 0, TTL]),
    st.integers(1, 3),
    st.sampled_from([AS_IT_COMES, IN_ORDER, REFRESHED]),
    st.sampled_from([("customer_id",), ("shop",), ("customer_id", "shop")]),
)
def test_the_newest_row_within_the_ttl_is_found_wherever_it_lies(
    told, questions, ttl, parts, lying, keys
):
    told = in_parts(told, parts, lying)
    with TemporaryDirectory() as folder:
        for number, part in enumerate(told):
            several_groups = log_of(part)
            pq.write_table(several_groups, Path(folder) / f"{number}.parquet", row_group_size=3)
        columns = zip(*questions, strict=True) if questions else ([], [], [])
        customers, shops, moments = (list(column) for column in columns)
        entities = pa.table(
            {
                "customer_id": pa.array(customers, pa.int64()),
                "shop": pa.array(shops, pa.string()),
                "event_timestamp": times(moments),
            }
        )
        got = answers(Path(folder), asked(ttl, {k: k for k in keys}), entities)

    rows = [row for part in told for row in part]
    right = [newest(rows, keys, question, ttl) for question in questions]
    assert got["plain"].to_pylist() == right
    assert got["value"].to_pylist() == [-1 if value is None else value for value in right]
    assert got[MATCHED].to_pylist() == [value is not None for value in right]
    assert got.column_names == ["value", "plain", MATCHED]
    assert got.schema.field("value").type == pa.int32()


def in_parts(told, parts, lying):
    """Rows of customer, shop, moment and value, in so many parts."""
    rows = [(*row, value) for value, row in enumerate(told)]
    if lying == AS_IT_COMES:
        return [rows[part::parts] for part in range(parts)]
    by_key = lambda row: (row[0] or 0, row[1], row[2] or 0)  # noqa: E731
    if lying == IN_ORDER:
        rows.sort(key=by_key)
    else:
        rows.sort(key=lambda row: (row[2] or 0, row[3]))
    size = -(-len(rows) // parts)
    return [sorted(rows[n : n + size], key=by_key) for n in range(0, len(rows), size)]


def log_of(rows):
    customers, shops, moments, values = ([row[i] for row in rows] for i in range(4))
    return pa.table(
        {
            "customer_id": pa.array(customers, pa.int64()),
            "shop": pa.array(shops, pa.string()),
            "stamp": times(moments),
            "value": pa.array(values, pa.int32()),
        }
    )


def newest(rows, keys, question, ttl):
    """Of two of one time the one that lies behind the other."""

    def key_of(row):
        return [{"customer_id": row[0], "shop": row[1]}[key] for key in keys]

    moment = question[2]
    known = [
        (stamp, place, value)
        for place, (*of, stamp, value) in enumerate(rows)
        if None not in key_of(of) and key_of(of) == key_of(question)
        if stamp is not None and stamp <= moment
        if ttl is None or ttl == 0 or moment - stamp <= ttl
    ]
    return max(known)[2] if known else None


@given(st.lists(st.lists(MOMENTS, max_size=6).map(sorted), min_size=1), st.lists(MOMENTS))
def test_a_search_ends_where_a_look_at_every_place_does(groups, moments):
    stamps = np.array([stamp for group in groups for stamp in group], dtype=np.int64)
    stop = np.cumsum([len(group) for group in groups])
    first = stop - [len(group) for group in groups]
    which = np.arange(len(moments)) % len(groups)
    when = np.array(moments, dtype=np.int64)
    got = newest_at(stamps, first[which], stop[which], when)
    right = [
        first[g] + sum(stamp <= t for stamp in groups[g]) - 1
        for g, t in zip(which, moments, strict=True)
    ]
    assert got.tolist() == right


ENDS = st.sampled_from([-(2**63), 2**63 - 1])
CLOSE, FAR = st.integers(-4, 12), st.integers(-30, 99) | ENDS


@given(
    st.lists(CLOSE, unique=True, max_size=9) | st.lists(FAR, unique=True, max_size=9),
    st.lists(CLOSE | FAR | st.none(), max_size=9) | st.lists(CLOSE | FAR, max_size=9),
    st.integers(0, 9),
)
def test_a_key_is_found_where_it_stands(keys, sought, cut):
    chunks = [pa.array(some, pa.int64()) for some in (sought[:cut], sought[cut:])]
    found = places_among(pa.array(keys, pa.int64()), pa.chunked_array(chunks))
    assert found.tolist() == [keys.index(one) if one in keys else -1 for one in sought]


@given(st.lists(st.tuples(SHOPS, st.booleans(), MOMENTS), max_size=6))
def test_what_is_in_order_is_what_sorting_would_leave_alone(rows):
    columns = zip(*rows, strict=True) if rows else ([], [], [])
    types = (pa.string(), pa.bool_(), pa.int64())
    arrays = [pa.array(list(c), of) for c, of in zip(columns, types, strict=True)]
    assert lie_in_order(arrays) == (rows == sorted(rows))


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "log.parquet"
    write(path, range(1, 101))
    return path


def write(path, values):
    rows = {"customer_id": range(1, 101), "stamp": times([0] * 100), "value": values}
    pq.write_table(pa.table({k: pa.array(v) for k, v in rows.items()}), path)


def entities_of(customers: pa.Array) -> pa.Table:
    return pa.table({"customer_id": customers, "event_timestamp": times([1] * len(customers))})


def test_a_table_that_is_replaced_between_the_passes_is_not_answered_from(log, monkeypatch):
    of, entities = asked(None, {"customer_id": "customer_id"}), entities_of(pa.array([1]))
    assert answers(log, of, entities)["value"].to_pylist() == [1]
    between = FileJoin._values

    def replaced(self, *told):
        write(log.with_suffix(".new"), range(101, 201))
        log.with_suffix(".new").replace(log)
        return between(self, *told)

    monkeypatch.setattr(FileJoin, "_values", replaced)
    with pytest.raises(RuntimeError, match="replaced while it was read"):
        answers(log, of, entities)


@pytest.mark.parametrize(
    "keys", [pa.array(["1", "100"]), pa.array([1.0, 100.0]), pa.array([1, 100])]
)
def test_a_key_of_another_type_is_the_entity_it_names(log, keys):
    of = asked(None, {"customer_id": "customer_id"})
    assert answers(log, of, entities_of(keys))["value"].to_pylist() == [1, 100]


def test_a_key_of_text_is_a_number_of_the_table_in_plain_digits_alone(log, monkeypatch):
    monkeypatch.setitem(TYPES, "customer_id", String)
    of = asked(None, {"customer_id": "customer_id"})
    rows = answers(log, of, entities_of(pa.array(["07", "7", "7.0", " 7"])))
    assert rows["value"].to_pylist() == [-1, 7, -1, -1]


@pytest.mark.parametrize(("age", "right"), [(0, 7), (TTL, 7), (TTL + 1, -1), (-1, -1)])
def test_a_row_counts_until_it_is_exactly_the_ttl_old(log, age, right):
    of = asked(TTL, {"customer_id": "customer_id"})
    entities = pa.table({"customer_id": [7], "event_timestamp": times([age])})
    assert answers(log, of, entities)["value"].to_pylist() == [right]


def test_times_far_from_every_row_are_answered(log):
    of = asked(TTL, {"customer_id": "customer_id"})
    far = [datetime(1700, 1, 1, tzinfo=UTC), EPOCH, datetime(9999, 12, 31, tzinfo=UTC)]
    entities = pa.table(
        {"customer_id": [7, 7, 7], "event_timestamp": pa.array(far, UTC_MICROSECONDS)}
    )
    assert answers(log, of, entities)["value"].to_pylist() == [-1, 7, -1]
    assert answers(log, asked(None, of.join_keys), entities)["value"].to_pylist() == [-1, 7, 7]


@pytest.mark.parametrize("lacking", ["stamp", "customer_id", "value"])
def test_a_column_that_is_not_there_is_named(log, lacking):
    rows = pq.read_table(log)
    names = [name if name != lacking else "another" for name in rows.column_names]
    pq.write_table(rows.rename_columns(names), log)
    with pytest.raises(ValueError, match=f"the table of log has no column {lacking}, it has "):
        answers(log, asked(None, {"customer_id": "customer_id"}), entities_of(pa.array([1])))


def test_a_default_is_of_its_columns_type(log):
    of = replace(asked(None, {"customer_id": "customer_id"}), defaults=("0", None))
    got = answers(log, of, entities_of(pa.array([1, 0])))
    assert got["value"].to_pylist() == [1, 0]
