"""Redis as production has it: a cluster, a password, TLS; each by an option of Feast's store."""

import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from threading import Thread

import pytest
from feast_households import AGED, HOUR, HOUSEHOLDS, LEAKY, PRESENT, UNKNOWN, at, expected, online
from feast_households import profiles as profiles_of
from online_readers import keys, opened, told, ways
from redis_server import RedisServer, on_redis
from waiting import wait_until

pytest_plugins = ["feast_repository", "feast_online"]

EVERYBODY = [*HOUSEHOLDS, LEAKY, AGED, UNKNOWN, 0, -5]
SLOTS = 16_384


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[list[RedisServer]]:
    """Two servers, with half of the slots each."""
    with ExitStack() as running:
        servers = []
        for name in ("left", "right"):
            (tmp_path / name).mkdir()
            server = RedisServer(tmp_path / name, {"cluster-enabled": "yes"})
            running.callback(server.kill)
            servers.append(server)
        left, right = (running.enter_context(server.client()) for server in servers)
        left.execute_command("CLUSTER", "ADDSLOTS", *range(SLOTS // 2))
        right.execute_command("CLUSTER", "ADDSLOTS", *range(SLOTS // 2, SLOTS))
        left.execute_command("CLUSTER", "MEET", "127.0.0.1", servers[1].port)
        wait_until(
            lambda: all("ok" in client.cluster("info")["cluster_state"] for client in (left, right))
        )
        yield servers


def answers_like_the_change_log(repository, log) -> None:
    from feature_access.registry import open_store
    from feature_pipeline.online.materialize import materialize_up_to

    store = open_store(repository)
    materialize_up_to(store, PRESENT - HOUR)
    materialize_up_to(store, PRESENT)
    right = expected(log, at(PRESENT, EVERYBODY))
    assert list(profiles_of(online(store, EVERYBODY).to_dict())) == right
    for read in ways(opened(repository)):
        assert told(read(keys(EVERYBODY), PRESENT)) == right


def test_a_cluster_is_written_and_read_across_its_servers(fresh, cluster, log):
    left, right = cluster
    answers_like_the_change_log(on_redis(fresh, left, "  redis_type: redis_cluster\n"), log)
    assert min(len(left.keys()), len(right.keys())) > 500


def with_options(repository: Path, server: RedisServer, port: int, options: str) -> Path:
    settings = on_redis(repository, server) / "feature_store.yaml"
    address = f"127.0.0.1:{server.port}"
    text = settings.read_text()
    assert address in text
    settings.write_text(text.replace(address, f"127.0.0.1:{port},{options}"))
    return repository


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[RedisServer]:
    """A server that answers nobody without its password."""
    (tmp_path / "guarded").mkdir()
    server = RedisServer(tmp_path / "guarded", {"requirepass": "open sesame"})
    yield server
    server.kill()


def test_a_password_opens_and_a_wrong_one_is_an_error_that_does_not_tell_it(fresh, guarded, log):
    from feature_access.errors import OnlineStoreDownError

    right, wrong = "password=open sesame", "password=wrong sesame"
    answers_like_the_change_log(with_options(fresh, guarded, guarded.port, right), log)
    settings = fresh / "feature_store.yaml"
    settings.write_text(settings.read_text().replace(right, wrong))
    for read in ways(opened(fresh)):
        with pytest.raises(OnlineStoreDownError) as told_why:
            read(keys([1]), PRESENT)
        assert "sesame" not in str(told_why.value)


@pytest.fixture
def encrypted(tmp_path: Path, redis_server: RedisServer) -> Iterator[tuple[int, Path]]:
    """A port where the server is reached by TLS alone, and the certificate to trust."""
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"),
            *("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", key, "-out", certificate),
        ],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        Thread(target=_terminate, args=(listening, context, redis_server.port), daemon=True).start()
        yield listening.getsockname()[1], certificate


def _terminate(listening: socket.socket, context: ssl.SSLContext, port: int) -> None:
    while True:
        try:
            plain, _ = listening.accept()
        except OSError:  # the test is over
            return
        try:
            outside = context.wrap_socket(plain, server_side=True)
        except (ssl.SSLError, OSError):  # whoever called did not speak TLS
            continue
        Thread(target=_join, args=(outside, port), daemon=True).start()


def _join(outside: socket.socket, port: int) -> None:
    """Pass on both ways, and shut neither end before both have ended.

    One that still reads in a descriptor that was shut reads, and answers, in whatever file is
    opened under its number next.
    """
    with outside, socket.create_connection(("127.0.0.1", port)) as inside:
        back = Thread(target=_pass_on, args=(inside, outside), daemon=True)
        back.start()
        _pass_on(outside, inside)
        back.join()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
    for end in (source, target):
        with suppress(OSError):  # it has ended already
            end.shutdown(socket.SHUT_RDWR)


def test_tls_is_spoken_and_a_stranger_s_certificate_is_not_taken(
    fresh, redis_server, encrypted, log
):
    from feature_access.errors import OnlineStoreDownError

    port, certificate = encrypted
    trusting = f"ssl=true,ssl_ca_certs={certificate}"
    answers_like_the_change_log(with_options(fresh, redis_server, port, trusting), log)
    settings = fresh / "feature_store.yaml"
    settings.write_text(settings.read_text().replace(f",ssl_ca_certs={certificate}", ""))
    for read in ways(opened(fresh)):
        with pytest.raises(OnlineStoreDownError, match=r"(?i)certificate"):
            read(keys([1]), PRESENT)
