"""The feature server under load, beside a bare Starlette route and `feast serve`, in one run.

All have the same workers, the same Redis and the same customers, and are shown to give the same
answers before anything is timed. The load, the servers and Redis share the machine's cores.
"""

import json
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from shutil import copytree
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import requests
import typer
from http_load import Load, closed_load, open_load
from rich.console import Console
from rich.table import Table
from served import CONSUMER, FEATURES, PRESENT, ROOT, SERVICE, VIEW, machine, repository_on_redis

TOKEN = "the token of the benchmark"
CONCURRENCY = (1, 8, 32)
OURS, BARE = "scripts/serve.py", "bare Starlette"
FEAST, UNENDING = "feast serve", "feast serve --max-requests 0"


def main(
    customers: Annotated[int, typer.Option(help="Customers in the store.")] = 20_000,
    workers: Annotated[int, typer.Option(help="Of each server.")] = 2,
    seconds: Annotated[float, typer.Option(help="Of each measurement.")] = 10,
    rate: Annotated[float, typer.Option(help="Requests a second of the open load.")] = 200,
    long: Annotated[float, typer.Option(help="Seconds of a last, long open load; 0: none.")] = 0,
    quick: Annotated[bool, typer.Option(help="A smoke run.")] = False,
) -> None:
    """Print open-load latencies and errors, and peaks, of each server."""
    if quick:
        customers, seconds = 1_000, 2
    console = Console(width=110)
    with TemporaryDirectory() as made, ExitStack() as running:
        place = Path(made)
        repository, redis = running.enter_context(repository_on_redis(place, customers))
        materialize(repository)
        started: dict[str, tuple[str, int]] = {}
        for name, (command, cwd, more) in servers(repository, redis.port, workers).items():
            started[name] = running.enter_context(serving(command, cwd, more))
        _assert_equal_answers(started, customers)
        bodies = request_bodies(customers)
        console.print(f"{workers} workers each, one customer a request; {machine()}")
        _print_open(console, started, bodies, seconds, rate)
        _print_peaks(console, started, bodies, seconds)
        if long:
            load = open_load(started[OURS], bodies, long, rate, 32)
            console.print(f"{OURS} for {long / 60:g} minutes")
            console.print(_open_table({OURS: [("32", load)]}, rate))
            console.print(f"after it: {machine()}")


def materialize(repository: Path) -> None:
    from feature_access.registry import open_store
    from feature_pipeline.online.materialize import materialize_up_to

    materialize_up_to(open_store(repository), PRESENT)


def servers(repository: Path, redis: int, workers: int) -> dict[str, Any]:
    """Command, folder and environment of each; port comes last."""
    contract = ROOT / "contracts" / "customer_profile_v1.md"
    ours = [
        *(sys.executable, repository / "scripts" / "serve.py", "--workers", str(workers)),
        *("--as-of", PRESENT.isoformat(), "--contract", contract, "--port"),
    ]
    bare = [
        *(Path(sys.executable).with_name("gunicorn"), "bare_server:app", "-w", str(workers)),
        *("-k", "uvicorn_worker.UvicornWorker", "--chdir", ROOT / "benchmarks", "-b"),
    ]
    feast = [
        *(Path(sys.executable).with_name("feast"), "serve", "-w", str(workers)),
        *("--no-access-log", "--host", "127.0.0.1", "--port"),
    ]
    tokens = {"PYTHONPATH": str(repository), "FEATURE_STORE_TOKENS": json.dumps({CONSUMER: TOKEN})}
    plain = stock(repository)
    return {
        BARE: (bare, repository, _layout(repository) | {"BARE_REDIS": str(redis)}),
        FEAST: (feast, plain, {}),
        UNENDING: ([*feast[:2], "--max-requests", "0", *feast[2:]], plain, {}),
        OURS: (ours, repository, tokens),
    }


def _layout(repository: Path) -> dict[str, str]:
    """Where Feast put the features, for a server that knows nothing of Feast."""
    from feast.infra.online_stores.helpers import _mmh3, _redis_key
    from feast.protos.feast.types.EntityKey_pb2 import EntityKey
    from feast.protos.feast.types.Value_pb2 import Value

    probe = EntityKey(join_keys=["customer_id"], entity_values=[Value(int64_val=-2)])
    key = _redis_key("feature_store", probe)
    parts = key.split((-2).to_bytes(8, "little", signed=True))
    return {
        "BARE_KEY": ",".join(part.hex() for part in parts),
        "BARE_FIELDS": ",".join(_mmh3(f"{VIEW}:{name}").hex() for name in FEATURES),
        "BARE_NAMES": ",".join(FEATURES),
    }


