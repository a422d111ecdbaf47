"""Connections to scripts/serve.py that ask slowly, endlessly, in crowds, or for nothing."""

import json
import os
import select
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from shutil import copytree
from signal import SIGQUIT

import pytest
from feast_households import SERVICE
from feature_servers import READ, Server, columns, serving, with_contracts
from waiting import GIVE_UP_SECONDS, wait_until

pytest_plugins = ["feast_repository"]

FILES = 256
HELD = (FILES - 128) // 2
HEALTH = b"GET /health HTTP/1.1\r\nHost: x\r\n"


@pytest.fixture(scope="module")
def server(materialized: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One worker that may hold few connections; at the end it is asked to quit."""
    folder = tmp_path_factory.mktemp("embedded")
    repository = with_contracts(copytree(materialized, folder / "repository"))
    quit_ = lambda process: os.kill(process.pid, SIGQUIT)  # noqa: E731
    with serving(repository, "--workers", "1", files=FILES, stop=quit_) as running:
        assert columns(running.read([1]))
        yield running


def asking(server: Server, length: int) -> bytes:
    """The head of a consumer's request with so long a body."""
    return (
        f"POST {READ} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.token}\r\n"
        f"Content-Length: {length}\r\n\r\n"
    ).encode()


def until_shut(connection: socket.socket) -> bytes:
    """All that the server says."""
    said = b""
    try:
        while some := connection.recv(65_536):
            said += some
    except ConnectionResetError:
        pass
    return said


def statuses(said: bytes) -> list[int]:
    """Of each answer; one that is no route's holds its reason and nothing else."""
    found = []
    while said:
        head, _, rest = said.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        found.append(int(head[9:12]))
        if found[-1] != 200:
            assert b"content-type: application/json" in head
            assert set(json.loads(rest[:length])) == {"reason"}
        said = rest[length:]
    return found


def drip(connections: dict[str, socket.socket], letter: bytes) -> dict[str, list[int]]:
    """What each is answered that sends a letter now and then until it is shut."""
    poll = select.poll()
    names = {}
    for name, connection in connections.items():
        poll.register(connection, select.POLLIN)
        names[connection.fileno()] = name
    told = {}
    while names:
        for number, _ in poll.poll(200):
            poll.unregister(number)
            name = names.pop(number)
            told[name] = statuses(until_shut(connections[name]))
        for name in names.values():
            if name != "silent":
                with suppress(OSError):  # shut meanwhile
                    connections[name].sendall(letter)
    return told


def test_a_head_is_waited_for_a_while_and_no_longer(server):
    begun = {
        "silent": b"",
        "a path": b"GET /",
        "a header's name": HEALTH + b"x",
        "a header's value": HEALTH + b"x: ",
        "headers without an end": HEALTH + b"x: y\r\n",
    }
    with ExitStack() as held:
        connections = {name: held.enter_context(server.connection()) for name in begun}
        for name, sent in begun.items():
            connections[name].sendall(sent)
        for name, sent in {"again": b"GET /", "an unread body": b""}.items():
            connections[name] = other = held.enter_context(server.connection())
            if name == "again":
                other.sendall(HEALTH + b"\r\n")
            else:
                other.sendall(b"POST / HTTP/1.1\r\nContent-Length: 9999\r\n\r\n")
            said = b""
            while not said.endswith(b"}"):
                said += other.recv(65_536)
            assert statuses(said) == [200 if name == "again" else 404]
            other.sendall(sent)
        told = drip(connections, b"x")
    assert told.pop("silent") == told.pop("an unread body") == []
    assert set(map(tuple, told.values())) == {(408,)}, told


PADDING = b"x: " + b"y" * 100 + b"\r\n"
LARGE = {
    "a value": HEALTH + b"x: " + b"y" * 17_000 + b"\r\n\r\n",
    "a name": HEALTH + b"y" * 17_000 + b": x\r\n\r\n",
    "a path": b"GET /" + b"y" * 17_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "headers": HEALTH + b"x: y\r\n" * 101 + b"\r\n",
    "bytes of headers": HEALTH + (b"x: " + b"y" * 300 + b"\r\n") * 60 + b"\r\n",
}


@pytest.mark.parametrize("what", LARGE)
def test_a_larger_head_than_any_has_to_be_is_refused(server, what):
    for pieces in (1, 50):
        size = len(LARGE[what]) // pieces + 1
        with server.connection() as connection:
            for start in range(0, len(LARGE[what]), size):
                try:
                    connection.sendall(LARGE[what][start : start + size])
                except OSError:
                    break  # refused already
                if pieces > 1:
                    time.sleep(0.001)  # or they would go, and be read, as one
            assert statuses(until_shut(connection)) in ([431], []) if pieces > 1 else [431]


def test_a_head_of_usual_size_is_answered_however_it_comes(server):
    usual = HEALTH + PADDING * 90 + b"\r\n"
    for pieces in (1, 7, 100):
        size = len(usual) // pieces + 1
        with server.connection() as connection:
            for start in range(0, len(usual), size):
                connection.sendall(usual[start : start + size])
            assert connection.recv(65_536).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    ("begun", "more"),
    [
        (HEALTH + b"x: ", b"y" * 65_536),
        (HEALTH, b"y" * 65_536),
        (b"GET /", b"y" * 65_536),
        (HEALTH, b"x: y\r\n" * 10_000),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"y" * 65_536),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"x: y\r\n" * 10_000),
        (HEALTH + b"\r\n" + HEALTH + b"x: ", b"y" * 65_536),
    ],
    ids=["value", "name", "path", "headers", "chunk extension", "trailers", "the next head"],
)
def test_an_endless_head_is_not_kept(server, begun, more):
    (worker,) = server.workers()
    peak = Path(f"/proc/{worker}/status")

    def mebibytes() -> int:
        return int(peak.read_text().partition("VmHWM:")[2].split()[0]) // 1024

    before = mebibytes()
    with server.connection() as connection:
        connection.sendall(begun)
        with pytest.raises(OSError):
            for _ in range(2_000):
                connection.sendall(more)
    assert mebibytes() - before < 16
    assert server.get("/health").ok


