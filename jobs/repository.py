"""Where the repository is, its tables and its warehouse, and writing alone."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from feature_pipeline.compute_engines.postgres.warehouse import BusyWarehouseError, working_alone
from storage.atomic import clear_drafts
from storage.errors import RefusedError
from storage.profile import VARIABLE, chosen_profile

if TYPE_CHECKING:
    from feast import FeatureStore

OnStep = Callable[[str], None]
"""What a job tells the step to that begins now."""

ROOT = Path(__file__).resolve().parent.parent
WAREHOUSE = ROOT / "data" / "data_warehouse"
CONTRACT = ROOT / "contracts" / "customer_profile_v1.md"
EVENTS = WAREHOUSE / "customer_events.parquet"
HISTORY = WAREHOUSE / "customer_features_offline.parquet"
QUARANTINE = WAREHOUSE / "customer_events_quarantine.parquet"


class NotBegunError(RefusedError):
    """A job could not begin, and leaves no record: another one is at work, or nothing is there."""


def feature_store() -> "FeatureStore":
    """The repository's, opened. Feast, which takes seconds, is imported no earlier."""
    from feature_access.registry import open_store

    return open_store(ROOT)


def warehouse_of(store: "FeatureStore") -> str | None:
    """The libpq connection string of an open store's warehouse; see `chosen_warehouse`."""
    from feature_access.offline_stores.postgres_address import warehouse_address

    return warehouse_address(store.config)


def chosen_warehouse() -> str | None:
    """The libpq connection string of the chosen profile's warehouse; None where it lies in files.

    It holds the password: hand it to a driver, never to a log.

    Raises:
        RefusedError: see `chosen_profile`.
    """
    if not os.environ.get(VARIABLE):
        return None  # the embedded one, which is no reason to import Feast
    import feast_start  # noqa: F401  (before Feast)
    from feast.repo_config import load_repo_config

    from feature_access.offline_stores.postgres_address import warehouse_address

    return warehouse_address(load_repo_config(ROOT, chosen_profile(ROOT, os.environ)))


@contextmanager
def writing_alone() -> Iterator[None]:
    """Be the only job that writes to events or stores; the lock goes with the process, even killed.

    It lies with the lake, for whoever writes there: another checkout, another host. What a killed
    job left half written goes.

    Raises:
        NotBegunError: another one is at it, or the lake lies where nobody can be kept out.
    """
    with _alone_in_the_lake(ROOT / "data" / WAREHOUSE.name), ExitStack() as warehouse:
        try:
            warehouse.enter_context(_alone_in_the_warehouse())
        except BusyWarehouseError as busy:
            raise NotBegunError(str(busy)) from busy
        clear_drafts(ROOT / "data")
        yield


@contextmanager
def _alone_in_the_lake(lake: Path) -> Iterator[None]:
    lock = lake / "writing.lock"
    # Without flock the library would take a file for the lock, which a killed job leaves behind.
    held = FileLock(lock, timeout=0, fallback_to_soft=False)
    try:
        lake.mkdir(parents=True, exist_ok=True)
        held.acquire()
    except Timeout as busy:
        raise NotBegunError(
            f"another job is writing to the stores (it holds {lock}): run again when it has ended"
        ) from busy
    except OSError as error:
        raise NotBegunError(
            f"{lock} cannot be locked ({error.strerror}), so two jobs could write at once: keep "
            "data/data_warehouse on a local disk or on NFS with locks, and no object store"
        ) from error
    try:
        yield
    finally:
        held.release()


def _alone_in_the_warehouse() -> AbstractContextManager[None]:
    """The lock of every host, where the chosen profile has a warehouse."""
    address = chosen_warehouse()
    return working_alone(address) if address else nullcontext()
