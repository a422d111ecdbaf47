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
MIDNIGHT = datetime(2024, 3, 9, tzinfo=UTC)
DAY, HOUR, MICROSECOND = timedelta(days=1), timedelta(hours=1), timedelta(microseconds=1)
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
    from feast import Entity, FeatureService, FeatureView, Field, RequestSource, ValueType
    from feast.on_demand_feature_view import on_demand_feature_view
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
    plain = view("plain", "plain", [customer], PLAIN_TYPES)
    pairs = view("pairs", "pairs", [customer, shop], PLAIN_TYPES)
    last = view("corrected", "corrected", [customer], ["count"], **made)
    numbered = RequestSource(name="numbered", schema=[Field(name="row", dtype=Int64)])

    @on_demand_feature_view(
        sources=[plain[["ratio"]], numbered],
        schema=[Field(name="twice", dtype=Float64), Field(name="numbered", dtype=Float64)],
    )
    def doubled(inputs):
        return pd.DataFrame(
            {"twice": inputs["ratio"] * 2, "numbered": inputs["ratio"] + inputs["row"]}
        )

    def elsewhere(view: Any, name: str, key: str) -> Any:
        return view.with_name(name).with_join_key_map({"id": key})

    return [
        customer,
        shop,
        plain,
        doubled,
        FeatureService(name="some", features=[plain[["note", "seen"]], last]),
        FeatureService(
            name="two_places",
            features=[
                elsewhere(plain, "home", "home_id"),
                elsewhere(plain, "work", "work_id"),
                elsewhere(last, "corrected_at_work", "work_id"),
            ],
        ),
        FeatureService(name="renamed_key", features=[elsewhere(pairs, "moved", "home_id")]),
        view("short", "plain", [customer], PLAIN_TYPES, HOUR),
        view("defaulted", "plain", [customer], ["count"], HOUR),
        view("rich", "rich", [customer], RICH_TYPES),
        pairs,
        view("everyone", "everyone", [], PLAIN_TYPES),
        view("everyone_of_late", "everyone", [], PLAIN_TYPES, HOUR),
        last,
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
        opened(place, declared(place), provider="feature_access.provider.HeartbeatProvider"),
        opened(place, declared(place), ours=False),
        place.engine,
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
    entities = entities.assign(home_id=entities["id"], work_id=entities["id"] % 3 + 1)
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
    if isinstance(features, str):
        features = store.get_feature_service(features)
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
    "an on-demand view alone": lambda: (["doubled:twice"],),
    "an on-demand view beside others": lambda: (
        ["plain:note", "doubled:numbered", "corrected:count"],
        {"full_feature_names": True},
    ),
    "a service of some features": lambda: ("some",),
    "a view under two names and keys": lambda: ("two_places", {"full_feature_names": True}),
    "a default beside corrections": lambda: (["defaulted:count", "plain:note", "corrected:count"],),
}


@pytest.mark.parametrize("request_of", REQUESTS)
def test_ours_answers_as_feasts_own(stores: Stores, request_of: str) -> None:
    features, *how = REQUESTS[request_of]()
    how = how[0] if how else {}
    if len({f for f in features if str(f).endswith(":count")}) > 1:
        how = {"full_feature_names": True} | how
    entities = frame()
    ours = answer(stores.ours, entities, features, **how)
    stock = answer(stores.stock, entities, features, **how)
    assert differences(ours, with_defaults(stock, "defaulted__count")) == []


def test_order_types_and_defaults_are_kept_whatever_else_is_asked(stores: Stores) -> None:
    entities = pd.DataFrame({"id": [999_999_999, 2, 1], "event_timestamp": NOON + MICROSECOND})
    features = ["defaulted:count", "corrected:count"]
    kept = stores.ours.get_historical_features(entities, features, full_feature_names=True)
    rows = kept.to_arrow()
    assert rows["id"].to_pylist() == [999_999_999, 2, 1]
    assert rows["defaulted__count"].to_pylist() == [DEFAULT, 3, DEFAULT]
    assert rows["corrected__count"].to_pylist() == [None, 20, 12]
    assert rows.schema.field("defaulted__count").type == pa.int64()
    assert kept.to_df()["defaulted__count"].dtype == "int64"
    assert kept.matched == {"defaulted": 2, "corrected": 2}