def test_who_asks_is_answered_while_others_hold_every_connection(server):
    with ExitStack() as held:
        slow = [held.enter_context(server.connection()) for _ in range(3 * HELD)]
        for connection in slow:
            with suppress(OSError):  # it had to go already
                connection.sendall(HEALTH)
        for _ in range(20):
            assert columns(server.read([1]))
            assert server.get("/health").ok
        assert {status for c in slow[:HELD] for status in statuses(until_shut(c))} <= {503}
    with ExitStack() as held:
        first = held.enter_context(server.connection())
        first.sendall(HEALTH)
        wait_until(lambda: server.get("/health").ok)
        others = [held.enter_context(server.connection()) for _ in range(2 * HELD)]
        assert statuses(until_shut(first)) in ([503], [408])
        assert others


def test_whoever_comes_while_every_connection_is_being_answered_is_told_so(server):
    with ExitStack() as held:
        busy = [held.enter_context(server.connection()) for _ in range(HELD)]
        for connection in busy:
            connection.sendall(asking(server, 100))
        wait_until(lambda: server.get("/health").status_code == 503)
        assert set(server.get("/health").json()) == {"reason"}
        assert [statuses(until_shut(connection)) for connection in busy] == [[408]] * HELD
    assert columns(server.read([1]))


def test_answers_come_in_the_order_of_the_requests_whatever_becomes_of_the_last(server):
    body = json.dumps({"feature_service": SERVICE, "entities": {"customer_id": [1]}}).encode()
    right = asking(server, len(body)) + body
    for last, wanted in {
        HEALTH + b"Connection: close\r\n\r\n": [200, 200, 200],
        LARGE["headers"]: [200, 200, 431],
        LARGE["a value"]: [200, 200, 431],
    }.items():
        with server.connection() as connection:
            connection.sendall(right * 2 + last)
            assert statuses(until_shut(connection)) == wanted
    for nonsense in (b"\x00\x01\r\n\r\n", b"GET\r\n\r\n", b"CONNECT x:1 HTTP/1.1\r\n\r\n"):
        with server.connection() as connection:
            connection.sendall(nonsense)
            assert statuses(until_shut(connection)) == [400]


@pytest.mark.parametrize("reset", [True, False], ids=["reset", "closed"])
def test_who_goes_away_leaves_no_trace_in_the_log(server, reset):
    """What the server prints is looked at when it stops."""
    body = json.dumps({"feature_service": SERVICE, "entities": {"customer_id": [1]}}).encode()
    whole = asking(server, len(body)) + body
    upgrade = HEALTH + b"Connection: upgrade\r\nUpgrade: websocket\r\n\r\n"
    for sent in (whole, whole[:-3], whole * 3, HEALTH, (HEALTH + b"\r\n") * 20, upgrade, b""):
        for pause in (0.0, 0.001, 0.01):
            connection = server.connection()
            connection.sendall(sent)
            time.sleep(pause)
            if reset:
                hard = struct.pack("ii", 1, 0)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, hard)
            connection.close()
    assert columns(server.read([1]))


def test_who_takes_no_answer_is_let_go(server):
    asked = {"feature_service": SERVICE, "entities": {"customer_id": list(range(1_000))}}
    body = json.dumps(asked).encode()
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        connection.settimeout(GIVE_UP_SECONDS)
        connection.connect(("127.0.0.1", int(server.address.rpartition(":")[2])))
        poll = select.poll()
        poll.register(connection, 0)  # of what goes wrong alone
        with pytest.raises(OSError):
            while not poll.poll(10):
                connection.send(asking(server, len(body)) + body)
            connection.send(b"x")
    assert columns(server.read([1]))
