"""Faults, and a command that meets one: signals, a disk that is full, files that are not whole."""

import fcntl
import os
import resource
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from waiting import GIVE_UP_SECONDS, seconds_until, wait_until
from warm_start import _main, warm

_PIPE = 1 << 20  # what a command may say before somebody reads it
_OURS = ("feature_repo", "feature_access", "storage")


class Done(NamedTuple):
    """A command that ended: minus the signal's number where one ended it."""

    code: int
    out: str
    err: str
    seconds: float
    """From its first line on."""


def command(
    words: Sequence[str],
    repository: Path,
    env: Mapping[str, str],
    *,
    signalled: tuple[float, signal.Signals] | None = None,
    full_at: int | None = None,
) -> Done:
    """Run a command warm; signalled so many seconds after its start, its files so long at most."""
    with TemporaryDirectory() as folder:
        given, out, err, begun = (Path(folder) / name for name in ("in", "out", "err", "begun"))
        given.touch()
        with _pipe(out) as said, _pipe(err) as complained, _pipe(begun) as began:
            streams = tuple(map(str, (given, out, err)))
            told = (list(words), str(repository), dict(env), streams)
            process = warm().Process(target=_harmed, args=(str(begun), full_at, *told))
            process.start()
            wait_until(lambda: began() or process.exitcode is not None)
            if signalled:
                delay, which = signalled
                process.join(delay)
                if process.exitcode is None:  # SIGKILL is for all of it, as a supervisor's is
                    (os.killpg if which is signal.SIGKILL else os.kill)(process.pid, which)
            seconds = seconds_until(lambda: process.join(GIVE_UP_SECONDS))
            if process.exitcode is None:
                process.kill()
                process.join()
                raise AssertionError(f"{words} hangs: {complained()}")
            return Done(process.exitcode, said(), complained(), seconds)


def _harmed(begun: str, full_at: int | None, *told: Any) -> None:
    """The process: it says when its own code has begun, for before nothing can be harmed."""
    os.setsid()
    if full_at is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (full_at, full_at))
    end, waiting = os.open(begun, os.O_WRONLY), [True]

    def note(event: str, arguments: tuple[Any, ...]) -> None:
        if event != "import" or not waiting:
            return
        # It heeds signals by now, or is Feast's command, which does not.
        heeds = signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
        if heeds or arguments[0].startswith(_OURS):
            waiting.clear()
            os.write(end, b".")

    # Text streams remember whether what they write to can be sought in.
    for number, path in enumerate(told[-1][1:], start=1):
        os.dup2(os.open(path, os.O_WRONLY), number)
    sys.stdout, sys.stderr = (
        os.fdopen(number, "w", encoding="utf-8", errors=errors, closefd=False)
        for number, errors in ((1, "strict"), (2, "backslashreplace"))
    )
    sys.addaudithook(note)
    _main(*told)


@contextmanager
def _pipe(path: Path) -> Iterator[Callable[[], str]]:
    """A named pipe, which is no part of a disk that is full, and what was said into it."""
    os.mkfifo(path)
    end = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    fcntl.fcntl(end, fcntl.F_SETPIPE_SZ, _PIPE)

    def said() -> str:
        try:
            return os.read(end, _PIPE).decode("utf-8", "replace")
        except BlockingIOError:
            return ""

    try:
        yield said
    finally:
        os.close(end)


def garbled(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[: len(content) // 2] = b"\x81" * (len(content) // 2)
    _replaced(file, bytes(content))


def truncated(file: Path) -> None:
    _replaced(file, file.read_bytes()[: file.stat().st_size // 2])


def absent(file: Path) -> None:
    file.unlink()


def _replaced(file: Path, content: bytes) -> None:
    file.unlink()  # other versions of the log link to it
    file.write_bytes(content)


DAMAGE: Mapping[str, Callable[[Path], None]] = {
    "truncated": truncated,
    "garbled": garbled,
    "absent": absent,
}
SIGNALS = {each.name: each for each in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)}