UNLIKE = {
    "no time": ({"at": "elsewhere"}, "the table of odd has no column at, it has id, elsewhere"),
    "no key": ({"id": "who"}, "the table of odd has no column id, it has who"),
    "no feature": ({"count": "n"}, "the table of odd has no column count, it has id, at"),
    "no creation": ({"made": "on"}, "the table of odd has no column made, it has id, at"),
    "a time of numbers": ({"at": "count", "count": "at"}, "column at of the table of odd holds no"),
    "a creation of numbers": (
        {"made": "count", "count": "made"},
        "column made of the table of odd",
    ),
}


@pytest.mark.parametrize("what", UNLIKE)
def test_a_table_unlike_its_declaration_is_refused_in_the_same_words(
    place: Place, what: str
) -> None:
    renamed, words = UNLIKE[what]
    name = f"unlike_{list(UNLIKE).index(what)}"
    place.write(name, corrected())
    store = opened(place, over(place, name, created_timestamp_column="made"))
    place.write(
        name, corrected().rename_columns([renamed.get(c, c) for c in corrected().column_names])
    )
    with pytest.raises(ValueError, match=words):
        store.get_historical_features(frame(), ["odd:count"]).to_arrow()


def over(place: Place, table: str, **how: Any) -> list[Any]:
    """The view `odd` of a customer's count, over a table."""
    from feast import Entity, FeatureView, Field, ValueType
    from feast.types import Int64

    customer = Entity(name="customer", join_keys=["id"], value_type=ValueType.INT64)
    fields = [Field(name="id", dtype=Int64), Field(name="count", dtype=Int64)]
    source = place.source(table, timestamp_field="at", **how)
    return [
        customer,
        FeatureView(name="odd", entities=[customer], ttl=0 * HOUR, schema=fields, source=source),
    ]


def test_a_row_of_no_known_creation_gives_way_and_was_created_by_no_time(place: Place) -> None:
    rows = [
        (1, NOON, None, 10),
        (1, NOON, NOON, 11),
        (2, NOON - HOUR, NOON, 20),
        (2, NOON, None, 21),
    ]
    ids, stamps, created, values = zip(*rows, strict=True)
    times = {"at": pa.array(stamps, UTC_TIMES), "made": pa.array(created, UTC_TIMES)}
    place.write("unsaid", pa.table({"id": pa.array(ids), **times, "count": pa.array(values)}))
    store = opened(place, over(place, "unsaid", created_timestamp_column="made"))
    asked = pd.DataFrame({"id": [2, 1, 3], "event_timestamp": NOON})
    for by_then, right in ((False, [21, 11, None]), (True, [20, 11, None])):
        job = store.get_historical_features(
            asked, ["odd:count"], filter_by_created_timestamp=by_then
        )
        assert job.to_arrow()["count"].to_pylist() == right
        nobody = store.get_historical_features(
            asked[:0], ["odd:count"], filter_by_created_timestamp=by_then
        )
        assert nobody.to_arrow()["count"].to_pylist() == []


def test_one_of_two_keys_may_be_renamed(stores: Stores) -> None:
    """Feast's DuckDB store forgets the other one."""
    entities, service = frame(), stores.ours.get_feature_service("renamed_key")
    renamed = stores.ours.get_historical_features(
        entities.drop(columns="id"), service, full_feature_names=True
    ).to_arrow()
    plain = answer(stores.stock, entities, all_of("pairs", PLAIN_TYPES))
    for feature in PLAIN_TYPES:
        values = [plainly(v) for v in renamed[f"moved__{feature}"].to_pylist()]
        assert values == plain[feature]


