"""Progress on stderr: a moving bar a step on a terminal; elsewhere lines, where they are wanted."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn


@contextmanager
def steps(*, lines: bool = False) -> Iterator[Callable[[str], None]]:
    """Give a function that names the step now running, and so ends the one before.

    `lines` tells each step in a line of its own where there is no terminal to draw on.
    """
    console = Console(file=sys.stderr, highlight=False, soft_wrap=True)
    progress = Progress(
        TextColumn("{task.description:<46}"),
        BarColumn(bar_width=24),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
    )

    def end_running_step() -> None:
        for task in progress.tasks:
            progress.update(task.id, total=1, completed=1)

    def on_step(description: str) -> None:
        end_running_step()
        progress.add_task(description, total=None)
        if lines and not console.is_terminal:
            console.print(description)

    with progress:
        yield on_step
        end_running_step()
