"""Progress on stderr: a moving bar a step on a terminal; elsewhere lines, where they are wanted."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from contract_checks.console import console


@contextmanager
def steps(*, lines: bool = False) -> Iterator[Callable[[str], None]]:
    """Give a function that names the step now running, and so ends the one before.

    `lines` tells each step in a line of its own where there is no terminal to draw on.
    """
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