TIMES: dict[str, Callable[[pd.Series], Any]] = {
    "naive": lambda times: times.dt.tz_localize(None),
    "in New York": lambda times: times.dt.tz_convert("America/New_York"),
    "in nanoseconds": lambda times: times.astype("datetime64[ns, UTC]"),
    "in microseconds, naive": lambda times: times.dt.tz_localize(None).astype("datetime64[us]"),
    "as text": lambda times: times.map(lambda at: at.isoformat(timespec="microseconds")),
    "as objects": lambda times: pd.Series(list(times.dt.to_pydatetime()), dtype=object),
    "in Arrow": lambda times: times.astype("timestamp[us, tz=UTC][pyarrow]"),
}


@pytest.mark.parametrize("times", TIMES)
def test_an_instant_is_one_in_whatever_form_the_frame_has_it(stores: Stores, times: str) -> None:
    entities, features = frame(), ["plain:note", "corrected_of_late:count", "everyone:ratio"]
    other = entities.assign(event_timestamp=TIMES[times](entities["event_timestamp"]))
    odd = other.set_index(pd.Index(["x"] * len(other), name="id"))
    right = answer(stores.stock, entities, features)
    assert differences(answer(stores.ours, odd, features), right) == []


def test_a_time_of_another_name_is_the_only_one(stores: Stores) -> None:
    entities = frame().rename(columns={"event_timestamp": "asked_at"})
    ours = answer(stores.ours, entities, ["plain:note", "corrected:count"])
    assert ours == answer(stores.stock, entities, ["plain:note", "corrected:count"])


