"""What the online benchmarks share: a repository over made-up customers, on a Redis of its own."""

import os
import platform
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import duckdb

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]  # the tests start real servers too

from feast_copy import HISTORY, apply, copy_of_the_project  # noqa: E402
from redis_server import RedisServer, on_redis  # noqa: E402

PRESENT = datetime(2026, 5, 1, tzinfo=UTC)
CONSUMER = "ML Platform"
SERVICE = "customer_profile"
VIEW = "customer_profile_v1"
FEATURES = ("avg_order_value_30d", "orders_30d", "sessions_30d", "distinct_order_days_30d")

_CUSTOMERS = """
COPY (
    SELECT customer_id,
           TIMESTAMPTZ '2026-05-01 00:00:00+00'
               - to_microseconds(CAST(random() * 29 * 86400e6 AS BIGINT)) AS event_timestamp,
           round(random() * 200, 2) AS avg_order_value_30d,
           1 + CAST(random() * 40 AS BIGINT) AS orders_30d,
           1 + CAST(random() * 60 AS BIGINT) AS sessions_30d,
           1 + CAST(random() * 25 AS BIGINT) AS distinct_order_days_30d
    FROM range(1, {customers} + 1) AS known(customer_id)
    ORDER BY customer_id, event_timestamp
) TO '{path}' (FORMAT parquet)
"""


@contextmanager
def repository_on_redis(folder: Path, customers: int) -> Iterator[tuple[Path, RedisServer]]:
    """A copy of the project, applied over one row a customer, with an empty Redis."""
    repository = copy_of_the_project(folder / "repository")
    with duckdb.connect() as db:
        db.execute("SET TimeZone = 'UTC'; SELECT setseed(0.5)")
        db.execute(_CUSTOMERS.format(customers=customers, path=repository / HISTORY))
    (folder / "redis").mkdir()
    server = RedisServer(folder / "redis")
    try:
        apply(on_redis(repository, server))
        yield repository, server
    finally:
        server.kill()


def terms() -> Any:
    """Terms that approve the benchmark's consumer."""
    from feature_access.terms import Terms

    return Terms(VIEW, (CONSUMER,), timedelta(hours=2))


def milliseconds(work: Callable[[], object], repeated: int) -> list[float]:
    """How long each of so many runs took."""
    taken = []
    for _ in range(repeated):
        started = perf_counter()
        work()
        taken.append(1_000 * (perf_counter() - started))
    return taken


def machine() -> str:
    """Where and under which load something was measured."""
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    load = ", ".join(f"{load:.2f}" for load in os.getloadavg())
    return f"{os.cpu_count()} cores, {cpu}; load average {load}"


def middle(taken: list[float]) -> float:
    """Their median."""
    return float(median(taken))
