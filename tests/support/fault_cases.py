"""Which faults are tried on which job, and how often: the suite's own list."""

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from fault_injection import DAMAGE, SIGNALS
from fault_jobs import EVENTS, JOBS
from feast_copy import HISTORY, ROOT
from next_version import DOCUMENT

TABLE = ROOT / "docs" / "faults.md"
DISK_IS_FULL = "disk full"
MOST_HARMED = ("refresh", "retain", "erase", "build_training_set", "step_back", "rollback")
"""They write what nobody can make again, in more than one place."""
_DATA, _LAKE = Path("data"), HISTORY.parent


def _part(table: str) -> Callable[[Path], Path]:
    return lambda repository: sorted((repository / _LAKE / table).glob("*.parquet"))[-1]


_PLACES: Mapping[str, Callable[[Path], Path]] = {
    "operations.db": lambda repository: repository / _DATA / "operations.db",
    "registry.db": lambda repository: repository / _DATA / "registry.db",
    "online_store.db": lambda repository: repository / _DATA / "online_store.db",
    "watermark": lambda repository: repository / HISTORY / "_watermark.json",
    "part of the log": _part(HISTORY.name),
    "part of the quarantine": _part("customer_events_quarantine.parquet"),
    "events": lambda repository: repository / EVENTS,
    "erased customers": lambda repository: repository / _LAKE / "erased_customers.txt",
    "contract": lambda repository: repository / DOCUMENT,
    "probes": lambda repository: (repository / DOCUMENT).with_suffix(".probes.toml"),
    "signatures": lambda repository: (repository / DOCUMENT).with_suffix(".signatures.json"),
    "feature_store.yaml": lambda repository: repository / "feature_store.yaml",
}


def place_of(kind: str, repository: Path) -> Path:
    return _PLACES[kind](repository)


def _often(job: str, most: int, some: int) -> range:
    return range(1 if JOBS[job].slow else most if job in MOST_HARMED else some)


def _damages(job: str, at: int) -> list[str]:
    """All of them for two jobs that read every file, for the others one in turn, or none."""
    kinds = list(DAMAGE)
    if job in ("refresh", "check"):
        return kinds
    if JOBS[job].slow or (job not in MOST_HARMED and at % 12 > _FILES_OF_OTHERS):
        return []
    return [kinds[at % len(kinds)]]


_FILES_OF_OTHERS = 4
_SOME = {"SIGKILL": 2, "SIGTERM": 1, "SIGINT": 1}

SIGNALLED = [
    (job, kind, n) for job in JOBS for kind in SIGNALS for n in _often(job, 4, _SOME[kind])
]
DISK = [(job, DISK_IS_FULL, n) for job in JOBS if JOBS[job].writes for n in _often(job, 3, 2)]
FILES = [
    (job, file, damage)
    for j, job in enumerate(JOBS)
    for f, file in enumerate(_PLACES)
    for damage in _damages(job, 5 * j + f)
]
_SERVERS_OF = ("PostgreSQL gone", "PostgreSQL refuses", "Redis gone", "Redis hung", "Redis empty")
_ON_SERVERS = (
    "refresh",
    "load_events",
    "retain",
    "build_training_set",
    "look_up",
    "backfill",
    "drift",
)
SERVERS = [(job, kind, 0) for job in _ON_SERVERS for kind in _SERVERS_OF]
_TELLING = ("refresh", "build_training_set", "rollback", "drift", "canary", "promote")
LISTENERS = {
    "webhook hung": "FEATURE_STORE_ALERT_WEBHOOK",
    "webhook gone": "FEATURE_STORE_ALERT_WEBHOOK",
    "lineage hung": "OPENLINEAGE_URL",
    "lineage gone": "OPENLINEAGE_URL",
}
"""Servers that jobs tell of what they did, and the variable that names each."""
TOLD = [(job, kind, 0) for job in _TELLING for kind in LISTENERS]
_SERVED_SIGNALS = {"SIGKILL of a worker": 4, "SIGTERM": 3, "SIGINT": 3, "SIGHUP": 2, "SIGKILL": 2}
SERVED_SIGNALS = [(kind, n) for kind, often in _SERVED_SIGNALS.items() for n in range(often)]
SERVED_FILES = [
    (file, damage)
    for file in (
        "online_store.db",
        "registry.db",
        "operations.db",
        "contract",
        "feature_store.yaml",
    )
    for damage in DAMAGE
]
_SERVED = [("serve", kind, n) for kind, n in SERVED_SIGNALS + SERVED_FILES]
EVERY: Counter[tuple[str, str]] = Counter(
    (j, k) for j, k, _ in SIGNALLED + DISK + FILES + SERVERS + TOLD + _SERVED
)
