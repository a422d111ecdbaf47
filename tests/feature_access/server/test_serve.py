"""scripts/serve.py as consumers meet it: a real server, real Redis, and all that goes wrong."""

import json
import os
import signal
import socket
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from shutil import copytree

import pytest
import requests
from feast_copy import ROOT
from feast_households import (
    FEATURES,
    HOUR,
    LEAKY,
    PRESENT,
    SERVICE,
    UNKNOWN,
    VIEW,
    at,
    expected,
    profiles,
)
from feature_servers import (
    READ,
    TOKENS,
    Server,
    as_a_person_does,
    columns,
    metric,
    press_ctrl_c,
    reason,
    serving,
    with_contracts,
)
from oracle import ZEROS
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_families
from prometheus_client.parser import text_string_to_metric_families as families
from prometheus_lint import problems
from redis_server import PATIENT, on_redis
from waiting import GIVE_UP_SECONDS, wait_until
from warm_start import run_warm

from contract_checks.operations.log import OperationsLog

pytest_plugins = ["feast_repository", "feast_online"]


LESS_PATIENT = ",socket_connect_timeout=3,socket_timeout=3"
"""For a server that hangs, of which each question is waited for."""


@pytest.fixture
def repository(on_served_redis: Path) -> Path:
    return with_contracts(on_served_redis)


@pytest.fixture(scope="module")
def server(applied, materialized_dump, tmp_path_factory) -> Iterator[Server]:
    """Served from a Redis that nothing happens to."""
    from redis_server import RedisServer

    folder = tmp_path_factory.mktemp("served")
    redis = RedisServer(folder)
    redis.restore(materialized_dump)
    repository = with_contracts(on_redis(copytree(applied, folder / "repository"), redis))
    try:
        with serving(repository) as running:
            yield running
    finally:
        redis.kill()


# Answers


def test_the_answer_is_feasts_and_the_change_logs(server, log):
    customers = [1, LEAKY, UNKNOWN, *range(2, 300)]
    answer = columns(server.read(customers))
    assert answer["customer_id"] == customers
    assert list(profiles(answer)) == expected(log, at(PRESENT, customers))
    full = columns(server.read(customers, full_feature_names=True))
    assert list(profiles(full, prefix=f"{VIEW}__")) == expected(log, at(PRESENT, customers))
    response = server.read([UNKNOWN]).json()
    assert response["results"][1]["event_timestamps"] == ["1970-01-01T00:00:00Z"]


def test_the_columns_stand_in_the_declared_order_in_every_worker(server):
    for _ in range(10):
        names = server.read([1]).json()["metadata"]["feature_names"]
        assert names == ["customer_id", *FEATURES]
    chosen = [f"{VIEW}:sessions_30d", f"{VIEW}:avg_order_value_30d"]
    answer = server.post({"features": chosen, "entities": {"customer_id": [1]}})
    assert list(columns(answer)) == ["customer_id", "sessions_30d", "avg_order_value_30d"]


def test_the_pinned_service_is_served_as_well(server):
    pinned = server.read([1], feature_service=VIEW)
    assert columns(pinned) == columns(server.read([1]))


# Refusals


def test_only_approved_consumers_are_answered(server):
    body = {"feature_service": SERVICE, "entities": {"customer_id": [1]}}
    assert server.post(body, token=TOKENS["marketing analytics"]).status_code == 200
    assert reason(server.post(body, token="nobody's token at all")) == (
        401,
        "no consumer's bearer token",
    )
    anonymous = requests.post(server.address + READ, json=body, timeout=GIVE_UP_SECONDS)
    assert reason(anonymous)[0] == 401
    basic = {"Authorization": f"Basic {server.token}"}
    assert requests.post(server.address + READ, json=body, headers=basic).status_code == 401
    assert reason(server.post(body, token=TOKENS["Ad Sales"])) == (
        403,
        f"Ad Sales may not read {VIEW}: its approved consumers (§9) are ML Platform, "
        "Marketing Analytics",
    )


