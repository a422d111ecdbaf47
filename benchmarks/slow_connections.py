"""The feature server while a crowd of connections asks for nothing, beside the same one in quiet.

Each of the crowd sends a letter of a head that never ends every second, and opens another
connection as soon as it is shut. Quiet and crowded rounds take turns; all share the machine.
"""

import asyncio
import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer
from feature_server import OURS, materialize, request_bodies, servers, serving
from http_load import Load, open_load
from rich.console import Console
from rich.table import Table
from served import machine, repository_on_redis


def main(
    crowd: Annotated[int, typer.Option(help="Connections that ask for nothing.")] = 1_000,
    customers: Annotated[int, typer.Option(help="Customers in the store.")] = 20_000,
    workers: Annotated[int, typer.Option(help="Of the server.")] = 2,
    seconds: Annotated[float, typer.Option(help="Of each round.")] = 10,
    rate: Annotated[float, typer.Option(help="Requests a second.")] = 100,
    rounds: Annotated[int, typer.Option(help="Quiet ones, and as many crowded.")] = 5,
    quick: Annotated[bool, typer.Option(help="A smoke run.")] = False,
) -> None:
    """Print latencies and errors of the requests, quiet and crowded, and the ratio of their p95."""
    if quick:
        customers, seconds, rounds = 1_000, 2, 1
    console = Console(width=110)
    with TemporaryDirectory() as made, repository_on_redis(Path(made), customers) as place:
        repository, redis = place
        materialize(repository)
        command, cwd, more = servers(repository, redis.port, workers)[OURS]
        bodies = request_bodies(customers)
        loads = dict[str, list[Load]](quiet=[], crowded=[])
        with serving(command, cwd, more) as address:
            open_load(address, bodies, 2, rate, 8)
            console.print(f"{workers} workers, {rate:g} requests a second; {machine()}")
            for _ in range(rounds):
                loads["quiet"].append(open_load(address, bodies, seconds, rate, 8))
                with crowded(address, crowd) as held:
                    loads["crowded"].append(open_load(address, bodies, seconds, rate, 8))
                    console.print(f"{held.value:,} connections held open at the end of the round")
    table = Table(f"{crowd:,} connections", "p50 ms", "p95 ms", "p99 ms", "max ms", "requests")
    table.add_column("errors")
    for name, of in loads.items():
        middles = [f"{median(load.latency(p) for load in of):.2f}" for p in (50, 95, 99, 100)]
        requests, errors = sum(load.requests for load in of), sum(load.errors for load in of)
        table.add_row(name, *middles, f"{requests:,}", str(errors))
    console.print(table)
    pairs = zip(loads["crowded"], loads["quiet"], strict=True)
    ratio = median(slow.latency(95) / quiet.latency(95) for slow, quiet in pairs)
    console.print(f"p95 crowded to quiet, median of {rounds} rounds: {ratio:.2f}; {machine()}")


@contextmanager
def crowded(address: tuple[str, int], crowd: int) -> Iterator[Any]:
    """So many connections from another process; gives how many stand open."""
    held, all_there = multiprocessing.Value("i", 0), multiprocessing.Event()
    process = multiprocessing.Process(target=_crowd, args=(address, crowd, held, all_there))
    process.start()
    try:
        assert all_there.wait(60)
        yield held
    finally:
        process.terminate()
        process.join()


def _crowd(address: tuple[str, int], crowd: int, held: Any, all_there: Any) -> None:
    async def one() -> None:
        while True:
            try:
                reader, writer = await asyncio.open_connection(*address)
            except OSError:
                await asyncio.sleep(0.1)
                continue
            held.value += 1
            if held.value == crowd:
                all_there.set()
            with suppress(OSError):
                writer.write(b"GET /health HTTP/1.1\r\nx: ")
                while not reader.at_eof():
                    await asyncio.sleep(1)
                    writer.write(b"y")
                    await writer.drain()
            writer.close()
            held.value -= 1

    async def all_of_them() -> None:
        await asyncio.gather(*(one() for _ in range(crowd)))

    asyncio.run(all_of_them())


if __name__ == "__main__":
    typer.run(main)
