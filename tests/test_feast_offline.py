"""Whatever plain Feast may ask an offline store: ours answers as Feast's own of the same engine.

Differences are few and named here: a declared default stands where Feast's has nothing, rows keep
the caller's order, and integers stay integers beside a missing value. Everything else fails.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from offline_places import Place, opened

pytest_plugins = ["offline_places"]

NOON = datetime(2024, 3, 9, 12, tzinfo=UTC)
HOUR, MICROSECOND = timedelta(hours=1), timedelta(microseconds=1)
UTC_TIMES = pa.timestamp("us", "UTC")
DEFAULT = -1
"""Of the one feature that declares one, `defaulted:count`."""

PLAIN_TYPES = {
    "small": (pa.int32(), [None, 1, -2, 0]),
    "count": (pa.int64(), [2**53 + 1, None, 3, 4]),
    "ratio": (pa.float64(), [0.5, None, -0.0, 1e300]),
    "single": (pa.float32(), [0.5, 0.25, None, 3.0]),
    "note": (pa.string(), ["", None, 'a,"b\n', "ünal"]),
    "seen": (pa.bool_(), [True, False, None, True]),
    "until": (UTC_TIMES, [NOON, None, NOON + MICROSECOND, NOON - 400 * HOUR]),
}
RICH_TYPES = {
    "raw": (pa.binary(), [b"", None, b"\x00\xff\\x", b'"']),
    "counts": (pa.list_(pa.int64()), [[1, 2], [], None, [3]]),
    "ratios": (pa.list_(pa.float64()), [[0.5], [], None, [1e300, -1.0]]),
    "notes": (pa.list_(pa.string()), [["", 'a,"b'], [], None, ["{}", "ü", "NULL"]]),
    "truths": (pa.list_(pa.bool_()), [[True, False], [], None, [True]]),
}


def stamped(columns: Mapping[str, tuple[pa.DataType, list[Any]]], **keys: pa.Array) -> pa.Table:
    """Four rows of two customers: two an hour apart, one a microsecond after noon, one at noon."""
    stamps = pa.array([NOON - HOUR, NOON, NOON + MICROSECOND, NOON], UTC_TIMES)
    values = {name: pa.array(values, kind) for name, (kind, values) in columns.items()}
    return pa.table({**keys, "at": stamps, **values})


CUSTOMERS = pa.array([1, 1, 2, 3], pa.int64())
NAMES = pa.array(["a", "a", "b", ""], pa.string())


def corrected() -> pa.Table:
    """Corrections: of customer 1 an older row created later, of 2 one never said when."""
    rows = [
        (1, NOON - HOUR, NOON - HOUR, 10),
        (1, NOON, NOON + HOUR, 11),
        (1, NOON, NOON + 2 * HOUR, 12),
        (1, NOON, NOON, 13),
        (1, NOON - HOUR, NOON + 5 * HOUR, 14),
        (2, NOON, NOON + 9 * HOUR, 20),
        (2, NOON - 2 * HOUR, NOON - HOUR, 21),
        (3, NOON, NOON, None),
        (3, NOON, NOON - HOUR, 30),
    ]
    ids, stamps, created, values = zip(*rows, strict=True)
    return pa.table(
        {
            "id": pa.array(ids, pa.int64()),
            "at": pa.array(stamps, UTC_TIMES),
            "made": pa.array(created, UTC_TIMES),
            "count": pa.array(values, pa.int64()),
        }
    )


def declared(place: Place) -> list[Any]:
    """Feature views over every kind of table; both stores are asked about the same ones."""
    from feast import Entity, FeatureView, Field, ValueType
    from feast.types import (
        Array,
        Bool,
        Bytes,
        Float32,
        Float64,
        Int32,
        Int64,
        String,
        UnixTimestamp,
    )

    kinds = {
        "small": Int32,
        "count": Int64,
        "ratio": Float64,
        "single": Float32,
        "note": String,
        "seen": Bool,
        "until": UnixTimestamp,
        "raw": Bytes,
        "counts": Array(Int64),
        "ratios": Array(Float64),
        "notes": Array(String),
        "truths": Array(Bool),
    }
    customer = Entity(name="customer", join_keys=["id"], value_type=ValueType.INT64)
    shop = Entity(name="shop", join_keys=["name"], value_type=ValueType.STRING)

    place.write("plain", stamped(PLAIN_TYPES, id=CUSTOMERS))
    place.write("rich", stamped(RICH_TYPES, id=CUSTOMERS))
    place.write("pairs", stamped(PLAIN_TYPES, id=CUSTOMERS, name=NAMES))
    place.write("everyone", stamped(PLAIN_TYPES).slice(0, 3))
    place.write("corrected", corrected())
    renamed = {"id": "key", "at": "when", "made": "written", "count": "n"}
    place.write("renamed", corrected().rename_columns(list(renamed.values())))

    def view(
        name: str, table: str, entities: list[Any], features: Any, ttl: Any = 0 * HOUR, **how: Any
    ) -> Any:
        tags = {"default": str(DEFAULT)} if name == "defaulted" else {}
        schema = [Field(name=f, dtype=kinds[f], tags=tags) for f in features]
        source = place.source(table, **{"timestamp_field": "at"} | how)
        return FeatureView(name=name, entities=entities, ttl=ttl, schema=schema, source=source)

    back = {column: name for name, column in renamed.items()}
    mapped = {"timestamp_field": "at", "created_timestamp_column": "made", "field_mapping": back}
    some = {"timestamp_field": "when", "field_mapping": {"key": "id", "n": "count"}}
    some["created_timestamp_column"] = "written"
    made = {"created_timestamp_column": "made"}
    return [
        customer,
        shop,
        view("plain", "plain", [customer], PLAIN_TYPES),
        view("short", "plain", [customer], PLAIN_TYPES, HOUR),
        view("defaulted", "plain", [customer], ["count"], HOUR),
        view("rich", "rich", [customer], RICH_TYPES),
        view("pairs", "pairs", [customer, shop], PLAIN_TYPES),
        view("everyone", "everyone", [], PLAIN_TYPES),
        view("everyone_of_late", "everyone", [], PLAIN_TYPES, HOUR),
        view("corrected", "corrected", [customer], ["count"], **made),
        view("corrected_of_late", "corrected", [customer], ["count"], HOUR, **made),
        view("renamed", "renamed", [customer], ["count"], **mapped),
        view("renamed_but_time", "renamed", [customer], ["count"], **some),
    ]


class Stores(NamedTuple):
    ours: Any
    stock: Any
    engine: str


@pytest.fixture(scope="module")
def stores(place: Place) -> Stores:
    return Stores(
        opened(place, declared(place)), opened(place, declared(place), ours=False), place.engine
    )


def frame(**columns: Any) -> pd.DataFrame:
    """Known and unknown customers before, at and after every stamp, some of them twice."""
    moments = [
        NOON + hours * HOUR + more * MICROSECOND
        for hours in (-2, -1, 0, 1, 2, 6, 12)
        for more in (-1, 0, 1)
    ]
    rows = [
        (who, name, at) for at in moments for who, name in [(1, "a"), (2, "b"), (3, ""), (9, "a")]
    ]
    rows = [*rows, *rows[:5]]
    np.random.default_rng(7).shuffle(rows)
    ids, names, times = zip(*rows, strict=True)
    entities = pd.DataFrame({"id": [int(i) for i in ids], "name": names, "event_timestamp": times})
    entities["event_timestamp"] = pd.to_datetime(entities["event_timestamp"], utc=True)
    return entities.assign(row=range(len(entities)), **columns)


def all_of(view: str, features: Any) -> list[str]:
    return [f"{view}:{feature}" for feature in features]


def plainly(value: Any) -> Any:
    """The value in plain Python: whatever an engine calls a missing one is None."""
    if isinstance(value, np.ndarray | list):
        return [plainly(one) for one in value]
    if value is None or value is pd.NaT or (isinstance(value, float) and np.isnan(value)):
        return None
    if isinstance(value, datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=UTC)
        return aware.astimezone(UTC)
    return value.item() if isinstance(value, np.generic) else value


def answer(store: Any, entities: pd.DataFrame, features: Any, **how: Any) -> dict[str, list[Any]]:
    """Every column by name, by the caller's number of the row."""
    got = store.get_historical_features(entities.copy(), features, **how).to_arrow()
    got = got.take(pa.compute.sort_indices(got["row"]))
    return {name: [plainly(v) for v in got[name].to_pylist()] for name in sorted(got.column_names)}


