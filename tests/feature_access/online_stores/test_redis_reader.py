"""The fast way to read Redis: the same keys and answers, and no reply to another question."""

import pytest
from feast_households import (
    FEATURES,
    LEAKY,
    PAST,
    PRESENT,
    VIEW,
    online,
    profiles,
)
from hypothesis import example, given
from hypothesis import strategies as st
from online_readers import keys, opened, told, ways
from oracle import ZEROS, Profile

pytest_plugins = ["feast_repository", "feast_online"]


def layout_of(store):
    from feature_access.online_stores.redis_layout import HashNames, RedisLayout

    view = store.get_feature_view(VIEW)
    layout = RedisLayout(store.config, view)
    return layout, HashNames(layout, view)


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1))
@example([0x1122334455667788, 0, -1])
def test_a_hash_is_called_as_feast_calls_it(store, customers):
    from feast.infra.online_stores.helpers import _redis_key
    from feast.utils import _get_entity_key_protos

    _, names = layout_of(store)
    protos = _get_entity_key_protos(
        [{"customer_id": key.entity_values[0]} for key in names._keys.of(keys(customers))]
    )
    assert names.of(keys(customers)) == [_redis_key(store.config.project, p) for p in protos]


def test_a_row_of_which_a_part_is_gone_is_read_as_plain_feast_reads_it(
    on_served_redis, served_redis
):
    from feast.protos.feast.types.Value_pb2 import Value

    from feature_access.registry import open_store

    store = open_store(on_served_redis)
    layout, names = layout_of(store)
    whole, stampless, valueless, null = map(names.of, (keys([c]) for c in (LEAKY, 1, 2, 3)))
    with served_redis.client() as client:
        client.hdel(stampless[0], layout.stamp)
        client.hdel(valueless[0], *map(layout.field, FEATURES))
        client.hset(null[0], layout.field("orders_30d"), Value().SerializeToString())
        client.hset(whole[0], layout.field("sessions_30d"), b"")
    asked = [LEAKY, 1, 2, 3]
    answer = online(store, asked).to_dict(include_event_timestamps=True)
    for read in ways(opened(on_served_redis)):
        rows = read(keys(asked), PRESENT).rows
        assert [Profile(*row.values) for row in rows] == list(profiles(answer))
        assert [row.known for row in rows] == [True, False, True, True]
        assert rows[0].values[FEATURES.index("sessions_30d")] == 0
        assert rows[2].values == ZEROS
        stamps = [row.stamp.timestamp() if row.stamp else 0 for row in rows]
        assert [int(stamp) for stamp in stamps] == answer["orders_30d__ts"]


def test_an_error_amid_the_replies_leaves_none_to_the_next_question(on_served_redis, served_redis):
    from feature_access.errors import OnlineStoreDownError

    with served_redis.client() as client:
        client.set(hash_of(on_served_redis, 2), "no hash")
    for read in ways(opened(on_served_redis)):
        for _ in range(3):
            with pytest.raises(OnlineStoreDownError, match="WRONGTYPE"):
                read(keys([1, 2, 3]), PRESENT)
            assert told(read(keys([LEAKY]), PRESENT)) == [PAST]


def hash_of(repository, customer: int) -> bytes:
    from feature_access.registry import open_store

    _, names = layout_of(open_store(repository))
    return names.of(keys([customer]))[0]
