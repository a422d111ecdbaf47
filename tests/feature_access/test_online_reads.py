"""`OnlineFeatures`: what a model is answered, how old it may be, and every way of no answer."""

import asyncio
import os
import re
import socket
import sqlite3
import subprocess
import sys
from contextlib import ExitStack, closing, contextmanager
from datetime import timedelta
from shutil import copy2, copytree, rmtree
from threading import Thread

import pytest
from feast_copy import ROOT
from feast_households import (
    AGED,
    FEATURES,
    HOUR,
    HOUSEHOLDS,
    LEAKY,
    PAST,
    PRESENT,
    SERVICE,
    UNKNOWN,
    VIEW,
    at,
    expected,
    online,
    profiles,
)
from online_readers import MAX_AGE, keys, opened, told, ways
from oracle import ZEROS, Profile
from redis_server import on_redis
from waiting import eventually, wait_until

pytest_plugins = ["feast_repository", "feast_online"]

EVERYBODY = [*HOUSEHOLDS, LEAKY, AGED, UNKNOWN, 0, -5]
HASTY = (0.025, 0.07)  # seconds to connect, and for an answer: together under the promised 100 ms


@pytest.fixture
def features(on_served_redis):
    return opened(on_served_redis)


def test_both_stores_answer_as_the_change_log_and_plain_feast_do(
    materialized, on_served_redis, log
):
    from feature_access.registry import open_store

    right = expected(log, at(PRESENT, EVERYBODY))
    assert right.count(ZEROS) > 100
    for repository in (materialized, on_served_redis):
        assert list(profiles(online(open_store(repository), EVERYBODY).to_dict())) == right
        for read in ways(opened(repository)):
            answer = read(keys(EVERYBODY), PRESENT + HOUR)
            assert told(answer) == right
            assert (answer.materialized_to, answer.age) == (PRESENT, HOUR)


def test_plain_feast_reads_redis_asynchronously(on_served_redis, log):
    from feature_access.registry import open_store

    store = open_store(on_served_redis)

    async def ask():
        service = store.get_feature_service(SERVICE)
        return await store.get_online_features_async(service, keys([1, LEAKY, UNKNOWN]))

    # Feast's server asks this, and is to read in threads.
    assert not store._get_provider().async_supported.online.read
    answer = asyncio.run(ask()).to_dict(include_event_timestamps=True)
    assert list(profiles(answer)) == expected(log, at(PRESENT, [1, LEAKY, UNKNOWN]))
    assert answer["orders_30d__ts"][2] == 0


def test_a_row_is_typed_ordered_and_says_whether_the_customer_is_known(features, log):
    stamps = [r.event_timestamp for r in log.of_customer[LEAKY] if r.event_timestamp <= PRESENT]
    answer = features.read(keys([LEAKY, UNKNOWN]), at=PRESENT)
    assert answer.features == features.features == FEATURES
    known, unknown = answer.rows
    assert (Profile(*known.values), known.known, known.stamp) == (PAST, True, max(stamps))
    assert (Profile(*unknown.values), unknown.known, unknown.stamp) == (ZEROS, False, None)
    assert [type(value) for value in unknown.values] == [float, int, int, int]
    assert len(answer.rows) == 2


def test_a_read_is_one_round_trip_and_touches_no_registry(features, monkeypatch):
    from feast.infra.registry.sql import SqlRegistry
    from redis.client import Pipeline, Redis
    from redis.connection import Connection

    features.read(keys([1]), at=PRESENT)
    trips = []
    send = Connection.send_packed_command
    monkeypatch.setattr(
        Connection,
        "send_packed_command",
        lambda self, *a, **o: (trips.append(1), send(self, *a, **o))[1],
    )
    forbidden = [(Redis, "execute_command"), (Pipeline, "execute")] + [
        (SqlRegistry, name)
        for name in dir(SqlRegistry)
        if name.startswith(("get_", "list_", "refresh", "proto"))
    ]
    assert len(forbidden) > 20
    for kind, name in forbidden:
        monkeypatch.setattr(kind, name, None)
    assert len(features.read(keys([1, 2, UNKNOWN]), at=PRESENT).rows) == 3
    assert trips == [1]


def test_a_consumer_that_is_not_approved_is_refused(fresh):
    from storage.errors import RefusedError

    with pytest.raises(RefusedError, match=r"Ad Sales may not read .*ML Platform, Marketing"):
        opened(fresh, consumer="Ad Sales")
    assert opened(fresh, consumer="ml platform").features == FEATURES