def with_defaults(columns: dict[str, list[Any]], *defaulted: str) -> dict[str, list[Any]]:
    return {
        name: [DEFAULT if v is None else v for v in values] if name in defaulted else values
        for name, values in columns.items()
    }


def differences(ours: dict[str, list[Any]], right: dict[str, list[Any]]) -> list[Any]:
    """Column, row, our value and the right one."""
    assert sorted(ours) == sorted(right)
    pairs = {name: zip(ours[name], right[name], strict=True) for name in right}
    return [
        (name, row, got, value)
        for name in pairs
        for row, (got, value) in enumerate(pairs[name])
        if got != value
    ]


REQUESTS: dict[str, Callable[[], tuple[Any, ...]]] = {
    "every plain type": lambda: (all_of("plain", PLAIN_TYPES),),
    "every richer type": lambda: (all_of("rich", RICH_TYPES),),
    "a ttl": lambda: (all_of("short", PLAIN_TYPES),),
    "two keys": lambda: (all_of("pairs", PLAIN_TYPES),),
    "no key": lambda: (all_of("everyone", PLAIN_TYPES),),
    "no key, a ttl": lambda: (all_of("everyone_of_late", PLAIN_TYPES),),
    "corrections": lambda: (["corrected:count"],),
    "corrections and a ttl": lambda: (["corrected_of_late:count"],),
    "corrections known by then": lambda: (
        ["corrected:count"],
        {"filter_by_created_timestamp": True},
    ),
    "corrections known by then, and a ttl": lambda: (
        ["corrected_of_late:count"],
        {"filter_by_created_timestamp": True},
    ),
    "known by then, of a table that does not say": lambda: (
        ["plain:note", "corrected:count"],
        {"filter_by_created_timestamp": True},
    ),
    "renamed columns": lambda: (["renamed:count"],),
    "renamed key and feature": lambda: (["renamed_but_time:count"],),
    "views of every kind at once": lambda: (
        ["plain:note", "corrected:count", "everyone:ratio", "pairs:small", "short:seen"],
    ),
    "the full names of several": lambda: (
        ["plain:count", "corrected:count", "everyone:count", "defaulted:count"],
        {"full_feature_names": True},
    ),
    "a default beside corrections": lambda: (["defaulted:count", "plain:note", "corrected:count"],),
}


@pytest.mark.parametrize("request_of", REQUESTS)
def test_ours_answers_as_feasts_own(stores: Stores, request_of: str) -> None:
    features, *how = REQUESTS[request_of]()
    how = how[0] if how else {}
    if len({f for f in features if f.endswith(":count")}) > 1:
        how = {"full_feature_names": True} | how
    entities = frame()
    ours = answer(stores.ours, entities, features, **how)
    stock = answer(stores.stock, entities, features, **how)
    assert differences(ours, with_defaults(stock, "defaulted__count")) == []
    kept = stores.ours.get_historical_features(entities, features, **how).to_arrow()
    assert kept["row"].to_pylist() == list(range(len(entities)))
