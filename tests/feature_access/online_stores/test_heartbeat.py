"""The heartbeat: how far a view is materialized, in either store, and that it never says more."""

from datetime import timedelta
from pathlib import Path
from shutil import copytree

import pytest
from feast_households import (
    AGED,
    DAY,
    HOUR,
    HOUSEHOLDS,
    LEAKY,
    LOG_END,
    PRESENT,
    TTL,
    UNKNOWN,
    VIEW,
    at,
    expected,
    online,
    profiles,
)
from heartbeats import materialize, stands_at
from oracle import ZEROS
from redis_server import on_redis

pytest_plugins = ["feast_repository", "feast_online"]

EVERYBODY = [*HOUSEHOLDS, LEAKY, AGED, UNKNOWN, 0, -5]
NEXT = "customer_profile_v2"


def with_a_second_view(store):
    """The store, in which the next version is registered beside the first."""
    from feast import FeatureView

    first = store.get_feature_view(VIEW)
    second = FeatureView(
        name=NEXT,
        entities=[store.get_entity(name) for name in first.entities],
        ttl=first.ttl,
        schema=first.features,
        source=first.batch_source,
    )
    store.apply([second])
    return store


def writing(store, patch, change) -> None:
    """Let `change` see and replace the rows of every write of a materialization."""
    from feature_access.online_stores.redis_writer import RedisWriter

    kind = type(store._get_provider().online_store)
    if hasattr(kind, "write_columns"):
        write = RedisWriter.write

        def changed(self, rows, progress):
            rows = list(rows)
            if b"__heartbeat__" in rows[0].key:  # which is no entity's
                write(self, rows, progress)
            else:
                change(rows, lambda chosen: write(self, chosen, progress))

        patch.setattr(RedisWriter, "write", changed)
    else:
        batch = kind.online_write_batch

        def changed_batch(self, config, table, data, progress):
            change(data, lambda chosen: batch(self, config, table, chosen, progress))

        patch.setattr(kind, "online_write_batch", changed_batch)


def served(store, customers) -> list:
    return list(profiles(online(store, customers).to_dict()))


def of_the_second_view(store, customers) -> list:
    features = [f"{NEXT}:{field.name}" for field in store.get_feature_view(NEXT).features]
    rows = [{"customer_id": customer} for customer in customers]
    return list(profiles(store.get_online_features(features, rows).to_dict()))


def test_online_equals_offline_for_every_customer(either, log):
    store, _ = either
    materialize(store, PRESENT - HOUR, PRESENT)
    assert stands_at(store) == PRESENT
    right = expected(log, at(PRESENT, EVERYBODY))
    assert len(set(right)) > 1_500
    assert served(store, EVERYBODY) == right


def test_a_refresh_that_changes_nothing_is_a_refresh(either):
    store, _ = either
    end = LOG_END + DAY
    materialize(store, end, end + HOUR)
    assert stands_at(store) == end + HOUR
    later = end + HOUR + timedelta(seconds=2)
    materialize(store, later, later)
    assert stands_at(store) == later


def test_a_refresh_that_finds_nobody_active_leaves_a_store_of_unknowns_and_no_empty_one(either):
    store, _ = either
    materialize(store, LOG_END + 2 * TTL)
    assert stands_at(store) == LOG_END + 2 * TTL
    assert served(store, [1, UNKNOWN]) == [ZEROS, ZEROS]


def test_plain_feast_leaves_a_heartbeat_as_well(either):
    store, _ = either
    store.materialize(PRESENT - TTL, PRESENT - HOUR)
    assert stands_at(store) == PRESENT - HOUR
    store.materialize_incremental(PRESENT)
    assert stands_at(store) == PRESENT