BAD = {
    "no JSON": (b"{", 400, "no JSON"),
    "deep JSON": (b"[" * 100_000, 400, "no JSON"),
    "no text": (b"\xff\xfe\x00", 400, "no JSON"),
    "no object": ([1], 400, "no JSON object"),
    "nothing": ({}, 400, "name either"),
    "both": ({"feature_service": SERVICE, "features": ["a:b"]}, 400, "name either"),
    "no entities": ({"feature_service": SERVICE}, 400, "entities"),
    "entities of another shape": ({"feature_service": SERVICE, "entities": [1]}, 400, "entities"),
    "no list": ({"feature_service": SERVICE, "entities": {"customer_id": 1}}, 400, "entities"),
    "an unknown service": ({"feature_service": "sales"}, 404, f"known: {SERVICE}, {VIEW}"),
    "a service of another type": ({"feature_service": {"a": 1}}, 404, "no such feature_service"),
    "an unknown view": ({"features": ["sales:orders_30d"]}, 404, f"known: {VIEW}"),
    "an unknown feature": ({"features": [f"{VIEW}:age"]}, 404, f"{VIEW} has no feature 'age'"),
    "a feature without a view": ({"features": ["orders_30d"]}, 404, "features are of one view"),
    "features of another type": ({"features": [1]}, 400, "list of texts"),
    "a feature twice": ({"features": [f"{VIEW}:orders_30d"] * 2}, 400, "named twice"),
}
ENTITIES = {
    "another entity": ({"customer": [1]}, "named by customer_id"),
    "an entity too many": ({"customer_id": [1], "shop": [1]}, "named by customer_id"),
    "nobody": ({"customer_id": []}, "name one at least"),
    "a null": ({"customer_id": [1, None]}, "row 2: holds null"),
    "a text": ({"customer_id": ["01"]}, "row 1: holds a text that is no whole number"),
    "a fraction": ({"customer_id": [1.5]}, "row 1: holds a float that is no whole number"),
    "a truth": ({"customer_id": [True]}, "row 1: holds a truth value"),
    "too large": ({"customer_id": [2**63]}, "row 1: holds a whole number of more than 64 bits"),
    "a list": ({"customer_id": [[1]]}, "row 1: holds a value of type list"),
}


@pytest.mark.parametrize("fault", BAD)
def test_a_malformed_request_is_the_clients_fault(server, fault):
    body, status, why = BAD[fault]
    code, told = reason(server.post(body))
    assert (code, why in told) == (status, True), told


@pytest.mark.parametrize("fault", ENTITIES)
def test_entities_that_name_nobody_are_the_clients_fault(server, fault):
    entities, why = ENTITIES[fault]
    code, told = reason(server.post({"feature_service": SERVICE, "entities": entities}))
    assert (code, why in told) == (422, True), told


def test_one_customer_is_answered_alike_however_json_holds_the_number(server):
    plain, others = (server.read(asked) for asked in ([1] * 2, [1.0, "1"]))
    assert (plain.status_code, others.content) == (200, plain.content)


def test_large_requests_are_refused_and_no_larger_body_is_read(server):
    assert columns(server.read(list(range(1_000))))
    assert reason(server.read(list(range(1_001)))) == (
        413,
        "1,001 entities; at most 1,000 a request",
    )
    assert reason(server.post(b" " * (256 * 1024 + 1)))[0] == 413

    def endless() -> Iterator[bytes]:
        for _ in range(10_000):
            yield b" " * 65_536

    headers = {"Authorization": f"Bearer {server.token}"}
    try:
        refused = requests.post(
            server.address + READ, endless(), headers=headers, timeout=GIVE_UP_SECONDS
        )
        assert refused.status_code == 413
    except requests.ConnectionError:
        pass  # closed while it was still being sent
    assert columns(server.read([1]))


