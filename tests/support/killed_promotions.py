"""A promotion or a rollback that is killed, and what it left."""

import multiprocessing
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from next_version import DROPPED, V1, V2
from two_versions import POINTER, Copy
from waiting import GIVE_UP_SECONDS

CUSTOMERS = [1, 2, 3, 4, 5]
FEATURES = ["avg_order_value_30d", "distinct_order_days_30d", "orders_30d"]
WHOLE = {V1: sorted([*FEATURES, DROPPED]), V2: FEATURES}
_SPAWN = multiprocessing.get_context("forkserver")


def ran(task: Callable[..., None], *arguments: object) -> int:
    """Run a task in a process that has Feast loaded already; its exit code, minus the signal."""
    _SPAWN.set_forkserver_preload(["feast", "duckdb", "pyarrow.parquet"])
    process = _SPAWN.Process(target=task, args=arguments)
    process.start()
    process.join(GIVE_UP_SECONDS)
    assert process.exitcode is not None
    return process.exitcode


def at_home(repository: Path) -> Any:
    """In a task: the repository's own code and its store."""
    sys.path.insert(0, str(repository))
    os.chdir(repository)
    os.environ.pop("FEATURE_STORE_OPERATIONS_LOG", None)
    from feature_access.registry import open_store

    return open_store(repository)


def version_of(answer: dict[str, list[Any]]) -> str:
    """Which version an answer is, whole and without a gap."""
    assert all(value is not None and value == value for v in answer.values() for value in v)
    (version,) = (v for v, features in WHOLE.items() if sorted(answer) == features)
    return version


def serving(copy: Copy) -> str:
    return version_of(copy.serves(POINTER, CUSTOMERS))


def moves(copy: Copy) -> list[tuple[str, str]]:
    done = [r for r in copy.records() if r.job in ("promotion", "rollback") and r.passed]
    return [(record.job, record.subject) for record in done]
