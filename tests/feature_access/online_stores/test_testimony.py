"""What a heartbeat testifies to: which fields, of which views, and the way out of what it lacks."""

import asyncio
from datetime import timedelta

import pandas as pd
import pytest
from small_stores import DAY, NOON, driver, drivers, online

pytest_plugins = ["small_stores"]

ROWS = [{"driver_id": 1, "at": NOON, "trips": 3, "tips": 4, "nick": "Ann"}]
OLD = "drivers:trips"


def fields(**changed):
    from feast.types import Int64

    return {"trips": (Int64, "0")} | changed


def store_of(made, **changed):
    store = made.store()
    store.apply([driver(), drivers(made.table(ROWS), **fields(**changed))])
    store.materialize(NOON - DAY, NOON)
    return store


ENDS = {
    "a time of pandas": pd.Timestamp(NOON),
    "one finer than a microsecond": pd.Timestamp(NOON) + pd.Timedelta(1, "ns"),
    "one of another zone": pd.Timestamp(NOON).tz_convert("America/New_York"),
    "one without a zone": pd.Timestamp(NOON).tz_localize(None),
}


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(end, id=name, marks=() if "finer" in name else pytest.mark.slow)
        for name, end in ENDS.items()
    ],
)
def test_a_view_is_materialized_up_to_a_time_of_pandas_as_up_to_a_time(made, end):
    store = made.store()
    store.apply([driver(), drivers(made.table(ROWS), **fields())])
    view = store.get_feature_view("drivers")
    store.materialize(end - DAY, end)
    assert store._provider.online_store.materialized_to(store.config, view) == NOON
    assert online(store, [OLD], 1, 2)["trips"] == [3, 0]
    store.materialize_incremental(end + DAY)
    assert store._provider.online_store.materialized_to(store.config, view) == NOON + DAY
    assert online(store, [OLD], 1, 2)["trips"] == [3, 0]


def change(made, store, **changed):
    """The view is declared otherwise, and applied."""
    path = str(made.folder / "rows.parquet")
    store.apply([drivers(path, **fields(**changed))])


def kinds():
    from feast.types import Float64, Int32, Int64, String

    return {
        "added, with a default": ({}, {"tips": (Int64, "0")}, "tips", 4),
        "added, without": ({}, {"tips": Int64}, "tips", 4),
        "of another type": ({"tips": Int64}, {"tips": Float64}, "tips", 4.0),
        "of another type, with a default": (
            {"tips": (Int64, "0")},
            {"tips": (Int32, "0")},
            "tips",
            4,
        ),
        "of another default": ({"tips": (Int64, "0")}, {"tips": (Int64, "7")}, "tips", 4),
        "that is given a default": ({"tips": Int64}, {"tips": (Int64, "0")}, "tips", 4),
        "that loses its default": ({"tips": (Int64, "0")}, {"tips": Int64}, "tips", 4),
        "of text": ({}, {"nick": (String, "none")}, "nick", "Ann"),
    }


CHANGES = [
    *("added, with a default", "added, without", "of another type"),
    *("of another type, with a default", "of another default", "that is given a default"),
    *("that loses its default", "of text"),
]


def ways(store, feature):
    """Every way of reading a feature of two drivers, of which the store knows the first."""
    view, name = store.get_feature_view("drivers"), feature.partition(":")[2]
    online_store = store._get_provider().online_store
    reader = online_store.reader(store.config, view, [name])
    keys = [{"driver_id": 1}, {"driver_id": 2}]

    def plain_async():
        return asyncio.run(store.get_online_features_async([feature], keys)).to_dict()[name]

    def values(rows):
        return [row.values[0] for row in rows]

    yield lambda: online(store, [feature], 1, 2)[name]
    yield lambda: values(reader.read(keys))
    yield lambda: values(asyncio.run(reader.read_async(keys)))
    if hasattr(online_store, "write_columns"):  # Feast's SQLite store reads in turn alone
        yield plain_async