def stock(repository: Path) -> Path:
    """The same repository as plain Feast would have it, over the same Redis."""
    plain = copytree(repository, repository.with_name("plain_feast"))
    settings = plain / "feature_store.yaml"
    text = settings.read_text()
    for ours, feasts in {
        "feature_access.online_stores.redis_store.DefaultingRedisOnlineStore": "redis",
        "feature_access.provider.HeartbeatProvider": "local",
    }.items():
        assert ours in text
        text = text.replace(ours, feasts)
    settings.write_text(text)
    return plain


@contextmanager
def serving(command: list[Any], cwd: Path, more: dict[str, str]) -> Iterator[tuple[str, int]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    last = f"127.0.0.1:{port}" if command[-1] == "-b" else str(port)
    silent = subprocess.DEVNULL
    process = subprocess.Popen(
        [*command, last], cwd=cwd, env=os.environ | more, stdout=silent, stderr=silent
    )
    try:
        give_up = time.monotonic() + 100
        while True:
            try:
                requests.get(f"http://127.0.0.1:{port}/health", timeout=60)
                break
            except requests.ConnectionError:
                assert process.poll() is None
                assert time.monotonic() < give_up
                time.sleep(0.1)
        yield "127.0.0.1", port
    finally:
        process.terminate()
        process.wait(timeout=30)


def _body(customers: list[int]) -> bytes:
    return json.dumps({"feature_service": SERVICE, "entities": {"customer_id": customers}}).encode()


def request_bodies(customers: int) -> list[bytes]:
    """A thousand requests, one customer each, as they go over the wire."""
    chosen = random.Random(1)
    found = []
    for _ in range(1_000):
        body = _body([chosen.randint(1, customers)])
        head = (
            "POST /get-online-features HTTP/1.1\r\nHost: localhost\r\n"
            f"Authorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        found.append(head.encode() + body)
    return found


def _assert_equal_answers(started: dict[str, tuple[str, int]], customers: int) -> None:
    """Of a few hundred known customers, every server says the same."""
    asked = random.Random(2).sample(range(1, customers + 1), 300)
    answers = []
    for _, port in started.values():
        response = requests.post(
            f"http://127.0.0.1:{port}/get-online-features",
            _body(asked),
            headers={"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"},
            timeout=30,
        )
        assert response.status_code == 200, response.text
        answer = response.json()
        if "metadata" in answer:
            names = answer["metadata"]["feature_names"]
            columns = [column["values"] for column in answer["results"]]
            answer = dict(zip(names, columns, strict=True))
        answers.append([answer[name] for name in FEATURES])
    assert all(len(column) == len(asked) for column in answers[0])
    assert all(answer == answers[0] for answer in answers)


def _print_open(
    console: Console,
    started: dict[str, tuple[str, int]],
    bodies: list[bytes],
    seconds: float,
    rate: float,
) -> None:
    loads = {
        name: [(str(c), open_load(address, bodies, seconds, rate, c)) for c in CONCURRENCY]
        for name, address in started.items()
    }
    console.print(_open_table(loads, rate))
    console.print(f"after the open loads: {machine()}")


def _open_table(loads: dict[str, list[tuple[str, Load]]], rate: float) -> Table:
    table = Table(f"open load, {rate:g}/s", "connections", "p50 ms", "p95 ms", "p99 ms", "max ms")
    table.add_column("requests")
    table.add_column("errors")
    for name, measured in loads.items():
        for connections, load in measured:
            percentiles = [f"{load.latency(p):.2f}" for p in (50, 95, 99, 100)]
            counts = f"{load.requests:,}", _errors(load)
            table.add_row(name, connections, *percentiles, *counts)
    return table


def _errors(load: Load) -> str:
    """How many, and with which status; 0 stands for a broken connection."""
    wrong = {status: n for status, n in load.statuses.items() if status != 200}
    return ", ".join(f"{n:,} × {status}" for status, n in sorted(wrong.items())) or "0"


def _print_peaks(
    console: Console, started: dict[str, tuple[str, int]], bodies: list[bytes], seconds: float
) -> None:
    table = Table(
        "closed load", "connections", "answers/s", "× Feast's, unending", "p95 ms", "errors"
    )
    for c in CONCURRENCY:
        loads = {name: closed_load(a, bodies, seconds, c) for name, a in started.items()}
        for name, load in loads.items():
            ratio = load.rate / loads[UNENDING].rate
            figures = f"{load.rate:,.0f}", f"{ratio:.2f}", f"{load.latency(95):.2f}"
            table.add_row(name, str(c), *figures, _errors(load))
    console.print(table)
    console.print(f"after the closed loads: {machine()}")


if __name__ == "__main__":
    typer.run(main)