def test_a_body_that_does_not_come_is_not_waited_for(server):
    port = int(server.address.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=GIVE_UP_SECONDS) as slow:
        slow.sendall(
            f"POST {READ} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.token}\r\n"
            'Content-Length: 100\r\n\r\n{"fea'.encode()
        )
        assert slow.recv(4096).startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize(
    "path",
    [
        *("/push", "/write-to-online-store", "/materialize", "/materialize-incremental"),
        *("/materialize?async=true&force=true", "/search", "/retrieve-online-documents", "/chat"),
        *(
            "/v1/vector_stores",
            "/docs",
            "/openapi.json",
            "/static/chat/index.html",
            "/",
            "/ws/chat",
        ),
        *("//push", "/get-online-features/", "/get-online-features/../push"),
    ],
)
def test_nothing_else_of_feasts_server_is_reachable(server, path):
    for method in ("GET", "POST", "PUT"):
        answer = requests.request(
            method,
            server.address + path,
            json={"push_source_name": "x", "df": {}},
            headers={"Authorization": f"Bearer {server.token}"},
            allow_redirects=False,
            timeout=GIVE_UP_SECONDS,
        )
        code, told = reason(answer)
        assert (code, "nothing else" in told) == (404, True), (method, told)
    assert reason(server.get(READ))[0] == 404


# Faults of the store


def test_a_dead_a_hung_and_a_flushed_store_are_503_and_seen_by_health(repository, served_redis):
    settings = repository / "feature_store.yaml"
    settings.write_text(settings.read_text().replace(PATIENT, LESS_PATIENT))
    with serving(repository) as server:
        assert server.get("/health").json() == {VIEW: PRESENT.isoformat()}
        assert metric(server, f'feature_store_online_up{{view="{VIEW}"}}') == 1

        def unavailable(why: str) -> None:
            for _ in range(4):
                code, told = reason(server.read([1, UNKNOWN]))
                assert (code, why in told) == (503, True), told
            code, told = reason(server.get("/health"))
            assert (code, why in told) == (503, True), told
            assert metric(server, f'feature_store_online_up{{view="{VIEW}"}}') == 0

        def answers_again() -> None:
            wait_until(lambda: server.read([1]).ok and server.get("/health").ok)
            assert columns(server.read([1]))

        answers_again()
        served_redis.hang()
        try:
            unavailable("did not answer")
        finally:
            served_redis.resume()
        answers_again()

        dump = served_redis.save()
        served_redis.kill()
        unavailable("cannot be read")
        served_redis.start()
        answers_again()

        served_redis.flush()
        unavailable("holds nothing")
        served_redis.restore(dump)
        answers_again()


def test_a_stale_store_is_503_and_tells_its_age(repository):
    as_of = PRESENT + timedelta(hours=2, seconds=1)
    with serving(repository, "--workers", "1", as_of=as_of) as server:
        code, told = reason(server.read([1]))
        assert code == 503
        assert f"holds {VIEW} up to {PRESENT.isoformat()} only" in told
        assert reason(server.get("/health"))[0] == 503
        age = f'feature_store_online_age_seconds{{view="{VIEW}"}}'
        assert metric(server, age) == as_of.timestamp() - PRESENT.timestamp()
        # Within the grace of the contract once it is refreshed, and without a restart.
        from feature_access.registry import open_store
        from feature_pipeline.online.materialize import materialize_up_to

        materialize_up_to(open_store(repository), PRESENT + HOUR)
        assert columns(server.read([1]))
        assert metric(server, age) == 3601


def test_the_embedded_store_is_served_as_well(materialized, tmp_path, log):
    repository = with_contracts(copytree(materialized, tmp_path / "embedded"))
    with serving(repository, "--workers", "1", start=as_a_person_does) as server:
        answer = columns(server.read([1, LEAKY, UNKNOWN]))
        assert list(profiles(answer)) == expected(log, at(PRESENT, [1, LEAKY, UNKNOWN]))
        assert metric(server, f'feature_store_default_rows_total{{view="{VIEW}"}}') == 1
        database, kept = repository / "data" / "online_store.db", tmp_path / "kept.db"
        database.rename(kept)
        for _ in range(2):
            assert reason(server.get("/health"))[0] == reason(server.read([1]))[0] == 503
            assert metric(server, f'feature_store_online_up{{view="{VIEW}"}}') == 0
        kept.replace(database)
        assert server.get("/health").ok
        assert columns(server.read([1, LEAKY, UNKNOWN])) == answer
        database.write_bytes(b"")
        assert reason(server.get("/health"))[0] == 503


