"""The fast way to write Redis leaves what Feast leaves, byte for byte, and never an older row."""

from datetime import UTC, datetime, timedelta
from shutil import copytree

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from feast_households import HOUR, PRESENT, TTL, VIEW
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis_server import on_redis

pytest_plugins = ["feast_repository", "feast_online"]

DAY = timedelta(days=1)
YEAR = 365 * DAY
EXPIRY = "  key_ttl_seconds: {seconds}\n"


def content(server) -> dict[bytes, dict[bytes, bytes]]:
    """Every hash but the heartbeats."""
    customers = {name for name in server.keys() if b"__heartbeat__" not in name}  # noqa: SIM118
    with server.client() as client:
        return {name: client.hgetall(name) for name in customers}


def as_plain_feast(repository):
    """A copy of a repository, with Feast's own provider and Redis store."""
    copy = copytree(repository, repository.with_name("plain"))
    settings_file = copy / "feature_store.yaml"
    text = settings_file.read_text()
    for ours, feasts in {
        "feature_access.online_stores.redis_store.DefaultingRedisOnlineStore": "redis",
        "feature_access.provider.HeartbeatProvider": "local",
    }.items():
        assert ours in text
        text = text.replace(ours, feasts)
    settings_file.write_text(text)
    return copy


@pytest.mark.parametrize("latest", ["false", "true"])
def test_a_materialization_leaves_feasts_bytes(fresh, redis_server, latest):
    from feature_access.registry import open_store

    repository = on_redis(fresh, redis_server)
    with (repository / "feature_store.yaml").open("a") as more:
        more.write(f"materialization:\n  pull_latest_features: {latest}\n")
    left = []
    for place in (repository, as_plain_feast(repository)):
        redis_server.flush()
        store = open_store(place)
        store.materialize(PRESENT - TTL, PRESENT - HOUR)
        store.materialize(PRESENT - HOUR, PRESENT)
        left.append(content(redis_server))
    assert len(left[0]) > 1_500
    assert left[0] == left[1]


MANY_KINDS = pa.table(
    {
        "shop": pa.array([1, 2, 3, 4], pa.int32()),
        "name": pa.array(["Ann", "Bob", "", "Zoë %d"], pa.string()),
        "at": pa.array([PRESENT - HOUR * i for i in range(4)], pa.timestamp("us", tz="UTC")),
        "whole": pa.array([0, -(2**63), 2**63 - 1, 7], pa.int64()),
        "small": pa.array([0, -1, 2**31 - 1, 7], pa.int32()),
        "money": pa.array([0.0, -0.0, float("nan"), None], pa.float64()),
        "rough": pa.array([0.1, None, float("inf"), -0.0], pa.float32()),
        "word": pa.array(["", None, "ß", "x" * 1_000], pa.string()),
        "truth": pa.array([True, False, True, False], pa.bool_()),
    }
)


def of_many_kinds(store, folder, table):
    """A view over a table, applied."""
    from feast import Entity, FeatureView, Field, FileSource, ValueType
    from feast.types import Bool, Float32, Float64, Int32, Int64, String

    pq.write_table(table, folder / "kinds.parquet")
    kinds = {"whole": Int64, "small": Int32, "money": Float64, "rough": Float32}
    kinds |= {"word": String, "truth": Bool}
    entities = [
        Entity(name="shop", join_keys=["shop"], value_type=ValueType.INT32),
        Entity(name="name", join_keys=["name"], value_type=ValueType.STRING),
    ]
    view = FeatureView(
        name="kinds",
        entities=entities,
        ttl=TTL,
        schema=[
            Field(name="shop", dtype=Int32),
            Field(name="name", dtype=String),
            *(Field(name=name, dtype=dtype) for name, dtype in kinds.items()),
        ],
        source=FileSource(path=str(folder / "kinds.parquet"), timestamp_field="at"),
    )
    store.apply([*entities, view])


def taken_by_columns(monkeypatch) -> list[bool]:
    from feature_access.online_stores.redis_store import DefaultingRedisOnlineStore as Store

    taken: list[bool] = []
    write = Store.write_columns
    monkeypatch.setattr(Store, "write_columns", lambda *a: (taken.append(write(*a)), taken[-1])[1])
    return taken