REFUSED: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "SQL text": (
        "must be a DataFrame",
        lambda store: store.get_historical_features("SELECT 1", ["plain:note"]),
    ),
    "a period": (
        "a period names no entities: give an entity frame",
        lambda store: store.get_historical_features(
            features=["plain:note"], start_date=NOON, end_date=NOON
        ),
    ),
    "an unknown feature": (
        "Feature nonsense not found",
        lambda store: store.get_historical_features(frame(), ["plain:nonsense"]),
    ),
    "two columns of one name": (
        "each have a feature ratio: ask with full_feature_names=True",
        lambda store: store.get_historical_features(frame(), ["short:ratio", "doubled:twice"]),
    ),
    "its SQL": (
        "no one SQL text",
        lambda store: store.get_historical_features(frame(), ["plain:note"]).to_sql(),
    ),
    "an export": (
        "nothing is exported",
        lambda store: store.get_historical_features(frame(), ["plain:note"]).to_remote_storage(),
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_not_answered_is_refused_in_the_same_words(stores: Stores, what: str) -> None:
    words, ask = REFUSED[what]
    with pytest.raises((ValueError, KeyError, NotImplementedError), match=words):
        ask(stores.ours)


def test_rows_written_through_feast_are_refused_by_a_warehouse(
    stores: Stores, place: Place
) -> None:
    if place.engine != "postgresql":
        pytest.skip("Feast's own store of this engine writes them")
    rows, view = pa.table({"customer_id": [1]}), stores.ours.get_feature_view("plain")
    write = stores.ours._provider.offline_write_batch
    with pytest.raises(NotImplementedError, match="writes no rows of plain to a PostgreSQL ware"):
        write(stores.ours.config, view, rows, None)


ODD_COLUMNS: dict[str, list[Any]] = {
    "objects": [object(), {1}],
    "text and numbers": ["7007007", 1],
    "numbers and text": [1, "7007007"],
    "more than 64 bits": [2**70, 1],
    "lists of several types": [[1], ["7007007"]],
    "half a pair": ["\ud800", "a"],
}


@pytest.mark.parametrize("what", ODD_COLUMNS)
def test_a_column_that_no_table_holds_is_named_and_not_quoted(stores: Stores, what: str) -> None:
    entities = frame()[:2].assign(fine=[1, 2], odd=pd.Series(ODD_COLUMNS[what], dtype=object))
    with pytest.raises(ValueError, match=r"^column odd of the entity frame holds") as refused:
        stores.ours.get_historical_features(entities, ["plain:note"])
    assert "7007007" not in str(refused.value)


# Saved datasets.

SAVED = ["defaulted:count", "plain:note", "plain:until", "plain:seen", "doubled:twice"]


def as_rows(table: Any, columns: list[str]) -> list[str]:
    return sorted(str([plainly(v) for v in row]) for row in table[columns].to_numpy().tolist())


@pytest.mark.parametrize("full", [False, True])
def test_a_saved_dataset_is_the_read_it_was_made_of(
    stores: Stores, place: Place, full: bool
) -> None:
    from feast.errors import SavedDatasetLocationAlreadyExists

    entities, storage, name = frame(), place.storage(f"kept_{full}".lower()), f"kept-{full}"
    job = stores.ours.get_historical_features(entities, SAVED, full_feature_names=full)
    made = stores.ours.create_saved_dataset(job, name, storage)
    read = job.to_df()
    assert read["defaulted__count" if full else "count"].isin([DEFAULT, 1, 3, 4, 2**53 + 1]).all()
    for dataset in (made, stores.ours.get_saved_dataset(name)):
        again = dataset.to_df()
        columns = sorted(again.columns)
        wanted = [f.replace(":", "__") if full else f.split(":")[1] for f in SAVED]
        assert {"id", "event_timestamp", *wanted} <= set(columns) <= set(read.columns)
        assert as_rows(again, columns) == as_rows(read, columns)

    fewer = stores.ours.get_historical_features(entities[:3], SAVED, full_feature_names=full)
    with pytest.raises(SavedDatasetLocationAlreadyExists):
        stores.ours.create_saved_dataset(fewer, name, storage)
    assert len(stores.ours.get_saved_dataset(name).to_df()) == len(entities)
    stores.ours.create_saved_dataset(fewer, name, storage, allow_overwrite=True)
    assert len(stores.ours.get_saved_dataset(name).to_df()) == 3


def test_lists_and_bytes_are_saved(stores: Stores, place: Place) -> None:
    job = stores.ours.get_historical_features(frame(), all_of("rich", RICH_TYPES))
    made = stores.ours.create_saved_dataset(job, "rich", place.storage("rich"))
    columns = ["id", "event_timestamp", *RICH_TYPES]
    assert as_rows(made.to_df(), columns) == as_rows(job.to_df(), columns)


def test_a_reference_judges_what_is_read(stores: Stores, place: Place) -> None:
    from feast.dqm.errors import ValidationFailed
    from feast.dqm.profilers.profiler import Profile, Profiler, ValidationReport

    class Report(ValidationReport):
        def __init__(self, rows: int, right: int) -> None:
            self.found = rows, right

        is_success = property(lambda self: self.found[0] == self.found[1])
        errors = property(lambda self: [])

    class Rows(Profile):
        def __init__(self, rows: int) -> None:
            self.rows = rows

        def validate(self, dataset):
            return Report(len(dataset), self.rows)

        def to_proto(self): ...
        @classmethod
        def from_proto(cls, proto): ...

    class Counting(Profiler):
        def analyze_dataset(self, dataset):
            return Rows(len(dataset))

        def to_proto(self): ...
        @classmethod
        def from_proto(cls, proto): ...

    job = stores.ours.get_historical_features(frame(), ["plain:note"])
    made = stores.ours.create_saved_dataset(job, "judged", place.storage("judged"))
    reference = made.as_reference("rows", Counting())
    reference._dataset = made
    assert len(job.to_df(validation_reference=reference)) == len(frame())
    with pytest.raises(ValidationFailed):
        stores.ours.get_historical_features(frame()[:2], ["plain:note"]).to_arrow(
            validation_reference=reference
        )


UNSAVED: dict[str, tuple[str, Callable[[pd.DataFrame], pd.DataFrame]]] = {
    "no rows": ("there are no rows", lambda entities: entities[:0]),
    "another name of the time": (
        "is called asked_at: rename it",
        lambda entities: entities.rename(columns={"event_timestamp": "asked_at"}),
    ),
    "nanoseconds": (
        "round the entity frame",
        lambda entities: entities.assign(
            seen_at=pd.to_datetime(["2024-03-09T12:00:00.000000001"] * len(entities))
        ),
    ),
}


@pytest.mark.parametrize("what", UNSAVED)
def test_what_cannot_be_saved_is_refused_in_words(stores: Stores, place: Place, what: str) -> None:
    words, spoilt = UNSAVED[what]
    job = stores.ours.get_historical_features(spoilt(frame()), ["plain:note"])
    with pytest.raises(ValueError, match=words):
        stores.ours.create_saved_dataset(job, "unsaved", place.storage("unsaved"))


def test_a_dataset_is_saved_in_a_place_of_the_stores_own_kind(stores: Stores, place: Place) -> None:
    from feast.infra.offline_stores.bigquery_source import SavedDatasetBigQueryStorage

    job = stores.ours.get_historical_features(frame(), ["plain:note"])
    with pytest.raises(ValueError, match="keeps no dataset in a SavedDatasetBigQueryStorage"):
        job.persist(SavedDatasetBigQueryStorage("project.dataset.table"))


def test_a_folder_is_overwritten_only_where_it_is_a_dataset(
    stores: Stores, place: Place, tmp_path: Any
) -> None:
    from feast.infra.offline_stores.file_source import SavedDatasetFileStorage

    if place.engine != "duckdb":
        pytest.skip("one way of saving files serves both")
    job = stores.ours.get_historical_features(frame(), ["plain:note"])
    job.persist(SavedDatasetFileStorage(str(tmp_path)), allow_overwrite=True)
    job.persist(SavedDatasetFileStorage(str(tmp_path)), allow_overwrite=True)
    assert [part.name for part in tmp_path.iterdir()] == ["part-0.parquet"]
    assert pa.parquet.read_table(tmp_path).num_rows == len(frame())
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ValueError, match=r"holds thesis.txt, which is no dataset"):
        job.persist(SavedDatasetFileStorage(str(tmp_path)), allow_overwrite=True)
    assert pa.parquet.read_table(tmp_path / "part-0.parquet").num_rows == len(frame())
    with pytest.raises(ValueError, match="is not on this machine"):
        job.persist(SavedDatasetFileStorage("s3://bucket/rows.parquet"))


