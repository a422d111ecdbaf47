"""Commands run in processes of their own that have the libraries loaded, and nothing of ours.

Loading Feast, pandas and DuckDB takes longer than most commands. The processes are forked from one
that did so once, with multiprocessing's forkserver; what a command says and does is its own code's,
from where it is run. That commands start by themselves, too, is shown by the demonstration, by the
README's Python and by a server, which are run as a person runs them.
"""

import gc
import multiprocessing
import os
import resource
import runpy
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from multiprocessing.context import ForkServerContext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from loopback import stay_on_loopback
from waiting import GIVE_UP_SECONDS

_LIBRARIES = (
    *("feast_start", "feast", "feast.repo_operations", "feast.infra.passthrough_provider"),
    *("bigtree", "polars", "pygments"),  # `feast.cli`'s; it would itself set the root's logging
    *("feast.infra.registry.file", "feast.infra.registry.sql"),
    *("feast.infra.online_stores.sqlite", "feast.infra.online_stores.redis"),
    *("feast.infra.offline_stores.duckdb", "feast.infra.compute_engines.local.compute"),
    *("ibis.backends.duckdb", "duckdb", "pyarrow.parquet", "pyarrow.compute", "scipy.stats"),
    *("sqlalchemy.dialects.sqlite", "sqlalchemy.dialects.postgresql", "psycopg", "psycopg_pool"),
    *("filelock", "jinja2", "junitparser", "markdown_it", "pandas", "rich.console"),
    *("rich.progress", "rich.table", "slack_sdk", "starlette.applications", "tenacity", "tomllib"),
    *("typer", "fastapi", "gunicorn.arbiter", "prometheus_client.core", "uvicorn_worker"),
)
"""What takes long to import. `feast_start` only says how Feast is."""
_JUDGE = {"check", "gate", "promote.py"}
"""Commands that run the contract's probes."""
_OURS = (
    "feature_repo",
    "feature_pipeline",
    "feature_access",
    "contract_checks",
    "jobs",
    "scripts",
    "storage",
)


def warm() -> ForkServerContext:
    """A context whose processes have the libraries loaded."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(_LIBRARIES))
    return context


def run_warm(
    words: Sequence[str | Path],
    cwd: Path,
    env: Mapping[str, str],
    *,
    input: str = "",  # named as in subprocess.run
    timeout: float = GIVE_UP_SECONDS,
) -> "subprocess.CompletedProcess[str]":
    """What `subprocess.run` of a Python script and its arguments would give.

    Raises:
        subprocess.TimeoutExpired: it took longer than `timeout` seconds, and was killed.
    """
    process = warm().Process
    return _done(words, cwd, env, lambda *told: process(target=_main, args=told), input, timeout)


def run_script_warm(
    command: Sequence[str], *, env: Mapping[str, str], **_: Any
) -> "subprocess.CompletedProcess[str]":
    """In place of `subprocess.run` where it runs a script of this Python and captures its text."""
    python, *words = command
    assert python == sys.executable
    return run_warm(words, Path.cwd(), env)


class Started:
    """A command that goes on: what `subprocess.Popen` says of one, its words and errors together.

    It is the first process of a session of its own, so that a terminal's keys can be pressed.
    """

    def __init__(
        self, words: Sequence[str | Path], cwd: Path, env: Mapping[str, str], files: int | None
    ) -> None:
        """Start it; its processes may have so many `files` open each."""
        self._folder = TemporaryDirectory()
        given, self._said = (Path(self._folder.name) / name for name in ("in", "said"))
        given.touch()
        streams = (str(given), str(self._said), str(self._said))
        told = ([str(word) for word in words], str(cwd), dict(env), streams)
        self._process = warm().Process(target=_main_of_a_session, args=(files, *told))
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def terminate(self) -> None:
        self._process.terminate()

    def communicate(self, timeout: float | None = None) -> tuple[str, None]:
        """Wait for its end, and return what it said.

        Raises:
            subprocess.TimeoutExpired: it goes on.
        """
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(["a command that was started warm"], timeout or 0)
        return self._said.read_text(encoding="utf-8"), None


def forked_for_later() -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """Run one command as `run_warm` does, in a process that is forked now and waits for it.

    For processes that are the forkserver's own: it serves the process alone that started it.
    """
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()

    def wait() -> None:
        here.close()  # or it would wait for itself once the other is gone
        with suppress(EOFError):  # it was killed
            _main(*there.recv())

    process = context.Process(target=wait, daemon=True)
    process.start()

    def told(*what: Any) -> Any:
        here.send(what)
        return process

    return lambda words, cwd, env: _done(words, cwd, env, told, "", GIVE_UP_SECONDS)


def _done(
    words: Sequence[str | Path],
    cwd: Path,
    env: Mapping[str, str],
    process_of: Callable[..., Any],
    input: str,
    timeout: float,
) -> "subprocess.CompletedProcess[str]":
    command = [str(word) for word in words]
    with TemporaryDirectory() as folder:
        given, said, complained = (Path(folder) / name for name in ("in", "out", "err"))
        given.write_text(input, encoding="utf-8")
        streams = (str(given), str(said), str(complained))
        process = process_of(command, str(cwd), dict(env), streams)
        if process.pid is None:
            process.start()
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(command, timeout)
        out, err = (path.read_text(encoding="utf-8") for path in (said, complained))
    return subprocess.CompletedProcess(command, process.exitcode, out, err)


def start_the_first_script_warm() -> None:
    """For the start of a process that judges: the probes' job is a script that it runs."""
    run, later = subprocess.run, [forked_for_later()]

    def run_it(command: Sequence[str], **how: Any) -> "subprocess.CompletedProcess[Any]":
        python, *words = command
        if later and python == sys.executable and words[0].endswith(".py"):
            return later.pop()(words, Path.cwd(), how["env"])
        return run(command, **how)

    subprocess.run = run_it  # type: ignore[assignment]


def _main_of_a_session(files: int | None, *told: Any) -> None:
    os.setsid()
    if files:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    _main(*told)


def _main(command: list[str], cwd: str, env: dict[str, str], streams: tuple[str, ...]) -> None:
    """The process: streams, environment, folder, path and arguments as those of a command."""
    assert not set(_OURS) & sys.modules.keys()
    stay_on_loopback()
    gc.disable()  # a command ends soon; to look for garbage copies what all the processes share
    for number, path in enumerate(streams):
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND if number else os.O_RDONLY
        os.dup2(os.open(path, flags, 0o600), number)
    sys.stdin = os.fdopen(0, encoding="utf-8")  # multiprocessing shut the other one
    os.environ.clear()
    os.environ.update(env)
    sys.dont_write_bytecode = bool(env.get("PYTHONDONTWRITEBYTECODE"))
    os.chdir(cwd)
    script, named = Path(command[0]).absolute(), env.get("PYTHONPATH", "").split(os.pathsep)
    installed = [path for path in sys.path if path.startswith((sys.prefix, sys.base_prefix))]
    sys.path[:] = [str(script.parent), *filter(None, named), *installed]
    sys.argv = command
    if _JUDGE & {Path(word).name for word in command[:2]}:
        start_the_first_script_warm()
    runpy.run_path(command[0], run_name="__main__")