def test_a_server_comes_up_before_anything_is_registered_and_says_so(applied, tmp_path):
    repository = with_contracts(copytree(applied, tmp_path / "repository"))
    (repository / "data" / "registry.db").unlink()
    with serving(repository, "--workers", "1") as server:
        code, told = reason(server.get("/health"))
        assert (code, told) == (503, f"not registered: {VIEW}; run `feast apply`")
        assert metric(server, f'feature_store_online_up{{view="{VIEW}"}}') == 0
        assert reason(server.read([1])) == (404, "no such feature_service is served; known: none")


# Running it


def test_metrics_count_what_happened_in_all_workers(repository):
    with serving(repository) as server:
        customers = [1, 2, UNKNOWN]
        for _ in range(20):
            assert list(profiles(columns(server.read(customers))))[2] == ZEROS
        for _ in range(3):
            assert server.read([None]).status_code == 422
        for _ in range(2):
            assert server.post({}, token="nobody's token at all").status_code == 401
        text = server.get("/metrics").text
        for line in (
            'feature_store_requests_total{consumer="ML Platform",status="200"} 20.0',
            'feature_store_requests_total{consumer="ML Platform",status="422"} 3.0',
            'feature_store_requests_total{consumer="",status="401"} 2.0',
            'feature_store_request_seconds_count{status="200"} 20.0',
            f'feature_store_rows_total{{view="{VIEW}"}} 60.0',
            f'feature_store_default_rows_total{{view="{VIEW}"}} 20.0',
            f'feature_store_online_up{{view="{VIEW}"}} 1.0',
            f'feature_store_online_age_seconds{{view="{VIEW}"}} 0.0',
        ):
            assert line in text
        assert str(UNKNOWN) not in text
        assert problems(text) == []


def test_each_metric_is_told_once_as_it_stands_now_whichever_worker_is_asked(
    repository, served_redis
):
    with serving(repository) as server:
        assert columns(server.read([1, UNKNOWN]))
        for up in (1.0, 0.0):
            for _ in range(6):  # or one worker might answer all of them
                accept = "application/openmetrics-text; version=1.0.0"
                plain = server.get("/metrics")
                opened = requests.get(server.address + "/metrics", headers={"Accept": accept})
                assert plain.headers["content-type"].startswith("text/plain; version=")
                assert opened.headers["content-type"].startswith(accept)
                assert problems(plain.text) == []
                for found in ([*families(plain.text)], [*open_families(opened.text)]):
                    names = [family.name for family in found]
                    assert len(set(names)) == len(names)
                    assert all(name.startswith("feature_store_") for name in names)
                    samples = [sample for family in found for sample in family.samples]
                    labels = [(s.name, *sorted(s.labels.items())) for s in samples]
                    assert len(set(labels)) == len(labels)
                    assert not any("pid" in sample.labels for sample in samples)
                    shown = [s.value for s in samples if s.name == "feature_store_online_up"]
                    assert shown == [up]
                    ages = [s for s in samples if s.name == "feature_store_online_age_seconds"]
                    assert len(ages) == up
            served_redis.flush()


def test_what_each_consumer_read_is_on_record_once_the_server_stops(repository):
    log = OperationsLog(f"sqlite:///{repository / 'data' / 'operations.db'}")
    before = len(log.records(PRESENT))
    with serving(repository, "--workers", "1", stop=press_ctrl_c) as server:
        for _ in range(3):
            assert columns(server.read([1, 2, UNKNOWN]))
        body = {"feature_service": SERVICE, "entities": {"customer_id": [1]}}
        assert server.post(body, token=TOKENS["marketing analytics"]).status_code == 200
        assert server.post(body, token=TOKENS["Ad Sales"]).status_code == 403
        assert server.post(body, token="nobody's token at all").status_code == 401
        assert server.read([None]).status_code == 422  # was not given anything, nor refused it
        assert len(log.records(PRESENT)) == before  # nothing while requests are served
    assert server.printed == "stopped\n"
    records = log.records(PRESENT)[before:]
    assert {(r.job, r.subject, r.at, r.passed) for r in records} == {
        ("online_reads", VIEW, PRESENT, True)
    }
    counted = {"requests": 0, "rows": 0, "refused": 0, "from": PRESENT.isoformat()}
    assert [r.figures for r in records] == [
        counted | {"consumer": "ML Platform", "requests": 3, "rows": 9},
        counted | {"consumer": "marketing analytics", "requests": 1, "rows": 1},
        counted | {"consumer": "Ad Sales", "refused": 1},
        counted | {"refused": 1},
    ]


