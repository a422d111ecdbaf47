"""A Redis that others use too: a job takes the rows of its own project and views alone."""

from datetime import timedelta

import pyarrow as pa
import pytest
from feast.infra.online_stores.helpers import _mmh3, _redis_key
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast_households import HOUR, PRESENT, TTL, VIEW
from hypothesis import given
from hypothesis import strategies as st

from feature_access.online_stores.redis_names import names_in, project_of

pytest_plugins = ["feast_repository", "feast_online"]

PROJECT = "feature_store"
OTHERS = ("eu_feature_store", "feature_store_eu", "a__heartbeat__feature_store", "feature_stor")
THEIRS, RETIRED = "basket_v1", "customer_profile_v0"
OLD = PRESENT - TTL

VALUES = st.one_of(
    st.builds(lambda n: Value(int64_val=n), st.integers(-(2**63), 2**63 - 1)),
    st.builds(lambda n: Value(int32_val=n), st.integers(-(2**31), 2**31 - 1)),
    st.builds(lambda t: Value(string_val=t), st.text()),
    st.builds(lambda b: Value(bytes_val=b), st.binary()),
)


@given(st.dictionaries(st.text(min_size=1), VALUES), st.text(min_size=1))
def test_a_name_tells_its_project(entity: dict[str, Value], project: str) -> None:
    key = EntityKey(join_keys=list(entity), entity_values=list(entity.values()))
    assert project_of(_redis_key(project, key, 3)) == project


@given(st.binary())
def test_a_name_of_anything_else_ends_in_no_project_of_ours(name: bytes) -> None:
    assert project_of(name + b"feature_store") != "feature_store" or name == b"\0\0\0\0"


def ours(view: str) -> bool:
    return view.startswith("customer_profile_v")


class Shared:
    """A store on a served Redis that holds other projects' copies of every row."""

    def __init__(self, store, server) -> None:
        from jobs.privacy.row_deleting import row_deleting

        self.store, self.config, self.server = store, store.config, server
        self.row_deleting = row_deleting(store)
        self.view = store.get_feature_view(VIEW)
        with server.client() as client:
            some = sorted(names_in(client, [PROJECT]))[-100:]
            copies = client.pipeline(transaction=False)
            for name in some:
                for other in OTHERS:
                    copies.copy(name, name.removesuffix(PROJECT.encode()) + other.encode())
            copies.set("queue:feature_store", "no hash at all")
            copies.execute()
        self.before = self.content()

    def content(self, *projects: str) -> dict[bytes, dict[bytes, bytes]]:
        with self.server.client() as client:
            names = [*names_in(client, projects or OTHERS)]
            return {name: client.hgetall(name) for name in names}

    def row(self, view: str, customer: int, ago: timedelta, *features: str) -> bytes:
        """Write a row of a view that is perhaps not registered; says the hash."""
        from google.protobuf.timestamp_pb2 import Timestamp

        key = EntityKey(join_keys=["customer_id"], entity_values=[Value(int64_val=customer)])
        name, stamp = _redis_key(PROJECT, key, 3), Timestamp()
        stamp.FromDatetime(PRESENT - ago)
        fields = {_mmh3(f"{view}:{feature}"): b"\x20\x07" for feature in features}
        with self.server.client() as client:
            client.hset(name, mapping={f"_ts:{view}": stamp.SerializeToString(), **fields})
        return name

    def fields(self, name: bytes) -> set[bytes]:
        with self.server.client() as client:
            return set(client.hkeys(name))

    def retain(self) -> int:
        views = self.store.list_all_feature_views()
        return self.row_deleting.forget_older(self.config, views, ours, OLD + TTL / 2)


@pytest.fixture
def shared(on_served_redis, served_redis) -> Shared:
    from feature_access.registry import open_store

    return Shared(open_store(on_served_redis), served_redis)


def erase(shared: Shared) -> None:
    from jobs.privacy.customer import online_keys

    keys = [key for who in range(1, 50) for key in online_keys("customer_id", str(who))]
    held = shared.row_deleting.held(shared.config, keys)
    assert 10 < held <= 49
    assert shared.row_deleting.forget(shared.config, keys) == held


def make_a_canary(shared: Shared) -> None:
    from feature_pipeline.online.canary import read_back

    read_back(shared.store, VIEW, pa.table({"customer_id": [1, 2, 3]}), PRESENT)


