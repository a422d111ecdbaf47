"""A Redis that drops rows to make room is no online store: jobs, checks and health refuse it."""

import pytest
from feast_households import HOUR, PRESENT, VIEW
from heartbeats import materialize, stands_at
from redis_server import on_redis

from contract_checks.evidence.registry import OnlineReader
from feature_access.errors import OnlineStoreEvictsError
from feature_access.online_stores.redis_memory import Untold, may_lose

pytest_plugins = ["feast_repository", "feast_online"]


def told(server, **options: str) -> None:
    with server.client() as client:
        for name, value in options.items():
            client.config_set(name.replace("_", "-"), value)


def evict(server) -> int:
    """Let the server drop a good part of what it holds, and be told to drop nothing from now on."""
    with server.client() as client:
        held = client.dbsize()
        told(
            server,
            maxmemory_policy="allkeys-lru",
            maxmemory=f"{client.info()['used_memory'] - 150_000}",
        )
        for i in range(400):
            client.set(f"another's {i}", b"x" * 1_000)
        client.delete(*(f"another's {i}" for i in range(400)))
        told(server, maxmemory_policy="noeviction", maxmemory="0")
        assert client.dbsize() < held
        return int(client.info()["evicted_keys"])


POLICIES = {
    ("noeviction", False): False,
    ("noeviction", True): False,
    ("allkeys-lru", False): True,
    ("allkeys-lfu", False): True,
    ("allkeys-random", True): True,
    ("volatile-lru", False): False,  # our rows have no time to live, and are passed over
    ("volatile-lru", True): True,
    ("volatile-ttl", True): True,
}


@pytest.mark.parametrize(("policy", "expiring"), POLICIES, ids=map(str, POLICIES))
def test_what_a_policy_can_cost(redis_server, policy: str, expiring: bool) -> None:
    told(redis_server, maxmemory_policy=policy)
    with redis_server.client() as client:
        why = may_lose(client, expiring=expiring)
    assert (why is not None) is POLICIES[policy, expiring]
    assert why is None or (f"maxmemory-policy {policy}," in why and "set maxmemory-policy" in why)


def test_a_server_that_does_not_tell_is_said_to_not_tell(redis_server) -> None:
    with redis_server.client() as client:
        client.acl_setuser(
            "app",
            enabled=True,
            passwords=["+secret"],
            categories=["+@all"],
            commands=["-info"],
            keys=["*"],
        )
        client.execute_command("AUTH", "app", "secret")
        why = may_lose(client, expiring=False)
    assert isinstance(why, Untold)
    assert "NOPERM" in why.why or "permission" in why.why


def test_a_store_that_may_evict_is_not_written_read_for_checks_or_healthy(
    fresh, redis_server
) -> None:
    from feature_access.registry import open_store

    store = open_store(on_redis(fresh, redis_server))
    materialize(store, PRESENT - HOUR)
    told(redis_server, maxmemory_policy="allkeys-lru")
    with pytest.raises(OnlineStoreEvictsError, match="allkeys-lru"):
        materialize(store, PRESENT)
    online_store = store._get_provider().online_store
    with pytest.raises(OnlineStoreEvictsError, match="noeviction"):
        online_store.stands_at(store.config, store.get_feature_view(VIEW))
    with pytest.raises(OnlineStoreEvictsError):
        OnlineReader(store, VIEW)
    told(redis_server, maxmemory_policy="noeviction")
    materialize(store, PRESENT)
    assert stands_at(store) == PRESENT
    OnlineReader(store, VIEW)


def test_rows_that_were_evicted_are_not_forgotten_when_the_policy_is_mended(
    fresh, redis_server
) -> None:
    from feature_access.registry import open_store

    store = open_store(on_redis(fresh, redis_server))
    materialize(store, PRESENT - HOUR)
    assert evict(redis_server) > 10
    with pytest.raises(OnlineStoreEvictsError, match="has dropped"):
        materialize(store, PRESENT)
    redis_server.flush()
    with redis_server.client() as client:
        client.config_resetstat()
    materialize(store, PRESENT)
    assert stands_at(store) == PRESENT


def test_rows_evicted_while_they_are_written_leave_no_heartbeat(
    fresh, redis_server, monkeypatch
) -> None:
    from feature_access.online_stores.redis_writer import RedisWriter
    from feature_access.registry import open_store

    write = RedisWriter.write

    def amid_the_write(self, rows, progress) -> None:
        rows = list(rows)
        write(self, rows, progress)
        if len(rows) > 100:
            evict(redis_server)

    store = open_store(on_redis(fresh, redis_server))
    monkeypatch.setattr(RedisWriter, "write", amid_the_write)
    with pytest.raises(OnlineStoreEvictsError, match="has dropped"):
        materialize(store, PRESENT)
    assert stands_at(store) is None
    assert not store.get_feature_view(VIEW).materialization_intervals
