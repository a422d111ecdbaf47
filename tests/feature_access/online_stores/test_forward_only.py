"""Which of two rows is served: the newer, of equal times the later created, whatever came first."""

import pytest
from small_stores import DAY, MICROSECOND, NOON, driver, drivers, online

pytest_plugins = ["small_stores"]


def row(value, at=NOON, made=None, driver_id=1):
    return {"driver_id": driver_id, "at": at, "made": made or at, "trips": value}


def store_of(made, rows, *, created=True, **options):
    from feast.types import Int64

    store = made.store(**options)
    store.apply([driver(), drivers(made.table(rows), created=created, trips=Int64)])
    return store


def online_and_offline(store):
    import pandas as pd

    asked = pd.DataFrame({"driver_id": [1], "event_timestamp": [NOON + DAY]})
    offline = store.get_historical_features(asked, ["drivers:trips"]).to_df()
    return online(store, ["drivers:trips"], 1)["trips"], offline["trips"].tolist()


SECOND = 1_000_000 * MICROSECOND
TIES = {
    "created a second apart": [row(1, made=NOON), row(2, made=NOON + SECOND)],
    "created a microsecond apart": [row(1, made=NOON), row(2, made=NOON + MICROSECOND)],
    "a newer row that was created earlier": [
        row(1, made=NOON + DAY),
        row(2, at=NOON + MICROSECOND, made=NOON),
    ],
    "three": [row(1, made=NOON), row(2, made=NOON + 2 * SECOND), row(3, made=NOON + SECOND)],
}


@pytest.mark.parametrize(("tie", "latest"), [*((tie, False) for tie in TIES), ("three", True)])
def test_of_equal_times_the_newest_created_is_served_as_offline(made, tie, latest):
    for rows in orders(TIES[tie]):
        store = store_of(made, rows, name=f"p{[r['trips'] for r in rows]}".translate(NO_MARKS))
        store.config.materialization_config.pull_latest_features = latest
        store.materialize(NOON - DAY, NOON + DAY)
        assert online_and_offline(store) == ([2], [2])


def orders(rows):
    """The rows forwards, backwards, and from the second."""
    return [rows, rows[::-1], *([[*rows[1:], rows[0]]] if len(rows) > 2 else [])]


NO_MARKS = str.maketrans(dict.fromkeys("[], "))


@pytest.mark.parametrize("tie", ["created a microsecond apart", "three"])
def test_the_same_holds_across_materializations_and_pushes(made, tie):
    import pandas as pd

    for rows in orders(TIES[tie]):
        name = f"a{[r['trips'] for r in rows]}".translate(NO_MARKS)
        store = store_of(made, rows[:1], name=name)
        for one in rows:  # the table holds one row at a time
            made.table([one])
            store.materialize(NOON - DAY, NOON + DAY)
        assert online(store, ["drivers:trips"], 1)["trips"] == [2]
        for one in rows:
            store.write_to_online_store("drivers", pd.DataFrame([one]))
        assert online(store, ["drivers:trips"], 1)["trips"] == [2]


def test_without_a_created_time_the_later_write_is_the_correction(made):
    store = store_of(made, [row(1)], created=False)
    for value in (1, 2, 3):
        made.table([row(value)])
        store.materialize(NOON - DAY, NOON + DAY)
        assert online_and_offline(store) == ([value], [value])


def test_a_materialization_of_the_past_changes_nothing_newer(made):
    rows = [row(1, NOON - 2 * DAY), row(2, NOON), row(7, NOON - 2 * DAY, driver_id=2)]
    store = store_of(made, rows[:2], created=False)
    store.materialize(NOON - 3 * DAY, NOON + DAY)
    made.table(rows)
    store.materialize(NOON - 3 * DAY, NOON - DAY)
    assert online(store, ["drivers:trips"], 1, 2)["trips"] == [2, 7]
    online_store = store._get_provider().online_store
    view = store.get_feature_view("drivers")
    assert online_store.materialized_to(store.config, view) == NOON + DAY


@pytest.mark.parametrize("step", [MICROSECOND, SECOND, DAY])
@pytest.mark.parametrize("at_once", [True, False])
def test_stamps_three_two_one_leave_the_third(made, step, at_once):
    import pandas as pd

    store = store_of(made, [row(0, NOON - DAY)])
    store.materialize(NOON - 2 * DAY, NOON + 4 * DAY)
    frame = pd.DataFrame([row(i, NOON + i * step) for i in (3, 2, 1)])
    for part in [frame] if at_once else [frame[i : i + 1] for i in range(3)]:
        store.write_to_online_store("drivers", part)
    answer = store.get_online_features(["drivers:trips"], [{"driver_id": 1}])
    assert answer.to_dict()["trips"] == [3]
    (stamp,) = answer.proto.results[1].event_timestamps
    assert stamp.ToDatetime(tzinfo=NOON.tzinfo) == NOON + 3 * step


def test_a_row_that_feast_itself_wrote_counts_with_its_own_time(made):
    import pyarrow as pa
    from feast import ValueType
    from feast.infra.online_stores.redis import RedisOnlineStore
    from feast.infra.online_stores.sqlite import SqliteOnlineStore
    from feast.utils import _convert_arrow_to_proto

    store = store_of(made, [row(1, NOON - DAY)])
    store.materialize(NOON - 2 * DAY, NOON)
    view = store.get_feature_view("drivers")
    feasts = {"sqlite": SqliteOnlineStore, "redis": RedisOnlineStore}[made.kind]()
    kinds = {"driver_id": ValueType.INT64}
    for value, at in ((5, NOON), (4, NOON - SECOND), (6, NOON + SECOND)):
        (one,) = _convert_arrow_to_proto(pa.Table.from_pylist([row(value, at)]), view, kinds)
        if value == 5:
            feasts.online_write_batch(store.config, view, [one], None)
        else:
            store._get_provider().online_store.online_write_batch(store.config, view, [one], None)
        assert online(store, ["drivers:trips"], 1)["trips"] == [6 if value == 6 else 5]


def test_a_removed_view_leaves_no_created_time_behind(made):
    if made.server is None:
        pytest.skip("a table of SQLite goes as a whole")
    from feast.types import Int64

    store = store_of(made, [row(1)])
    other = drivers(made.table([row(1)], "other"), name="other", trips=Int64)
    store.apply([other])
    store.materialize(NOON - DAY, NOON)
    store.apply([], objects_to_delete=[store.get_feature_view("drivers")], partial=False)
    with made.server.client() as client:
        (key,) = [key for key in client.keys() if b"driver_id" in key]  # noqa: SIM118
        assert len(client.hkeys(key)) == 2