@pytest.mark.parametrize("kind", CHANGES)
def test_a_field_that_the_heartbeat_does_not_name_is_empty_until_the_next_refresh(made, kind):
    from feature_access.defaults import default_of
    from feature_access.errors import OnlineStoreEmptyError

    before, after, name, right = kinds()[kind]
    store = store_of(made, **before)
    change(made, store, **after)
    view = store.get_feature_view("drivers")
    for read in ways(store, f"drivers:{name}"):
        with pytest.raises(OnlineStoreEmptyError, match=rf"of {name} of drivers.*feast mat"):
            read()
    for read in ways(store, OLD):  # which it names
        assert read() == [3, 0]
    with pytest.raises(OnlineStoreEmptyError, match=name):
        store._get_provider().online_store.stands_at(store.config, view)

    store.materialize_incremental(NOON + timedelta(hours=1))
    default = default_of(next(f for f in view.features if f.name == name))
    for read in ways(store, f"drivers:{name}"):
        assert read() == [right, default]
    until = store._get_provider().online_store.stands_at(store.config, view)
    assert until == NOON + timedelta(hours=1)


def test_a_refresh_at_the_same_instant_fills_it_and_one_of_the_past_does_not(made):
    from feast.types import Int64

    from feature_access.errors import OnlineStoreEmptyError

    store = store_of(made)
    change(made, store, tips=(Int64, "0"))
    store.materialize(NOON - 2 * DAY, NOON - DAY)
    with pytest.raises(OnlineStoreEmptyError, match="nothing of tips of drivers"):
        online(store, ["drivers:tips"], 1)
    store.materialize(NOON, NOON)
    assert online(store, ["drivers:tips"], 1, 2)["tips"] == [4, 0]


def test_a_field_that_is_removed_or_described_anew_changes_nothing(made):
    from feast.types import Int64

    store = store_of(made, tips=(Int64, "0"))
    change(made, store, tips=(Int64, "00"))  # the same default
    assert online(store, [OLD, "drivers:tips"], 1, 2) | {"driver_id": []} == {
        "driver_id": [],
        "trips": [3, 0],
        "tips": [4, 0],
    }
    change(made, store)
    assert online(store, [OLD], 1, 2)["trips"] == [3, 0]


def leave_an_old_heartbeat(made, store) -> None:
    """As it was left before heartbeats named fields: the defaults of all, under the view's name."""
    from feature_access.defaults import default_proto
    from feature_access.online_stores.testimony import heartbeat_key, old_heartbeat_key

    view = store.get_feature_view("drivers")
    online_store = store._get_provider().online_store
    values = {f.name: default_proto(f) for f in view.features}
    row = (old_heartbeat_key(view), values, NOON, None)
    online_store.online_write_batch(store.config, view, [row], None)
    online_store.forget(store.config, [heartbeat_key(view)])


@pytest.mark.parametrize("kind", CHANGES)
def test_an_old_heartbeat_is_read_and_knows_of_defaults_alone(made, kind):
    from feature_access.errors import OnlineStoreEmptyError

    before, after, name, right = kinds()[kind]
    store = store_of(made, **before)
    leave_an_old_heartbeat(made, store)
    for read in ways(store, OLD):
        assert read() == [3, 0]
    change(made, store, **after)
    if "default" in str(after) or isinstance(after[name], tuple):
        for read in ways(store, f"drivers:{name}"):
            with pytest.raises(OnlineStoreEmptyError, match=rf"nothing of {name} of drivers"):
                read()
    store.materialize_incremental(NOON + timedelta(hours=1))
    for read in ways(store, f"drivers:{name}"):
        assert read()[0] == right


# Views that are written without a materialization