def test_another_service_than_the_terms_are_of_is_refused(fresh):
    from feature_access.terms import Terms
    from storage.errors import RefusedError

    with pytest.raises(RefusedError, match=f"no feature service customers: name one of {SERVICE}"):
        opened(fresh, service="customers")
    with pytest.raises(RefusedError, match=f"{SERVICE} serves {VIEW}, and the terms are of other"):
        opened(fresh, terms=Terms("other", ("ML Platform",), MAX_AGE))


UNUSABLE = {
    "nobody": ([], "name one at least"),
    "a null": ([{"customer_id": None}], "declared Int64, and row 1: holds null"),
    "a fraction": ([{"customer_id": 1}, {"customer_id": 1.5}], "row 2: holds a float"),
    "a truth": ([{"customer_id": True}], "row 1: holds a truth value"),
    "another text": ([{"customer_id": "01"}], "row 1: holds a text that is no whole number"),
    "too large": ([{"customer_id": 2**63}], "row 1: holds a whole number of more than 64 bits"),
    "another key": ([{"customer": 1}], "named by customer_id, not by customer"),
    "one key too many": ([{"customer_id": 1, "shop": 2}], "named by customer_id, not by"),
}


@pytest.mark.parametrize("fault", UNUSABLE)
def test_what_is_no_key_is_refused_and_never_coerced(features, fault):
    from feature_access.entities.keys import UnusableKeysError

    asked, why = UNUSABLE[fault]
    for read in ways(features):
        with pytest.raises(UnusableKeysError, match=why):
            read(asked, PRESENT)


def test_keys_of_every_kind_are_feasts_own(store):
    from feast import Entity, FeatureView, Field, FileSource, ValueType
    from feast.types import Int32, Int64, String
    from feast.utils import _get_entity_key_protos

    from feature_access.entities.keys import EntityKeys, UnusableKeysError

    fields = {"shop": Int32, "name": String, "id": Int64}
    view = FeatureView(
        name="visits",
        entities=[
            Entity(name=n, join_keys=[n], value_type=getattr(ValueType, str(t).upper()))
            for n, t in fields.items()
        ],
        schema=[Field(name=n, dtype=t) for n, t in fields.items()],
        source=FileSource(path="visits.parquet", timestamp_field="at"),
    )
    (key,) = EntityKeys(view).of([{"shop": -7, "name": "Ann", "id": 2**63 - 1}])
    found = dict(zip(key.join_keys, key.entity_values, strict=True))
    assert (found["shop"].int32_val, found["name"].string_val) == (-7, "Ann")
    assert found["id"].int64_val == 2**63 - 1
    assert _get_entity_key_protos([found])[0].join_keys
    with pytest.raises(UnusableKeysError, match="shop"):
        EntityKeys(view).of([{"shop": 2**31, "name": "Ann", "id": 1}])