JOBS = {
    "retention": lambda it: it.retain(),
    "erasure": erase,
    "canary": make_a_canary,
    "step back": lambda it: it.row_deleting.forget_view(it.config, it.view),
    "apply without it": lambda it: it.store.apply([], objects_to_delete=[it.view], partial=False),
    "teardown": lambda it: it.row_deleting.teardown(it.config, [it.view], []),
}


@pytest.mark.parametrize("job", JOBS.values(), ids=JOBS)
def test_rows_of_another_project_stay(shared: Shared, job) -> None:
    mine = shared.content(PROJECT)
    job(shared)
    assert (shared.content(PROJECT) == mine) is (job is make_a_canary)
    assert shared.content() == shared.before
    with shared.server.client() as client:
        assert client.get("queue:feature_store") == b"no hash at all"


def test_rows_of_another_team_stay_in_the_hash_that_both_share(shared: Shared) -> None:
    """Theirs is older than our retention, and under their own; a hash is left with theirs alone."""
    hashes = [shared.row(THEIRS, who, 2 * TTL, "items") for who in (1, 2, 999)]
    theirs = {f"_ts:{THEIRS}".encode(), _mmh3(f"{THEIRS}:items")}
    mine = shared.row(VIEW, 999, 2 * TTL, "orders_30d", "sessions_30d")
    shared.retain()
    assert mine == hashes[2]
    assert shared.fields(mine) == theirs
    assert all(theirs <= shared.fields(name) for name in hashes)
    assert shared.row_deleting.older(shared.config, ours, OLD + TTL / 2) == 0


def test_values_of_a_retired_version_go_with_its_stamp(shared: Shared) -> None:
    """Alone, beside a registered row that stays, and beside one that goes as well."""
    alone = shared.row(RETIRED, 9_001, 2 * TTL, "spent", "visits")
    beside = shared.row(RETIRED, 9_002, 2 * TTL, "spent", "visits")
    shared.row(VIEW, 9_002, HOUR, "orders_30d")
    both = shared.row(RETIRED, 9_003, 2 * TTL, "spent", "visits")
    shared.row(VIEW, 9_003, 2 * TTL, "orders_30d")
    young = shared.row(RETIRED, 9_004, HOUR, "spent")
    before = shared.fields(young)
    shared.retain()
    assert shared.fields(alone) == shared.fields(both) == set()
    assert shared.fields(beside) == {f"_ts:{VIEW}".encode(), _mmh3(f"{VIEW}:orders_30d")}
    assert shared.fields(young) == before


def test_what_a_heartbeat_names_goes_beside_a_view_that_nobody_knows(shared: Shared) -> None:
    name = shared.row(RETIRED, 9_001, 2 * TTL, "spent")
    shared.row(THEIRS, 9_001, HOUR, "items")
    before = shared.fields(name)
    from storage.errors import RefusedError

    with pytest.raises(RefusedError, match=r"1 entities .* not registered"):
        shared.retain()
    assert shared.fields(name) == before
    beat = EntityKey(
        join_keys=["__heartbeat__"], entity_values=[Value(string_val=f"{RETIRED} and its fields")]
    )
    with shared.server.client() as client:
        client.hset(_redis_key(PROJECT, beat, 3), _mmh3(f"{RETIRED}:spent"), "Int64, default 0")
    shared.retain()
    assert shared.fields(name) == {f"_ts:{THEIRS}".encode(), _mmh3(f"{THEIRS}:items")}


def test_values_that_no_stamp_dates_are_cleared(shared: Shared) -> None:
    """As a retention of before left them: nothing reads them, and nothing tells their age."""
    name = shared.row(RETIRED, 9_001, HOUR, "spent")
    with shared.server.client() as client:
        client.hdel(name, f"_ts:{RETIRED}")
    assert shared.row_deleting.older(shared.config, ours, OLD) >= 1
    shared.retain()
    assert shared.fields(name) == set()


def test_views_of_every_kind_in_the_registry_are_in_nobodys_way(shared: Shared) -> None:
    from feast import Field, RequestSource
    from feast.on_demand_feature_view import on_demand_feature_view
    from feast.types import Int64

    asked = RequestSource(name="asked", schema=[Field(name="n", dtype=Int64)])

    @on_demand_feature_view(sources=[asked], schema=[Field(name="twice", dtype=Int64)])
    def doubled(inputs):
        return inputs[["n"]].rename(columns={"n": "twice"}) * 2

    shared.store.apply([asked, doubled])
    name = shared.row(VIEW, 9_001, 2 * TTL, "orders_30d")
    shared.retain()
    assert shared.fields(name) == set()