def test_a_run_that_fails_leaves_the_heartbeat_where_it_was(either, monkeypatch):
    from feature_access.errors import OnlineStoreEmptyError

    store, _ = either

    def half(rows, write):
        write(rows[: len(rows) // 2])
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        writing(store, patch, half)
        with pytest.raises(RuntimeError, match="killed"):
            materialize(store, PRESENT - HOUR)
    assert stands_at(store) is None
    with pytest.raises(OnlineStoreEmptyError, match=VIEW):
        online(store, [1])

    materialize(store, PRESENT - HOUR)
    with monkeypatch.context() as patch:
        writing(store, patch, half)
        with pytest.raises(RuntimeError, match="killed"):
            materialize(store, PRESENT)
    assert stands_at(store) == PRESENT - HOUR


def test_the_refresh_after_a_flush_writes_everybody_and_not_the_last_hour_alone(either, log):
    from feature_access.errors import OnlineStoreEmptyError

    store, flush = either
    materialize(store, PRESENT - HOUR)
    flush()
    with pytest.raises(OnlineStoreEmptyError, match=r"run `feast apply` and scripts/refresh\.py"):
        online(store, [1, UNKNOWN])
    materialize(store, PRESENT)
    assert served(store, EVERYBODY) == expected(log, at(PRESENT, EVERYBODY))


def test_a_store_that_is_flushed_while_it_is_written_to_gets_no_heartbeat(either, monkeypatch, log):
    from feature_access.errors import OnlineStoreEmptyError

    store, flush = either
    materialize(store, PRESENT - HOUR)

    def flushed(rows, write):
        flush()
        write(rows)

    with monkeypatch.context() as patch:
        writing(store, patch, flushed)
        with pytest.raises(OnlineStoreEmptyError, match="materialize again"):
            materialize(store, PRESENT)
    assert stands_at(store) is None
    materialize(store, PRESENT)
    assert served(store, EVERYBODY) == expected(log, at(PRESENT, EVERYBODY))


def test_a_refresh_outlasts_a_hiccup_that_a_read_does_not(fresh, redis_server):
    from threading import Timer

    from feature_access.registry import open_store

    store = open_store(on_redis(fresh, redis_server))
    materialize(store, PRESENT - HOUR)
    redis_server.hang()
    waking = Timer(0.4, redis_server.resume)
    waking.start()
    materialize(store, PRESENT)
    waking.join()
    assert stands_at(store) == PRESENT


def test_a_provider_without_heartbeats_is_refused_when_it_is_applied(fresh, redis_server):
    from feature_access.registry import open_store

    for repository in (
        fresh,
        on_redis(copytree(fresh, fresh.with_name("second"), symlinks=True), redis_server),
    ):
        settings = repository / "feature_store.yaml"
        right = settings.read_text()
        settings.write_text(right.replace("feature_access.provider.HeartbeatProvider", "local"))
        assert settings.read_text() != right
        with pytest.raises(ValueError, match="provider local leaves no heartbeat"):
            with_a_second_view(open_store(repository))


def test_an_hour_reads_the_last_hour_alone(either, monkeypatch):
    store, _ = either
    written = []

    def counting(rows, write):
        written.append(len(rows))
        write(rows)

    writing(store, monkeypatch, counting)
    finer = timedelta(microseconds=250_000)
    materialize(store, PRESENT - HOUR - finer, PRESENT - finer)
    whole, hour = written
    assert whole > 1_500
    assert 0 < hour < whole / 4


def test_what_an_older_copy_lacks_is_written_again(fresh, redis_server, log):
    from feature_access.registry import open_store

    store = open_store(on_redis(fresh, redis_server))
    materialize(store, PRESENT - DAY)
    copy = redis_server.save()
    materialize(store, PRESENT - HOUR)
    redis_server.restore(copy)
    assert stands_at(store) == PRESENT - DAY
    materialize(store, PRESENT)
    assert stands_at(store) == PRESENT
    assert served(store, EVERYBODY) == expected(log, at(PRESENT, EVERYBODY))


def test_each_view_has_a_heartbeat_of_its_own(either, log):
    from feature_access.errors import OnlineStoreEmptyError

    store, _ = either
    materialize(store, PRESENT - HOUR)
    with_a_second_view(store)
    assert (stands_at(store), stands_at(store, NEXT)) == (PRESENT - HOUR, None)
    with pytest.raises(OnlineStoreEmptyError, match=NEXT):
        of_the_second_view(store, [1])
    materialize(store, PRESENT)
    assert (stands_at(store), stands_at(store, NEXT)) == (PRESENT, PRESENT)
    right = expected(log, at(PRESENT, EVERYBODY))
    assert served(store, EVERYBODY) == right
    assert of_the_second_view(store, EVERYBODY) == right


def test_a_view_that_goes_takes_its_heartbeat_along(either):
    from feature_access.errors import OnlineStoreEmptyError

    store, _ = either
    with_a_second_view(store)
    materialize(store, PRESENT)
    store.apply([], objects_to_delete=[store.get_feature_view(NEXT)], partial=False)
    with_a_second_view(store)
    assert (stands_at(store), stands_at(store, NEXT)) == (PRESENT, None)
    with pytest.raises(OnlineStoreEmptyError, match=NEXT):
        of_the_second_view(store, [1])
    assert served(store, [UNKNOWN]) == [ZEROS]


def test_a_canary_leaves_nothing_in_redis(fresh, redis_server, log):
    import pyarrow as pa

    from feature_access.registry import open_store
    from feature_pipeline.online.canary import read_back

    store = open_store(on_redis(fresh, redis_server))
    materialize(store, PRESENT - HOUR)
    before = redis_server.keys()
    customers = [*range(1, 40), UNKNOWN]
    table = read_back(store, VIEW, pa.table({"customer_id": customers}), PRESENT)
    assert list(profiles(table.to_pydict())) == expected(log, at(PRESENT, customers))
    assert redis_server.keys() == before


def test_rows_that_would_expire_while_they_count_are_refused(fresh: Path, redis_server):
    from feature_access.registry import open_store

    longer = copytree(fresh, fresh.with_name("longer"), symlinks=True)
    short = open_store(on_redis(fresh, redis_server, "  key_ttl_seconds: 86400\n"))
    with pytest.raises(ValueError, match=r"key_ttl_seconds 86400 is less than the ttl 30 days"):
        with_a_second_view(short)
    store = open_store(on_redis(longer, redis_server, f"  key_ttl_seconds: {40 * 86400}\n"))
    with_a_second_view(store)
    materialize(store, PRESENT)
    assert stands_at(store) == PRESENT
