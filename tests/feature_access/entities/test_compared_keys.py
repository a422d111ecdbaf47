"""Keys are compared by one rule on every engine, whatever the table holds them as.

A key declared to be text, as Feast declares one that nobody did, is a text or the integer of those
plain digits: 7 and "7" are one entity, and "07" is another. A number is itself at every width.
"""

import hmac
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from offline_places import Place, opened
from small_stores import Made

pytest_plugins = ["offline_places", "small_stores"]

NOON = datetime(2024, 3, 9, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
KEY = b"a key of the tests alone"
IDS, COUNTS = [7, 0, -3, 1002], [70, 1, 30, 20]
DIGITS = {str(i): n for i, n in zip(IDS, COUNTS, strict=True)}
HELD = {
    "whole": pa.int64(),
    "small": pa.int32(),
    "text": pa.string(),
}


def declared(place: Place, how: str, **mapped: str) -> list[Any]:
    """The view `of_<how>`, of drivers of no declared type, over a table that holds them so."""
    from feast import Entity, FeatureService, FeatureView, Field
    from feast.types import Int64, String

    ids = pa.array(DIGITS if how == "text" else IDS, HELD[how])
    times = pa.array([NOON] * len(IDS), pa.timestamp("us", "UTC"))
    table = pa.table({"driver_id": ids, "at": times, "made": times, "count": pa.array(COUNTS)})
    place.write(f"of_{how}", table.rename_columns([mapped.get(c, c) for c in table.column_names]))
    driver = Entity(name="driver", join_keys=["driver_id"])
    source = place.source(
        f"of_{how}",
        timestamp_field="at",
        created_timestamp_column="made",
        field_mapping={column: name for name, column in mapped.items()},
    )
    view = FeatureView(
        name=f"of_{how}",
        entities=[driver],
        ttl=0 * HOUR,
        schema=[Field(name="driver_id", dtype=String), Field(name="count", dtype=Int64)],
        source=source,
    )
    return [driver, view, FeatureService(name=f"s_{how}", features=[view])]


@pytest.fixture(scope="module")
def store(place: Place) -> Any:
    each = [*declared(place, "whole", driver_id="id"), *declared(place, "small")[1:]]
    return opened(place, [*each, *declared(place, "text")[1:]])


GIVEN: dict[str, tuple[Any, Any]] = {
    "integers": (pd.Series([1002, 7, 9]), pa.int64()),
    "small integers": (pd.Series([1002, 7, 9], dtype="int16"), pa.int16()),
    "unsigned ones": (pd.Series([1002, 2**64 - 1, 9], dtype="uint64"), pa.uint64()),
    "integers and nulls": (pd.Series([1002, None, -3], dtype="Int64"), pa.int64()),
    "categories": (pd.Series(pd.Categorical([7, 7, 0])), pa.int64()),
    "text": (pd.Series(["1002", "7", "9"]), pa.string()),
    "other spellings": (pd.Series(["07", " 7", "7.0", "-0", "+7", "7e0", "", "٧", "0x7"]), None),
    "more than any table holds": (pd.Series(["9" * 19, "9" * 40, str(2**32 + 7)]), None),
    "integers as large": (pd.Series([2**40 + 7, 2**33, 7]), pa.int64()),
    "both, and larger ones": (pd.Series([7, "7", None, 2**70, np.int32(0)], dtype=object), None),
}


@pytest.mark.parametrize("given", GIVEN)
@pytest.mark.parametrize("how", HELD)
def test_a_text_key_is_joined_by_plain_digits(store: Any, how: str, given: str) -> None:
    keys, kind = GIVEN[given]
    frame = pd.DataFrame({"driver_id": keys, "event_timestamp": NOON})
    rows = store.get_historical_features(frame, [f"of_{how}:count"]).to_arrow()
    named = [None if pd.isna(key) else str(key) for key in keys]
    assert rows["count"].to_pylist() == [DIGITS.get(name) for name in named]
    assert rows.schema.field("driver_id").type == (kind or pa.string())
    assert [None if k is None else str(k) for k in rows["driver_id"].to_pylist()] == named


@pytest.mark.parametrize("how", HELD)
def test_it_is_hashed_as_the_text_of_its_digits(store: Any, how: str) -> None:
    from feature_access.training.training_set import build_training_set

    right = [hmac.digest(KEY, name.encode(), "sha256").hex() for name in ("1002", "7", "9")]
    built = []
    for given in ("integers", "small integers", "text"):
        keys = GIVEN[given][0]
        frame = pd.DataFrame({"driver_id": keys, "event_timestamp": NOON})
        built.append(build_training_set(store, f"s_{how}", frame, KEY).rows)
        assert built[-1]["driver_id"].to_pylist() == right
        assert built[-1]["count"].to_pylist() == [20, 70, None]
    assert built[0] == built[1] == built[2]


@pytest.mark.parametrize("key", [True, np.True_, 7.0, Decimal(7), np.float32(7), b"7"])
def test_no_other_number_is_a_text(store: Any, key: Any) -> None:
    from feature_access.entities.value import UnusableKeysError

    frame = pd.DataFrame({"driver_id": pd.Series([key]), "event_timestamp": NOON})
    with pytest.raises(UnusableKeysError, match="driver_id is declared String, and row 1: holds a"):
        store.get_historical_features(frame, ["of_whole:count"])


def held_as(place: Place, ids: pa.Array, kind: Any, **types: str) -> Any:
    """A store whose view `v` is over a table that holds these keys; the first counts 0."""
    from feast import Entity, FeatureView, Field, ValueType
    from feast.types import Int64

    place.write(
        "held", pa.table({"id": ids, "at": [NOON] * len(ids), "n": range(len(ids))}), **types
    )
    driver = Entity(name="driver", join_keys=["id"], value_type=ValueType[str(kind).upper()])
    fields = [Field(name="id", dtype=kind), Field(name="n", dtype=Int64)]
    source = place.source("held", timestamp_field="at")
    view = FeatureView(name="v", entities=[driver], ttl=0 * HOUR, schema=fields, source=source)
    return opened(place, [driver, view])


def answered(store: Any, keys: Any) -> list[Any]:
    frame = pd.DataFrame({"id": keys, "event_timestamp": NOON})
    rows = store.get_historical_features(frame, ["v:n"]).to_arrow()
    assert rows["id"].to_pylist() == list(keys)
    return rows["n"].to_pylist()


NUMBERS = {
    "small": (pa.int16(), None),
    "middling": (pa.int32(), None),
    "large": (pa.int64(), None),
    "float": (pa.float32(), None),
    "double": (pa.float64(), None),
    "decimal": (pa.decimal128(7, 2), "numeric(7, 2)"),
    "a dictionary": (pa.dictionary(pa.int8(), pa.int64()), "bigint"),
}


@pytest.mark.parametrize("held", NUMBERS)
def test_a_number_names_nobody_whom_the_column_cannot_hold(place: Place, held: str) -> None:
    from feast.types import Int64

    kind, in_postgres = NUMBERS[held]
    ids = pa.array([0, 7, -3]).cast(kind.value_type if held == "a dictionary" else pa.int64())
    if pa.types.is_decimal(kind):
        ids = pa.array([Decimal(0), Decimal(7), Decimal(-3)], kind)
    ids = ids.dictionary_encode() if held == "a dictionary" else ids.cast(kind)
    store = held_as(place, ids, Int64, **({"id": in_postgres} if in_postgres else {}))
    assert answered(store, [7, -3, 0, 8]) == [1, 2, 0, None]
    large = [7, 2**16 + 7, 2**32 + 7, -(2**40), 100_000]
    if held in ("float", "double"):
        assert answered(store, [7, 2**16 + 7]) == [1, None]
    else:
        assert answered(store, large) == [1, None, None, None, None]


@pytest.mark.parametrize(("kind", "beyond"), [(pa.float32(), 2**24), (pa.float64(), 2**53)])
def test_a_column_that_cannot_tell_two_keys_is_refused(
    place: Place, kind: Any, beyond: int
) -> None:
    from feast.types import Int64

    store = held_as(place, pa.array([beyond, 7]).cast(kind), Int64)
    assert answered(store, [7, beyond - 1]) == [1, None]
    for key in (beyond, beyond + 1):
        with pytest.raises(ValueError, match=r"id cannot be compared .* row 2: names") as refused:
            answered(store, [7, key])
        assert str(key) not in str(refused.value)


UNCOMPARABLE = {
    "Int64": [pa.array([True, False]), pa.array([NOON.date()] * 2), pa.array(["7", "07"])],
    "String": [pa.array([True]), pa.array([7.0]), pa.array([NOON.date()])],
}


@pytest.mark.parametrize("declared", UNCOMPARABLE)
def test_a_column_of_no_such_key_is_refused(place: Place, declared: str) -> None:
    import feast.types

    for ids in UNCOMPARABLE[declared]:
        store = held_as(place, ids, getattr(feast.types, declared))
        for keys in ([1], [7, 2]):
            with pytest.raises(
                ValueError, match=f"id cannot be compared .*it is declared {declared}"
            ):
                answered(store, keys)


@pytest.mark.parametrize("kind", ["large_string", "categories", "varchar(2)", "uuid"])
def test_a_text_is_one_spelling_however_it_is_held(place: Place, kind: str) -> None:
    from uuid import UUID

    from feast.types import String

    if (place.engine == "postgresql") != (kind in ("varchar(2)", "uuid")):
        pytest.skip("another engine's kind")
    names = [str(UUID(int=1)), str(UUID(int=2**90))] if kind == "uuid" else ["a", "B"]
    ids = pa.array(names)
    ids = ids.dictionary_encode() if kind == "categories" else ids
    ids = ids.cast(pa.large_string()) if kind == "large_string" else ids
    in_postgres = {"id": kind} if place.engine == "postgresql" else {}
    store = held_as(place, ids, String, **in_postgres)
    others = [name.swapcase() for name in names if name.swapcase() != name]
    others += ["abc", f"{{{names[0]}}}", names[0].replace("-", "") + " ", ""]
    assert answered(store, [*names, *others]) == [0, 1, *[None] * len(others)]


@pytest.mark.parametrize("how", HELD)
def test_it_is_looked_up_online_by_digits_too(made: Made, how: str) -> None:
    from offline_places import Files

    from feature_access.entities.value import UnusableKeysError

    store = made.store()
    each = declared(Files(made.folder), how)
    store.apply(each)
    store.materialize(NOON - HOUR, NOON)
    for keys, right in (
        ([7, "7", 1002, "-3", 9], [70, 70, 20, 30, None]),
        (["07", " 7", 2**70], [None, None, None]),
    ):
        for request in ([{"driver_id": key} for key in keys], {"driver_id": keys}):
            answer = store.get_online_features([f"of_{how}:count"], request).to_dict()
            assert answer["count"] == right
        reader = store._get_provider().online_store.reader(
            store.config, store.get_feature_view(f"of_{how}"), ["count"]
        )
        assert [row.values[0] for row in reader.read([{"driver_id": k} for k in keys])] == right
    for key in (7.0, True, Decimal(7)):
        with pytest.raises(UnusableKeysError):
            store.get_online_features([f"of_{how}:count"], [{"driver_id": key}])


@pytest.mark.parametrize("newest", [True, False])
def test_rows_without_a_key_are_nobodys_when_they_are_pulled_too(
    place: Place, newest: bool
) -> None:
    from feast.types import Int64

    store = held_as(place, pa.array([None, 7, None, -3], pa.int64()), Int64)
    assert answered(store, [7, -3]) == [1, 3]
    offline, view = store._get_provider().offline_store, store.get_feature_view("v")
    bounds = {"start_date": NOON, "end_date": NOON, "created_timestamp_column": None}
    pull = (
        offline.pull_latest_from_table_or_query if newest else offline.pull_all_from_table_or_query
    )
    pulled = pull(
        config=store.config,
        data_source=view.batch_source,
        join_key_columns=["id"],
        feature_name_columns=["n"],
        timestamp_field="at",
        **bounds,
    ).to_arrow()
    assert sorted(zip(pulled["id"].to_pylist(), pulled["n"].to_pylist(), strict=True)) == [
        (-3, 3),
        (7, 1),
    ]
    store.materialize(NOON - HOUR, NOON)
    assert store.get_online_features(["v:n"], {"id": [7, -3]}).to_dict()["n"] == [1, 3]
