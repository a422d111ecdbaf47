"""What every job's command line shares: where the repository is, refusals, exit codes."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from datetime import datetime
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer
from filelock import FileLock, Timeout

from contract_checks.clock import now
from contract_checks.console import console
from contract_checks.failure import run
from feature_access.online_stores.freshness import CLOCK_ALLOWANCE as CLOCK_ALLOWANCE
from feature_pipeline.compute_engines.postgres.warehouse import BusyWarehouseError, working_alone
from storage.atomic import clear_drafts
from storage.errors import RefusedError

ROOT = Path(__file__).resolve().parent.parent
WAREHOUSE = ROOT / "data" / "data_warehouse"
CONTRACT = ROOT / "contracts" / "customer_profile_v1.md"
EVENTS = WAREHOUSE / "customer_events.parquet"
HISTORY = WAREHOUSE / "customer_features_offline.parquet"
QUARANTINE = WAREHOUSE / "customer_events_quarantine.parquet"

COULD_NOT_JUDGE = 2

DocumentOption = Annotated[
    Path, typer.Option("--contract", help="Document of the version.", metavar="FILE")
]
"""Whose version a job works for, where several are served side by side."""


def to_declare(service: str, view: str) -> str:
    """What is left to a person once the pointer has moved."""
    return (
        f"declare service {service} with {view} in feature_repo/ now: until then `feast apply` "
        "refuses to register anything"
    )


class NotBegunError(RefusedError):
    """A job could not begin, and leaves no record: another one is at work, or nothing is there."""


class AheadOfClockError(NotBegunError):
    """A job was to work as of a time that has not come: nothing of it is known."""


def present(as_of: datetime | None) -> datetime:
    """The time that a job works as of: the one it was given, or now.

    Raises:
        AheadOfClockError: it is later than now, by more than another machine's clock may be fast.
    """
    clock = now()
    if as_of is None:
        return clock
    if as_of > clock + CLOCK_ALLOWANCE:
        raise AheadOfClockError(
            f"--as-of {as_of.isoformat()} has not come, it is {clock.isoformat()}: nothing of that "
            "time is known, and whatever is written of it bars the next refresh. Name an earlier "
            "time"
        )
    return as_of


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
    # Imported late: it asks this module where the repository is.
    from scripts.offline_rows import chosen_warehouse

    address = chosen_warehouse()
    return working_alone(address) if address else nullcontext()


@contextmanager
def refusals_exit(*refusals: type[Exception]) -> Iterator[None]:
    """Turn a refusal, or that of a profile or to begin, into one message on stderr and code 2."""
    caught: tuple[type[Exception], ...] = (*refusals, RefusedError, NotBegunError)
    try:
        yield
    except caught as refusal:
        printed = console(stderr=True, soft_wrap=True)
        printed.print("refused:", style="bold red", end=" ")
        printed.print(str(refusal), highlight=False)
        raise typer.Exit(COULD_NOT_JUDGE) from None


def run_job(main: Callable[..., None]) -> None:
    """Run a job's command line to its exit code; what no refusal explains is told to the channel.

    What a job writes is for its own user: it may hold identifiers.
    """
    os.umask(0o077)

    @wraps(main)
    def job(**given: Any) -> None:
        # Imported late: `--help` needs no engine.
        from scripts.job_failure import job_failure_told

        with job_failure_told(Path(sys.argv[0]).stem, given):
            main(**given)

    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(job)
    run(app, ROOT)