def pushed(made, *, own=True):
    from feast import FeatureView, Field, PushSource
    from feast.types import Int64

    store = made.store(own=own)
    batch = drivers(made.table(ROWS), trips=Int64).batch_source
    view = FeatureView(
        name="drivers",
        entities=[driver()],
        ttl=30 * DAY,
        schema=[Field(name="trips", dtype=Int64)],
        source=PushSource(name="pushes", batch_source=batch),
        owner="Fleet Team",
    )
    store.apply([driver(), view])
    return store


PUSH = pd.DataFrame([{"driver_id": 1, "at": NOON, "trips": 5}])


def answered(store, *ids):
    """Values, statuses and times."""
    answer = store.get_online_features([OLD], [{"driver_id": i} for i in ids]).proto.results[1]
    values = [v.int64_val if v.WhichOneof("val") else None for v in answer.values]
    return values, list(answer.statuses), [t.seconds for t in answer.event_timestamps]


def test_a_pushed_view_reads_as_feast_reads_it(made):
    ours, feasts = pushed(made), pushed(made, own=False)
    assert answered(ours, 1, 2) == answered(feasts, 1, 2)
    for store in (ours, feasts):
        store.push("pushes", PUSH)
    assert answered(ours, 1, 2)[0] == [5, None]
    assert answered(ours, 1, 2) == answered(feasts, 1, 2)
    assert [read() for read in ways(ours, OLD)][1:3] == [[5, None]] * 2


def test_a_pushed_view_that_is_materialized_as_well_is_guarded(made):
    from feature_access.errors import OnlineStoreEmptyError

    store = pushed(made)
    store.push("pushes", PUSH)
    store.materialize(NOON - DAY, NOON)
    assert answered(store, 1, 2)[0] == [3, None]
    store.push("pushes", PUSH.assign(at=NOON + DAY))
    assert answered(store, 1, 2)[0] == [5, None]
    lose_everything(made, store)
    with pytest.raises(OnlineStoreEmptyError, match="`feast materialize`, or ask Fleet Team to"):
        answered(store, 1)
    store.push("pushes", PUSH.assign(at=NOON + DAY))  # one row is not what it held
    with pytest.raises(OnlineStoreEmptyError):
        answered(store, 1)


def lose_everything(made, store) -> None:
    if made.server:
        made.server.flush()
        return
    connection = store._get_provider().online_store._get_conn(store.config)
    with connection:
        connection.execute("DELETE FROM store_own_drivers")


def test_rows_that_are_written_directly_are_read_as_feast_reads_them(made):
    from feast.types import Int64

    stores = [made.store(own=own) for own in (True, False)]
    for store in stores:
        store.apply([driver(), drivers(made.table(ROWS), trips=Int64)])
    assert answered(stores[0], 1, 2) == answered(stores[1], 1, 2)
    for store in stores:
        store.write_to_online_store("drivers", PUSH)
    assert answered(stores[0], 1, 2) == answered(stores[1], 1, 2)
    asyncio.run(stores[0].write_to_online_store_async("drivers", PUSH.assign(driver_id=2)))
    assert answered(stores[0], 1, 2)[0] == [5, 5]


def test_a_view_with_defaults_that_holds_nothing_is_an_error_until_it_is_written(made):
    from feature_access.errors import OnlineStoreEmptyError

    store = made.store()
    store.apply([driver(), drivers(made.table(ROWS), **fields())])
    for read in ways(store, OLD):
        with pytest.raises(OnlineStoreEmptyError, match="`feast apply` and `feast materialize` be"):
            read()
    store.write_to_online_store("drivers", PUSH)
    for read in ways(store, OLD):
        assert read() == [5, None]


def test_a_first_materialization_that_is_killed_leaves_an_error(made, monkeypatch):
    from feast.types import Int64

    from feature_access.errors import OnlineStoreEmptyError
    from feature_access.online_stores.heartbeat import HeartbeatOnlineStore

    store = made.store()
    store.apply([driver(), drivers(made.table(ROWS), trips=Int64)])

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(HeartbeatOnlineStore, "beat", killed)
        with pytest.raises(KeyboardInterrupt):
            store.materialize(NOON - DAY, NOON)
    for read in ways(store, OLD):
        with pytest.raises(OnlineStoreEmptyError, match="nothing of drivers"):
            read()


