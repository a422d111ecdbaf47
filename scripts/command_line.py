"""What every job's command line shares: where the repository is, refusals, exit codes."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from filelock import FileLock, Timeout
from rich.console import Console

from feature_access.refusal import RefusedError as UnusableProfileError
from feature_pipeline.refusal import RefusedError

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


@contextmanager
def writing_alone() -> Iterator[None]:
    """Be the only job that writes to events or stores; the lock goes with the process, even killed.

    Raises:
        NotBegunError: another one is at it.
    """
    lock = ROOT / "data" / "writing.lock"
    try:
        with FileLock(lock, timeout=0):
            yield
    except Timeout as held:
        raise NotBegunError(
            f"another job is writing to the stores (it holds {lock}): run again when it has ended"
        ) from held


@contextmanager
def refusals_exit(*refusals: type[Exception]) -> Iterator[None]:
    """Turn a refusal, that of a profile among them, into one message on stderr and exit code 2."""
    caught: tuple[type[Exception], ...] = (*refusals, UnusableProfileError)
    try:
        yield
    except caught as refusal:
        console = Console(stderr=True, soft_wrap=True)
        console.print("refused:", style="bold red", end=" ")
        console.print(str(refusal), markup=False, highlight=False)
        raise typer.Exit(COULD_NOT_JUDGE) from None