@pytest.mark.parametrize("declared", [True, False])
def test_every_kind_of_value_and_key_has_feasts_bytes(
    fresh, redis_server, tmp_path, monkeypatch, declared
):
    from feature_access.registry import open_store

    table = MANY_KINDS
    if not declared:  # Feast reads the fractions as whole numbers
        table = table.set_column(3, "whole", pa.array([0.0, 1.5, -2.5, 7.0]))
    repository = on_redis(fresh, redis_server)
    of_many_kinds(open_store(repository), tmp_path, table)
    taken = taken_by_columns(monkeypatch)
    left = []
    for place in (repository, as_plain_feast(repository)):
        redis_server.flush()
        open_store(place).materialize(PRESENT - DAY, PRESENT, ["kinds"])
        left.append(content(redis_server))
    assert taken == [declared]
    assert len(left[0]) == 4
    assert left[0] == left[1]


def test_a_whole_number_beside_a_null_keeps_its_last_digit(fresh, redis_server, tmp_path):
    from feature_access.registry import open_store

    table = MANY_KINDS.set_column(3, "whole", pa.array([2**53 + 1, None, 1, 2], pa.int64()))
    store = open_store(on_redis(fresh, redis_server))
    of_many_kinds(store, tmp_path, table)
    store.materialize(PRESENT - DAY, PRESENT, ["kinds"])
    asked = [{"shop": 1, "name": "Ann"}, {"shop": 2, "name": "Bob"}]
    answer = store.get_online_features(["kinds:whole"], asked).to_dict()
    assert answer["whole"] == [2**53 + 1, None]


BATCHES = st.lists(
    st.lists(st.tuples(st.integers(1, 3), st.integers(0, 3), st.integers(0, 99)), max_size=6),
    min_size=1,
    max_size=4,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(BATCHES)
def test_no_order_of_writes_lets_an_older_row_win(on_redis_alone, batches):
    """Customers, hours and values; of an equal time the later write, which Feast skips."""
    server, store, view = on_redis_alone
    from feast.infra.online_stores.redis import RedisOnlineStore

    written = [one for batch in batches for one in batch]
    strict = len({(customer, hour) for customer, hour, _ in written}) == len(written)
    left = []
    for online_store in (RedisOnlineStore(), store._get_provider().online_store):
        server.flush()
        for batch in batches:
            online_store.online_write_batch(store.config, view, [*map(row, batch)], None)
        left.append(content(server))
    newest: dict[int, tuple[int, int]] = {}
    for customer, hour, value in written:
        if customer not in newest or hour >= newest[customer][0]:
            newest[customer] = (hour, value)
    assert left[0].keys() == left[1].keys()
    assert not strict or left[0] == left[1]
    assert len(left[0]) == len(newest)
    if newest:
        reader = store._get_provider().online_store.reader(store.config, view, ["orders_30d"])
        store._get_provider().online_store.beat(store.config, view, PRESENT)
        rows = reader.read([{"customer_id": customer} for customer in newest])
        assert [r.values[0] for r in rows] == [value for _, value in newest.values()]


def row(planned):
    from feast.protos.feast.types.EntityKey_pb2 import EntityKey
    from feast.protos.feast.types.Value_pb2 import Value

    customer, hour, value = planned
    key = EntityKey(join_keys=["customer_id"], entity_values=[Value(int64_val=customer)])
    at = datetime(2017, 1, 1, hour, tzinfo=UTC)
    return key, {"orders_30d": Value(int64_val=value)}, at.replace(tzinfo=None), None


@pytest.fixture
def on_redis_alone(fresh, redis_server):
    from feature_access.registry import open_store

    store = open_store(on_redis(fresh, redis_server))
    return redis_server, store, store.get_feature_view(VIEW)


def test_what_is_written_expires_after_the_retention_and_an_old_row_is_not_renewed(
    fresh, redis_server
):
    from feature_access.registry import open_store

    seconds = int(YEAR.total_seconds())
    store = open_store(on_redis(fresh, redis_server, EXPIRY.format(seconds=seconds)))
    store.materialize(PRESENT - TTL, PRESENT)
    names = redis_server.keys()
    with redis_server.client() as client:
        assert len(names) > 1_500
        assert all(seconds - 300 <= client.ttl(name) <= seconds for name in names)
        for name in names:
            client.expire(name, 100)
        store.materialize(PRESENT - TTL, PRESENT)
        assert max(client.ttl(name) for name in names if b"__heart" not in name) <= 100
