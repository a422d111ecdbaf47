"""The processes of the feature server: gunicorn's, which keep to what its workers promise."""

import os
import resource
import signal
import sys
from collections.abc import Callable
from typing import Any, ClassVar

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.errors import HaltServer
from uvicorn_worker import UvicornWorker

from contract_checks.console import console
from contract_checks.failure import OUTSIDE, tell
from jobs.repository import ROOT

_FILES = 10_000
"""Enough for as many connections as a worker holds, twice; the usual 1,024 are not."""


def serve(address: str, workers: int, build: Callable[[], Any]) -> None:
    """Run the application that `build` makes in each worker, until it is told to stop.

    Raises:
        SystemExit: with code 0 once SIGTERM, SIGINT or SIGQUIT stopped it; with 2 where a worker
            could not begin, which says why.
    """
    _allow_open_files()
    # Imported late: whoever is refused is to wait for nothing.
    from feature_access.server.connections import most_connections

    options = {
        "bind": address,
        "workers": workers,
        "worker_class": _Worker,
        "backlog": most_connections(),
        # Feast's server replaces a worker after 1,000 requests, and nobody answers meanwhile.
        "max_requests": 0,
        # A worker imports Feast before it reports, which takes seconds.
        "timeout": 120,
        "graceful_timeout": 10,
        "umask": 0o077,  # gunicorn would let everybody write to what a worker makes
        "loglevel": "warning",
        "control_socket_disable": True,  # one for all servers of a user, and it reloads
        "child_exit": _forget_the_worker,
        "on_exit": _say_so,
    }
    arbiter = os.getpid()
    try:
        _Server(options, build).run()
    except HaltServer:  # a second worker that could not begin, while the arbiter ends for the first
        sys.exit(OUTSIDE)
    except SystemExit as ended:
        if ended.code == Arbiter.WORKER_BOOT_ERROR and os.getpid() == arbiter:
            sys.exit(OUTSIDE)
        raise  # a worker's own end tells the arbiter how it went


class _Server(BaseApplication):  # type: ignore[misc]
    """Gunicorn, with an application that each worker builds for itself."""

    def __init__(self, options: dict[str, Any], build: Callable[[], Any]) -> None:
        self._options = options
        self._build = build
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._options.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        """Build it, or say in one line why that fails; no other worker would fare better."""
        try:
            return self._build()
        except Exception as error:
            tell(error, ROOT)
            sys.exit(Arbiter.WORKER_BOOT_ERROR)

    def run(self) -> None:
        _Arbiter(self).run()


class _Arbiter(Arbiter):  # type: ignore[misc]
    """Gunicorn's, which answers requests as long as it runs, and stops in one way."""

    def handle_hup(self) -> None:
        """Refuse: gunicorn would stop the workers before the next ones have started."""
        self.log.warning(
            "nothing is reloaded: contracts and tokens are read once. Start another server at "
            "another port, move the consumers to it, then stop this one"
        )

    handle_usr2 = handle_hup

    def handle_int(self) -> None:
        """Stop as upon SIGTERM; gunicorn would give the workers no time to finish."""
        raise StopIteration

    handle_quit = handle_int


class _Worker(UvicornWorker):  # type: ignore[misc]
    """Uvicorn's, whose connections cannot hold up one another."""

    CONFIG_KWARGS: ClassVar[dict[str, Any]] = {
        "loop": "auto",
        "http": "feature_access.server.connections:GuardedConnection",
        "ws": "none",
        # Before gunicorn's patience ends, or what was read would not be put on record.
        "timeout_graceful_shutdown": 5,
        "timeout_notify": 1,
    }

    def init_signals(self) -> None:
        """As uvicorn's; Ctrl-C reaches workers too, which stop as they would upon SIGTERM."""
        super().init_signals()
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # once they have stopped, and before they run

    async def callback_notify(self) -> None:
        """Stop once the master was killed: else nobody could stop it, or begin anew at its port."""
        await super().callback_notify()
        if os.getppid() != self.ppid:
            signal.raise_signal(signal.SIGTERM)


def _allow_open_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < _FILES:
        allowed = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


def _forget_the_worker(server: Any, worker: Any) -> None:
    from prometheus_client.multiprocess import mark_process_dead

    mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def _say_so(server: Any) -> None:
    console(stderr=True).print("stopped")