HOURS = range(6)
STAMPS = {
    "naive": pa.timestamp("us"),
    "in UTC": UTC_TIMES,
    "in New York": pa.timestamp("us", "America/New_York"),
    "in milliseconds": pa.timestamp("ms"),
    "in milliseconds, in UTC": pa.timestamp("ms", "UTC"),
    "in nanoseconds": pa.timestamp("ns"),
    "in nanoseconds, in UTC": pa.timestamp("ns", "UTC"),
    "in nanoseconds, in Kolkata": pa.timestamp("ns", "Asia/Kolkata"),
    "dates": pa.date32(),
}
IN_FILES_ALONE = {"in milliseconds", "in milliseconds, in UTC"} | {s for s in STAMPS if "nano" in s}


@pytest.fixture(params=STAMPS)
def hourly(request: pytest.FixtureRequest, place: Place) -> Any:
    """A store over a row an hour, or a day where stamps are dates, of a table with such times."""
    from feast import Entity, FeatureView, Field, ValueType
    from feast.types import Int64

    kind, name = STAMPS[request.param], f"hourly {list(STAMPS).index(request.param)}"
    if place.engine == "postgresql" and request.param in IN_FILES_ALONE:
        pytest.skip("PostgreSQL has microseconds alone")
    if place.engine == "spark" and "nano" in request.param:
        pytest.skip("see test_spark_refuses_nanoseconds_by_name")
    step = DAY if pa.types.is_date(kind) else HOUR
    stamps = pa.array([MIDNIGHT + n * step for n in HOURS], UTC_TIMES)
    naive = stamps.cast(pa.timestamp("us"))
    stamps = (stamps if getattr(kind, "tz", None) else naive).cast(kind)
    ids, values = pa.array([1] * len(HOURS)), pa.array(HOURS)
    name = name.replace(" ", "_")
    place.write(name, pa.table({"id": ids, "at": stamps, "made": stamps, "count": values}))
    customer = Entity(name="customer", join_keys=["id"], value_type=ValueType.INT64)
    source = place.source(name, timestamp_field="at", created_timestamp_column="made")
    field = Field(name="count", dtype=Int64)
    view = FeatureView(name="hourly", entities=[customer], ttl=step, schema=[field], source=source)
    return opened(place, [customer, view]), step