def test_the_store_itself_is_read_and_written_as_feasts(made):
    from feast.protos.feast.types.EntityKey_pb2 import EntityKey
    from feast.protos.feast.types.Value_pb2 import Value

    store = made.store()
    store.apply([driver(), drivers(made.table(ROWS), **fields())])
    view, online_store = store.get_feature_view("drivers"), store._get_provider().online_store
    key = EntityKey(join_keys=["driver_id"], entity_values=[Value(int64_val=7)])
    row = (key, {"trips": Value(int64_val=8)}, NOON, NOON)
    online_store.online_write_batch(store.config, view, [row], None)
    ((at, values),) = online_store.online_read(store.config, view, [key], ["trips"])
    assert (at, values["trips"].int64_val) == (NOON, 8)


def test_whoever_asks_for_an_age_is_not_given_what_has_none(made):
    from feature_access.errors import OnlineStoreStaleError
    from feature_access.online_stores.freshness import fresh_within

    store = pushed(made)
    store.push("pushes", PUSH)
    for read in ways(store, OLD):
        with (
            fresh_within(DAY, at=NOON),
            pytest.raises(OnlineStoreStaleError, match="drivers was never materialized"),
        ):
            read()
    with fresh_within(None, at=NOON) as reading:
        assert answered(store, 1)[0] == [5]
    assert reading.age is None


def test_a_transformation_that_is_written_online_reads_as_feast_reads_it(made):
    import pandas as pd
    from feast import Field
    from feast.on_demand_feature_view import on_demand_feature_view
    from feast.types import Int64

    answers = []
    for own in (True, False):
        store = made.store(own=own)
        view = drivers(made.table(ROWS), trips=Int64)

        @on_demand_feature_view(
            entities=[driver()],
            sources=[view],
            schema=[Field(name="twice", dtype=Int64)],
            mode="pandas",
            write_to_online_store=True,
        )
        def doubled(inputs: pd.DataFrame) -> pd.DataFrame:
            return pd.DataFrame({"twice": inputs["trips"] * 2})

        store.apply([driver(), view, doubled])
        frame = PUSH.rename(columns={"at": "event_timestamp"})
        store.write_to_online_store("doubled", frame)
        answers.append(online(store, ["doubled:twice"], 1, 2))
    assert answers[0] == answers[1]
    assert answers[0]["twice"] == [10, None]


# The remedy


@pytest.mark.parametrize(
    ("name", "tags", "owner", "told"),
    [
        ("cp_v1", {"feature": "cp", "version": "v1"}, "A Team", "apply` and scripts/refresh.py b"),
        ("drivers", {"feature": "cp", "version": "v1"}, "", "and `feast materialize` before"),
        ("drivers", {}, "A Team", "and `feast materialize`, or ask A Team to, before"),
    ],
)
def test_the_remedy_is_the_views_own(name, tags, owner, told):
    from feature_access.errors import empty

    view = drivers("rows.parquet", name=name)
    view.tags, view.owner = tags, owner
    assert told in str(empty(view))


def test_a_judge_asks_the_store_itself_how_far_it_is(made):
    from contract_checks.evidence.registry import OnlineReader

    store, feasts = store_of(made), made.store(own=False)
    feasts.apply([driver(), drivers(made.table(ROWS), **fields())])
    feasts.materialize(NOON - DAY, NOON)
    assert OnlineReader(feasts, "drivers").heartbeat() is None
    assert OnlineReader(store, "drivers").heartbeat() == NOON
    store.materialize(NOON - 2 * DAY, NOON - DAY)
    assert OnlineReader(store, "drivers").heartbeat() == NOON
    lose_everything(made, store)
    assert OnlineReader(store, "drivers").heartbeat() is None
