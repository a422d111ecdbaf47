"""HTTP load from one process: keep-alive connections and raw bytes, so little of it is the load's.

An open load sends requests when they are due, whether or not those before are answered, and a
latency counts from when the request was due; where every connection is busy, it waits for one. A
closed load sends the next request as soon as the one before is answered, which finds the peak.
"""

import asyncio
import math
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import cycle
from time import perf_counter
from typing import Any

import uvloop
from hdrh.histogram import HdrHistogram

_LONGEST = 60_000_000  # microseconds


def _histogram() -> HdrHistogram:
    return HdrHistogram(1, _LONGEST, 3)


@dataclass
class Load:
    """What became of the requests."""

    seconds: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)
    """By HTTP status; 0 where the connection broke."""
    latencies: HdrHistogram = field(default_factory=_histogram)

    @property
    def requests(self) -> int:
        return sum(self.statuses.values())

    @property
    def errors(self) -> int:
        return self.requests - self.statuses[200]

    @property
    def rate(self) -> float:
        """Right answers a second."""
        return self.statuses[200] / self.seconds

    def latency(self, percentile: float) -> float:
        """Milliseconds that so many per cent of the requests stayed within."""
        return float(self.latencies.get_value_at_percentile(percentile)) / 1_000

    def saw(self, status: int, seconds: float) -> None:
        """Count an answer."""
        self.statuses[status] += 1
        self.latencies.record_value(max(1, min(math.ceil(seconds * 1e6), _LONGEST)))


class _Connection(asyncio.Protocol):
    """One request at a time; an answer is its status, and 0 for a broken connection."""

    def __init__(self) -> None:
        self._transport: Any = None
        self._waiting: asyncio.Future[int] | None = None
        self._received = b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        if end and len(body) >= int(length):
            self._received = b""
            self._answer(int(head[9:12]))

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._answer(0)

    def _answer(self, status: int) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(status)

    async def ask(self, address: tuple[str, int], request: bytes) -> int:
        loop = asyncio.get_running_loop()
        if self._transport is None:
            try:
                await loop.create_connection(lambda: self, *address)
            except OSError:
                return 0
        if self._transport is None:  # closed as soon as it was opened
            return 0
        self._waiting, self._received = loop.create_future(), b""
        self._transport.write(request)
        return await self._waiting


def closed_load(
    address: tuple[str, int], requests: Sequence[bytes], seconds: float, concurrency: int
) -> Load:
    """So many at a time, as fast as they are answered."""
    load = Load()
    turn = cycle(requests)

    async def one() -> None:
        connection = _Connection()
        while (started := perf_counter()) < end:
            status = await connection.ask(address, next(turn))
            load.saw(status, perf_counter() - started)

    async def all_of_them() -> None:
        nonlocal end
        started = perf_counter()
        end = started + seconds
        await asyncio.gather(*(one() for _ in range(concurrency)))
        load.seconds = perf_counter() - started

    end = 0.0
    uvloop.run(all_of_them())
    return load


def open_load(
    address: tuple[str, int],
    requests: Sequence[bytes],
    seconds: float,
    rate: float,
    concurrency: int,
) -> Load:
    """`rate` a second, over so many connections at most."""
    load = Load()

    async def send() -> None:
        idle = deque(_Connection() for _ in range(concurrency))
        free = asyncio.Semaphore(concurrency)
        running = set[asyncio.Task[None]]()
        started = perf_counter()

        async def one(request: bytes, due: float) -> None:
            async with free:
                connection = idle.popleft()
                status = await connection.ask(address, request)
                idle.append(connection)
            load.saw(status, perf_counter() - due)

        for i, request in zip(range(round(seconds * rate)), cycle(requests), strict=False):
            due = started + i / rate
            if (wait := due - perf_counter()) > 0:
                await asyncio.sleep(wait)
            task = asyncio.create_task(one(request, due))
            running.add(task)
            task.add_done_callback(running.discard)
        await asyncio.gather(*running)
        load.seconds = perf_counter() - started

    uvloop.run(send())
    return load
