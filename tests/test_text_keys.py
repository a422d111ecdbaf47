"""A key declared to be text, as Feast declares one that nobody did: 7 and "7" are one entity.

The table may hold it as an integer: then a text names what has those plain digits, and "07" nobody.
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
    from feature_access.training_set import build_training_set

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
    from feature_access.entity_value import UnusableKeysError

    frame = pd.DataFrame({"driver_id": pd.Series([key]), "event_timestamp": NOON})
    with pytest.raises(UnusableKeysError, match="driver_id is declared String, and row 1: holds a"):
        store.get_historical_features(frame, ["of_whole:count"])


@pytest.mark.parametrize(
    ("kind", "type_"), [(pa.float64(), "double precision"), (pa.bool_(), "boolean")]
)
def test_a_table_of_other_numbers_is_refused(place: Place, kind: Any, type_: str) -> None:
    odd = declared(place, "whole")
    times = pa.array([NOON], pa.timestamp("us", "UTC"))
    table = {"driver_id": pa.array([1]).cast(kind), "at": times, "made": times}
    place.write("of_whole", pa.table({**table, "count": [1]}))
    try:
        store = opened(place, odd)
        for key in (1, "1"):
            frame = pd.DataFrame({"driver_id": [key], "event_timestamp": NOON})
            with pytest.raises(ValueError, match="driver_id is declared as String, and the table"):
                store.get_historical_features(frame, ["of_whole:count"]).to_arrow()
    finally:
        declared(place, "whole", driver_id="id")


def test_an_integer_key_names_nobody_that_a_smaller_column_cannot_hold(place: Place) -> None:
    from feast import Entity, FeatureView, Field, ValueType
    from feast.types import Int64

    driver = Entity(name="driver", join_keys=["driver_id"], value_type=ValueType.INT64)
    declared(place, "small")
    source = place.source("of_small", timestamp_field="at")
    fields = [Field(name="driver_id", dtype=Int64), Field(name="count", dtype=Int64)]
    view = FeatureView(name="v", entities=[driver], ttl=0 * HOUR, schema=fields, source=source)
    frame = pd.DataFrame({"driver_id": [2**32 + 7, 7, -(2**40)], "event_timestamp": NOON})
    rows = opened(place, [driver, view]).get_historical_features(frame, ["v:count"]).to_arrow()
    assert rows["count"].to_pylist() == [None, 70, None]
    assert rows["driver_id"].to_pylist() == [2**32 + 7, 7, -(2**40)]


@pytest.mark.parametrize("how", HELD)
def test_it_is_looked_up_online_by_digits_too(made: Made, how: str) -> None:
    from offline_places import Files

    from feature_access.entity_value import UnusableKeysError

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
