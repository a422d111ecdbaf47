"""Ctrl-C and SIGTERM: a command of ours that is told to stop says so in one line and ends with 2.

Python would show where Ctrl-C came upon it, and let SIGTERM leave drafts and the processes that it
started. What was begun is put away as after any failure; nothing needs it, for a run that is killed
outright leaves what the next one goes on from.
"""

import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

STOPPED = 2
_LINE = "stopped: it was told to, before its work was done: run it again"
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_SCRIPTS = Path(__file__).resolve().parent.parent / "scripts"


class Stopped(KeyboardInterrupt):
    """What a command is told to stop with; libraries let a KeyboardInterrupt through."""


def leave(number: int = 0, frame: FrameType | None = None) -> NoReturn:
    """A handler of signals that ends at once: before a command has begun, or told it twice."""
    os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, f"{_LINE}\n".encode())
    os._exit(STOPPED)


def heed_while_starting() -> None:
    """From its first import on, where this process is a command of ours; a library leaves it be."""
    if _is_ours() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        _have(leave)


@contextmanager
def stoppable(say: Callable[[str], None]) -> Iterator[None]:
    """Let a command put away what it began when it is told to stop; afterwards nothing stops it.

    Raises:
        SystemExit: with 2, once it was told and has done so, whatever became of it since.
    """
    if signal.getsignal(signal.SIGTERM) is not leave:  # nobody's command, or one of a test
        yield
        return
    told: list[int] = []

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        told.append(number)
        _have(leave)
        logging.disable()  # libraries log how it came upon them, with a traceback
        raise Stopped

    def swallowed(lost: "sys.UnraisableHookArgs") -> None:
        leave() if isinstance(lost.exc_value, Stopped) else sys.__unraisablehook__(lost)

    sys.unraisablehook = swallowed
    _have(stop)
    try:
        yield
    except (Exception, KeyboardInterrupt, SystemExit) as ended:
        _have(signal.SIG_IGN if isinstance(ended, SystemExit) else leave)
        if not told:
            raise
    else:
        _have(signal.SIG_IGN)
    if told:
        say(_LINE)
        sys.exit(STOPPED)


def _have(handler: Any) -> None:
    """Handle them so, but for Ctrl-C where a shell put the command in the background (POSIX)."""
    for each in _SIGNALS:
        if signal.getsignal(each) is not signal.SIG_IGN:
            signal.signal(each, handler)


def _is_ours() -> bool:
    """A script of this repository, or `contract-checks`."""
    run = Path(sys.argv[0] if sys.argv else "")
    return (
        run.name == "contract-checks"
        or sys.orig_argv[1:3] == ["-m", "contract_checks"]
        or run.resolve().parent == _SCRIPTS
    )
