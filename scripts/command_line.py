"""What command lines share: options, the present, refusals, progress, a table of answers."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from contract_checks.clock import instant, now
from contract_checks.console import console
from contract_checks.failure import run
from feature_access.online_stores.freshness import CLOCK_ALLOWANCE
from jobs.repository import ROOT, NotBegunError
from storage.errors import RefusedError

COULD_NOT_JUDGE = 2

DocumentOption = Annotated[
    Path, typer.Option("--contract", help="Document of the version.", metavar="FILE")
]
"""Whose version a job works for, where several are served side by side."""
EventsOption = Annotated[
    Path, typer.Option(help="customer_events: a parquet file, or a folder of them.")
]


def time_option(told: str) -> Any:
    """An option that takes a time, such as 2026-03-01T12:00Z; `told` says of what."""
    return typer.Option(parser=instant, metavar="TIME", help=told)


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
def refusals_exit(*others: type[Exception]) -> Iterator[None]:
    """Turn a refusal, one of ours or of `others`, into one message on stderr and exit code 2."""
    try:
        yield
    except Exception as error:
        # Imported late: most jobs are not refused, and some read no contract.
        from contract_checks.evidence.facts import MissingEvidence
        from contract_checks.language.loader import InvalidContract

        if not isinstance(error, (RefusedError, InvalidContract, MissingEvidence, *others)):
            raise
        printed = console(stderr=True, soft_wrap=True)
        printed.print("refused:", style="bold red", end=" ")
        printed.print(str(error), highlight=False)
        raise typer.Exit(COULD_NOT_JUDGE) from None


def run_job(main: Callable[..., None]) -> None:
    """Run a job's command line to its exit code; what no refusal explains is told to the channel.

    What a job writes is for its own user: it may hold identifiers.
    """
    os.umask(0o077)

    @wraps(main)
    def job(**given: Any) -> None:
        # Imported late: `--help` needs no engine.
        from jobs.reporting.job_failure import job_failure_told

        with job_failure_told(Path(sys.argv[0]).stem, given):
            main(**given)

    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(job)
    run(app, ROOT)


@contextmanager
def steps(*, lines: bool = False) -> Iterator[Callable[[str], None]]:
    """Give a function that names the step now running, and so ends the one before.

    `lines` tells each step in a line of its own where there is no terminal to draw on.
    """
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    printed = console(stderr=True, soft_wrap=True)
    progress = Progress(
        TextColumn("{task.description:<46}", markup=False),
        BarColumn(bar_width=24),
        TimeElapsedColumn(),
        console=printed,
        disable=not printed.is_terminal,
    )

    def end_running_step() -> None:
        for task in progress.tasks:
            progress.update(task.id, total=1, completed=1)

    def on_step(description: str) -> None:
        end_running_step()
        progress.add_task(description, total=None)
        if lines and not printed.is_terminal:
            printed.print(description, highlight=False)

    with progress:
        yield on_step
        end_running_step()


def answers_table(answers: Mapping[str, Sequence[object]], title: str | None = None) -> Table:
    """The answer of a look-up, a list of values per name; features sorted by name."""
    table = Table(title=title, title_justify="left")
    table.add_column("customer_id", no_wrap=True)
    for customer in answers["customer_id"]:
        table.add_column(str(customer), justify="right")
    for name in sorted(set(answers) - {"customer_id"}):
        table.add_row(name, *(_cell(value) for value in answers[name]))
    return table


def _cell(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)