def test_a_time_means_the_same_however_it_is_stored(hourly: Any) -> None:
    store, step = hourly
    around = [MIDNIGHT + n * step + m * MICROSECOND for n in (*HOURS, 6) for m in (-1, 0, 1)]
    asked = pd.DataFrame({"id": 1, "event_timestamp": around})
    right = [
        next(
            (n for n in reversed(HOURS) if MIDNIGHT + n * step <= at <= MIDNIGHT + (n + 1) * step),
            None,
        )
        for at in around
    ]
    assert set(right) == {None, *HOURS}
    for by_then in (False, True):
        job = store.get_historical_features(
            asked, ["hourly:count"], filter_by_created_timestamp=by_then
        )
        assert job.to_arrow()["count"].to_pylist() == right


@pytest.mark.parametrize("bounds", [(2, 4), (0, 0), (-1, 9)])
def test_what_is_pulled_lies_between_its_bounds(hourly: Any, bounds: tuple[int, int]) -> None:
    store, step = hourly
    start, end = (MIDNIGHT + n * step for n in bounds)
    (view,) = store.list_feature_views()
    asked = {
        "config": store.config,
        "data_source": view.batch_source,
        "join_key_columns": ["id"],
        "feature_name_columns": ["count"],
        "timestamp_field": "at",
        "created_timestamp_column": "made",
        "start_date": start,
        "end_date": end,
    }
    offline = store._get_provider().offline_store
    right = [n for n in HOURS if bounds[0] <= n <= bounds[1]]
    everything = offline.pull_all_from_table_or_query(**asked).to_arrow()
    assert sorted(everything["count"].to_pylist()) == right
    newest = offline.pull_latest_from_table_or_query(**asked).to_arrow()
    assert newest["count"].to_pylist() == right[-1:]


def test_spark_refuses_nanoseconds_by_name(place: Place) -> None:
    from feast import Entity, FeatureView, Field, ValueType
    from feast.types import Int64

    if place.engine != "spark":
        pytest.skip("others read them")
    stamps = pa.array([NOON], pa.timestamp("ns"))
    place.write("fine", pa.table({"id": [1], "at": stamps, "count": [1]}))
    customer = Entity(name="customer", join_keys=["id"], value_type=ValueType.INT64)
    fields = [Field(name="id", dtype=Int64), Field(name="count", dtype=Int64)]
    source = place.source("fine", timestamp_field="at")
    view = FeatureView(name="v", entities=[customer], ttl=DAY, schema=fields, source=source)
    store = opened(place, [customer, view])
    with pytest.raises(ValueError, match="holds at in nanoseconds"):
        store.get_historical_features(frame(), ["v:count"]).to_arrow()
    with pytest.raises(ValueError, match="holds at in nanoseconds"):
        store.materialize(NOON - HOUR, NOON)


def test_what_pandas_writes_is_materialized(place: Place) -> None:
    """Without a zone and in nanoseconds; Spark reads none."""
    from feast import Entity, FeatureView, Field, ValueType
    from feast.types import Int64

    if place.engine != "duckdb":
        pytest.skip("pandas writes files")
    rows = pd.DataFrame({"id": 1, "at": pd.to_datetime(["2024-03-09T12:00"]), "count": 7})
    rows.astype({"at": "datetime64[ns]"}).to_parquet(place.folder / "of_pandas.parquet")
    customer = Entity(name="customer", join_keys=["id"], value_type=ValueType.INT64)
    source = place.source("of_pandas", timestamp_field="at")
    field = Field(name="count", dtype=Int64)
    view = FeatureView(name="v", entities=[customer], ttl=0 * HOUR, schema=[field], source=source)
    for ours in (True, False):
        store = opened(place, [customer, view], ours=ours)
        store.materialize(NOON - HOUR, NOON)
        assert store.get_online_features(["v:count"], [{"id": 1}]).to_dict()["count"] == [7]