def test_no_worker_is_recycled_and_a_dead_one_is_replaced(repository):
    with serving(repository) as server:
        before = server.workers()
        assert len(before) == 2
        session = requests.Session()
        body = {"feature_service": SERVICE, "entities": {"customer_id": [1]}}
        headers = {"Authorization": f"Bearer {server.token}"}
        for number in range(1_200):
            if number in (100, 200):
                os.kill(server.process.pid, signal.SIGHUP if number == 100 else signal.SIGUSR2)
            assert session.post(server.address + READ, json=body, headers=headers).ok
        assert server.workers() == before

        os.kill(int(before.pop()), signal.SIGKILL)
        wait_until(lambda: len(server.workers()) >= 2 and server.workers() > before)
        assert columns(server.read([1]))
    assert server.printed.count("nothing is reloaded") == 2


def refused(tmp_path: Path, tokens: str | None, *options: str) -> str:
    environment = {name: v for name, v in os.environ.items() if name != "FEATURE_STORE_TOKENS"}
    environment["PYTHONPATH"] = str(ROOT)
    if tokens is not None:
        environment["FEATURE_STORE_TOKENS"] = tokens
    done = run_warm([ROOT / "scripts" / "serve.py", *options], tmp_path, environment)
    assert done.returncode == 2, done.stdout + done.stderr
    return done.stderr


@pytest.mark.parametrize(
    ("tokens", "why"),
    [
        (None, "is to hold a JSON object"),
        ("", "is to hold a JSON object"),
        ("{}", "is to hold a JSON object"),
        ("a secret that is no JSON", "is to hold a JSON object"),
        ('["a secret in a list"]', "is to hold a JSON object"),
        ('{"ML Platform": "a short secret"}', "the token of ML Platform is none, too short or"),
        (
            '{"ML Platform": "a long sécret token"}',
            "the token of ML Platform is none, too short or",
        ),
        ('{"ML Platform": null}', "the token of ML Platform is none, too short or"),
        (json.dumps(dict.fromkeys("AB", "one secret for both")), "two consumers have one token"),
    ],
)
def test_no_server_starts_without_tokens_and_none_is_shown(tmp_path, tokens, why):
    told = refused(tmp_path, tokens)
    assert "refused:" in told
    assert why in " ".join(told.split())
    assert "Traceback" not in told
    assert "secret" not in told


def test_an_invalid_contract_is_refused(tmp_path):
    (tmp_path / "none.md").write_text("# nothing")
    refused(tmp_path, json.dumps(TOKENS), "--contract", str(tmp_path / "none.md"))


@pytest.mark.slow
def test_a_server_whose_registry_is_down_does_not_begin(tmp_path: Path) -> None:
    """It says why, and starts no worker again and again."""
    names = ("WAREHOUSE_HOST", "WAREHOUSE_DATABASE", "WAREHOUSE_USER", "WAREHOUSE_SSLMODE")
    environment = os.environ | {f"FEATURE_STORE_{name}": "disable" for name in names}
    environment |= {
        "PYTHONPATH": str(ROOT),
        "FEAST_FS_YAML_FILE_PATH": "profiles/production.yaml",
        "FEATURE_STORE_REGISTRY": "login:s3cret@127.0.0.1:1/registry",
        "FEATURE_STORE_WAREHOUSE_PORT": "1",
        "FEATURE_STORE_WAREHOUSE_PASSWORD": "s3cret",
        "FEATURE_STORE_REDIS": "127.0.0.1:1",
        "FEATURE_STORE_TOKENS": json.dumps({"ML Platform": "0123456789abcdef"}),
    }
    done = run_warm([ROOT / "scripts" / "serve.py", "--port", "0"], ROOT, environment)
    assert done.returncode == 2, done.stderr
    assert "failed: the registry cannot be reached: see whether" in done.stderr
    assert "Traceback" not in done.stderr
    assert "s3cret" not in done.stdout + done.stderr
