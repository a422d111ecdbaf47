"""Materialize customers to an empty Redis: ours, Feast's own, and the floor, in one run.

The floor writes the same bytes, worked out before the clock starts, with redis-py's pipelined HSET.
Each runs in a process of its own, and all are shown to leave the same hashes behind.
"""

import hashlib
import os
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import redis
import typer
from feature_server import stock
from rich.console import Console
from rich.table import Table
from served import PRESENT, VIEW, machine, middle, repository_on_redis

BATCH = 10_000
_BATCHED = f"materialization:\n  online_write_batch_size: {BATCH}\n  pull_latest_features: true\n"
FLOOR, OURS, FEAST = "raw pipelined HSET", "ours", "Feast's own"


def main(
    customers: Annotated[int, typer.Option(help="Customers to write.")] = 1_000_000,
    runs: Annotated[int, typer.Option(help="Of each; the median counts.")] = 3,
    quick: Annotated[bool, typer.Option(help="A smoke run.")] = False,
    child: Annotated[str, typer.Option(hidden=True)] = "",
) -> None:
    """Print rows a second, peak memory and ratios, medians over the runs."""
    if child:
        _materialize(Path(child))
        return
    if quick:
        customers, runs = 10_000, 1
    with (
        TemporaryDirectory() as made,
        repository_on_redis(Path(made), customers) as (repository, server),
    ):
        plain = stock(repository)
        places = {
            f"{OURS}, defaults": repository,
            f"{FEAST}, defaults": plain,
            f"{OURS}, batches of {BATCH:,}": _batched(repository),
            f"{FEAST}, batches of {BATCH:,}": _batched(plain),
        }
        measured: dict[str, list[tuple[float, float]]] = {name: [] for name in [*places, FLOOR]}
        digests = set()
        with server.client() as client:
            for _ in range(runs):
                for name, place in places.items():
                    client.flushall()
                    measured[name].append(_in_a_child(place))
                    digests.add(_digest(client))
                measured[FLOOR].append((_floor(client), 0.0))
                digests.add(_digest(client))
        assert len(digests) == 1, "they wrote different things"
        _print(measured, customers)


def _batched(repository: Path) -> Path:
    """The same repository, which writes in batches."""
    from shutil import copytree

    copy = copytree(repository, repository.with_name(repository.name + "_batched"))
    with (copy / "feature_store.yaml").open("a") as settings:
        settings.write(_BATCHED)
    return copy


def _in_a_child(repository: Path) -> tuple[float, float]:
    """Seconds of the materialization alone, and the process's peak memory in GB."""
    process = subprocess.Popen(
        [sys.executable, __file__, "--child", str(repository)],
        env=os.environ | {"PYTHONPATH": str(repository)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    printed = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return float(printed.split()[-1]), usage.ru_maxrss / 1e6


def _materialize(repository: Path) -> None:
    from feature_access.registry import open_store

    store = open_store(repository)
    started = time.perf_counter()
    store.materialize(PRESENT - timedelta(days=30), PRESENT)
    print(time.perf_counter() - started)


def _floor(client: "redis.Redis") -> float:
    """Seconds to write again what is there, its bytes at hand."""
    names = list(client.scan_iter(count=10_000))
    hashes = []
    for start in range(0, len(names), BATCH):
        with client.pipeline(transaction=False) as pipe:
            for name in names[start : start + BATCH]:
                pipe.hgetall(name)
            hashes += zip(names[start : start + BATCH], pipe.execute(), strict=True)
    client.flushall()
    started = time.perf_counter()
    for start in range(0, len(hashes), BATCH):
        with client.pipeline(transaction=False) as pipe:
            for name, fields in hashes[start : start + BATCH]:
                pipe.hset(name, mapping=fields)
            pipe.execute()
    return time.perf_counter() - started


def _digest(client: "redis.Redis") -> str:
    """Of every customer's hash, whatever order they come in; heartbeats are ours alone."""
    whole = 0
    names = [n for n in client.scan_iter(count=10_000) if b"__heartbeat__" not in n]
    for start in range(0, len(names), BATCH):
        with client.pipeline(transaction=False) as pipe:
            for name in names[start : start + BATCH]:
                pipe.hgetall(name)
            for name, fields in zip(names[start : start + BATCH], pipe.execute(), strict=True):
                told = repr((name, sorted(fields.items()))).encode()
                whole ^= int.from_bytes(hashlib.blake2b(told, digest_size=16).digest())
    assert f"_ts:{VIEW}".encode() in fields
    return f"{len(names)} {whole:x}"


def _print(measured: dict[str, list[tuple[float, float]]], customers: int) -> None:
    seconds = {name: middle([taken for taken, _ in runs]) for name, runs in measured.items()}
    table = Table("work", "seconds", "rows/s", "× floor's time", "× Feast's speed", "peak GB")
    for name, taken in seconds.items():
        peer = seconds.get(name.replace(OURS, FEAST), taken)
        memory = middle([gigabytes for _, gigabytes in measured[name]])
        table.add_row(
            name,
            f"{taken:.1f}",
            f"{customers / taken:,.0f}",
            f"{taken / seconds[FLOOR]:.2f}",
            f"{peer / taken:.2f}" if OURS in name else "",
            f"{memory:.2f}" if memory else "",
        )
    console = Console(width=100)
    console.print(f"{customers:,} customers, four features and a stamp each; {machine()}")
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