def test_the_documented_settings_and_snippet_work(fresh, served_redis):
    document = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    (settings,) = re.findall(r"^```yaml\n(.*?)^```$", document, re.DOTALL | re.MULTILINE)
    (snippet,) = re.findall(r"^```python\n(.*?)^```$", document, re.DOTALL | re.MULTILINE)
    repository = on_redis(fresh, served_redis)
    right = (repository / "feature_store.yaml").read_text()
    head, _, tail = right.partition("online_store:\n")
    rest = tail[tail.index("entity_key") :]
    (repository / "feature_store.yaml").write_text(head + settings + rest)
    copytree(ROOT / "contracts", repository / "contracts")
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            snippet.replace("datetime.now(UTC)", f"datetime.fromisoformat('{PRESENT + HOUR}')"),
        ],
        cwd=repository,
        env=os.environ
        | {"PYTHONPATH": str(repository), "REDIS_ADDRESS": f"127.0.0.1:{served_redis.port}"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("1:00:00 True {'avg_order_value_30d': "), done.stdout


# No answer


def test_a_stale_store_is_refused_to_the_microsecond(features):
    from feature_access.errors import OnlineStoreStaleError

    moment = PRESENT + MAX_AGE
    for read in ways(features):
        assert read(keys([1]), moment).age == MAX_AGE
        with pytest.raises(OnlineStoreStaleError, match=rf"{VIEW} up to 2017-11-26T23:00:00\+"):
            read(keys([1]), moment + timedelta(microseconds=1))


def test_a_store_of_the_future_is_not_fresh(features):
    from feature_access.errors import OnlineStoreStaleError
    from feature_access.online_stores.freshness import CLOCK_ALLOWANCE

    for read in ways(features):
        assert read(keys([1]), PRESENT - CLOCK_ALLOWANCE).age == -CLOCK_ALLOWANCE
        for ahead in (CLOCK_ALLOWANCE + timedelta(microseconds=1), timedelta(days=365)):
            with pytest.raises(OnlineStoreStaleError, match=rf"{VIEW} up to .* in the future of"):
                read(keys([1]), PRESENT - ahead)


@pytest.mark.parametrize("kind", ["materialized", "on_served_redis"])
def test_plain_feast_can_be_bound_to_an_age_as_well(kind, request):
    from feature_access.errors import OnlineStoreStaleError
    from feature_access.online_stores.freshness import fresh_within
    from feature_access.registry import open_store

    store = open_store(request.getfixturevalue(kind))
    with fresh_within(HOUR, at=PRESENT + HOUR) as reading:
        assert reading.age is None
        online(store, [1, UNKNOWN, -5])
    assert (reading.age, reading.unknown) == (HOUR, 2)
    with (
        fresh_within(HOUR, at=PRESENT + 2 * HOUR) as reading,
        pytest.raises(OnlineStoreStaleError),
    ):
        online(store, [1])
    assert reading.age == 2 * HOUR
    online(store, [1])  # outside, nobody asks how old it is


@pytest.fixture
def connections(monkeypatch):
    """The time limits of every connection that a reader tries: to connect, and for an answer."""
    import redis.asyncio.connection
    import redis.connection

    tried = []

    def noting(connect):
        def note(connection):
            tried.append((connection.socket_connect_timeout, connection.socket_timeout))
            return connect(connection)

        return note

    for kind in (redis.connection.Connection, redis.asyncio.connection.Connection):
        monkeypatch.setattr(kind, "_connect", noting(kind._connect))
    return tried


def raises(error, read, repeated: int = 5) -> None:
    """Every one of so many reads fails like that."""
    for _ in range(repeated):
        with pytest.raises(error, match=VIEW):
            read(keys([1, UNKNOWN]), PRESENT)


def answers_again(read) -> None:
    """A server that was hung may take longer than our limits for its first answer."""
    from feature_access.errors import OnlineStoreUnavailableError

    assert eventually(lambda: read(keys([1]), PRESENT), OnlineStoreUnavailableError).rows[0].known


def test_a_flushed_store_is_an_error_and_never_zeros(features, served_redis):
    from feature_access.errors import OnlineStoreEmptyError

    served_redis.flush()
    for read in ways(features):
        raises(OnlineStoreEmptyError, read)


def test_a_dead_store_is_an_error_at_once_and_answers_again_after_a_restart(
    features, served_redis, connections
):
    from feature_access.errors import OnlineStoreDownError

    for read in ways(features):
        read(keys([1]), PRESENT)
        served_redis.kill()
        connections.clear()
        raises(OnlineStoreDownError, read, repeated=5)
        assert len(connections) <= 2 * 5  # a refused one is tried once more, and at once
        served_redis.start()
        assert read(keys([1]), PRESENT).rows[0].known


def test_a_hung_store_costs_a_caller_a_tenth_of_a_second(fresh, served_redis, connections):
    from feature_access.errors import OnlineStoreHungError

    for read in ways(opened(on_redis(fresh, served_redis, limits=""))):
        answers_again(read)
        served_redis.hang()
        try:
            connections.clear()
            raises(OnlineStoreHungError, read, repeated=5)
            # One a read, but for the one that was open: no read waits twice.
            assert connections in ([HASTY] * 4, [HASTY] * 5)
        finally:
            served_redis.resume()
        answers_again(read)


@contextmanager
def unreachable():
    """A port whose queue is full: packets of who connects are lost, as on the way to nowhere."""
    with socket.socket() as full, ExitStack() as queue:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(4):
            waiting = queue.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        yield full.getsockname()[1]


def test_a_store_that_nobody_can_reach_costs_no_more(fresh, redis_server, connections):
    from feature_access.errors import OnlineStoreHungError

    repository = on_redis(fresh, redis_server, limits="")
    settings = repository / "feature_store.yaml"
    with unreachable() as port:
        settings.write_text(settings.read_text().replace(f":{redis_server.port}", f":{port}"))
        for read in ways(opened(repository)):
            connections.clear()
            raises(OnlineStoreHungError, read, repeated=5)
            assert connections == [HASTY] * 5


def test_a_restart_amid_reads_gives_right_answers_or_the_error_and_no_zeros(
    features, served_redis, log
):
    from feature_access.errors import OnlineStoreUnavailableError

    (right,) = expected(log, at(PRESENT, [LEAKY]))
    assert right != ZEROS
    outcomes, stop = [], []

    def wait_for(outcome):
        before = outcomes.count(outcome)
        wait_until(lambda: outcomes.count(outcome) > before + 3)

    def keep_reading():
        while not stop:
            try:
                outcomes.append(told(features.read(keys([LEAKY]), at=PRESENT)))
            except OnlineStoreUnavailableError as error:
                outcomes.append(type(error).__name__)

    reader = Thread(target=keep_reading)
    reader.start()
    try:
        for _ in range(3):
            wait_for([right])
            served_redis.kill()
            wait_for("OnlineStoreDownError")
            served_redis.start()
        wait_for([right])
    finally:
        stop.append(True)
        reader.join()
    assert outcomes[-1] == [right]
    faults = {o for o in outcomes if isinstance(o, str)}
    assert faults <= {"OnlineStoreDownError", "OnlineStoreHungError"}
    assert [o for o in outcomes if not isinstance(o, str) and o != [right]] == []


def test_a_connection_that_the_server_closed_costs_no_answer(features, served_redis):
    for read in ways(features):
        for _ in range(3):
            assert read(keys([1]), PRESENT).rows[0].known
            with served_redis.client() as client:
                client.client_kill_filter(skipme=True)
            assert read(keys([1]), PRESENT).rows[0].known


def test_a_file_that_is_no_database_is_a_store_that_is_down(fresh):
    from feature_access.errors import OnlineStoreDownError, OnlineStoreEmptyError

    features = opened(fresh)
    for read in ways(features):
        raises(OnlineStoreEmptyError, read, 1)
    (fresh / "data" / "online_store.db").write_bytes(b"no database at all" * 1_000)
    for read in ways(opened(fresh)):
        raises(OnlineStoreDownError, read, 1)


# An embedded store whose file is another's now


def without_customers(database, to):
    """A copy of the store that holds its heartbeat and no customer."""
    from feature_access.online_stores.row_deletion import HEARTBEAT

    copy2(database, to)
    with closing(sqlite3.connect(to)) as connection, connection:
        for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'"):
            connection.execute(f"DELETE FROM {table} WHERE instr(entity_key, ?) = 0", [HEARTBEAT])


def moved_there(database, other):
    other.replace(database)


def removed_and_copied_there(database, other):
    database.unlink()
    copy2(other, database)


def copied_over(database, other):
    database.write_bytes(other.read_bytes())


def copied_over_by_its_twin(database, other):
    """As many commits made it: an open connection cannot tell it from what it has read."""
    twin = bytearray(other.read_bytes())
    twin[24:40] = database.read_bytes()[24:40]  # all that SQLite looks at
    database.write_bytes(twin)


def linked_there(database, other):
    database.unlink()
    database.symlink_to(other)


@pytest.mark.parametrize(
    "replaced",
    [moved_there, removed_and_copied_there, copied_over, copied_over_by_its_twin, linked_there],
)
def test_the_embedded_store_that_lies_there_now_is_read(replaced, materialized, tmp_path, log):
    features = opened(copytree(materialized, tmp_path / "embedded"))
    database, other = tmp_path / "embedded" / "data" / "online_store.db", tmp_path / "other.db"
    right = expected(log, at(PRESENT, [1, LEAKY]))
    for read in ways(features):
        assert told(read(keys([1, LEAKY]), PRESENT)) == right
    without_customers(database, other)
    replaced(database, other)
    for read in ways(features):
        answer = read(keys([1, LEAKY]), PRESENT)
        assert [row.known for row in answer.rows] == [False, False]


@pytest.mark.parametrize("folder_too", [False, True], ids=["its file", "its folder"])
def test_an_embedded_store_that_is_gone_answers_nothing_until_it_is_back(
    folder_too, materialized, tmp_path, log
):
    from feature_access.errors import OnlineStoreUnavailableError

    features = opened(copytree(materialized, tmp_path / "embedded"))
    database = tmp_path / "embedded" / "data" / "online_store.db"
    gone = database.parent if folder_too else database
    right = expected(log, at(PRESENT, [1, LEAKY]))
    assert told(features.read(keys([1, LEAKY]), at=PRESENT)) == right
    gone.rename(tmp_path / "kept")
    for read in ways(features):
        with pytest.raises(OnlineStoreUnavailableError):
            read(keys([1, LEAKY, UNKNOWN]), PRESENT)
    if folder_too and gone.exists():
        rmtree(gone)
    (tmp_path / "kept").replace(gone)
    for read in ways(features):
        assert told(read(keys([1, LEAKY]), PRESENT)) == right


def test_what_is_written_meanwhile_goes_into_one_store(materialized, tmp_path):
    """A write asks for the connection again and again, and its file changes as it goes on."""
    from feature_access.registry import open_store

    store = open_store(copytree(materialized, tmp_path / "embedded"))
    online_store, config = store._get_provider().online_store, store.config
    connection = online_store._get_conn(config)
    connection.execute("BEGIN IMMEDIATE")
    (tmp_path / "embedded" / "data" / "online_store.db").touch()
    assert online_store._get_conn(config) is connection
    connection.rollback()
    assert online_store._get_conn(config) is not connection
