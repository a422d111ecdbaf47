"""What is said of a failure that no refusal explains: one line, an exit code, a file for a report.

Exit code 2: something outside this program failed, such as a disk, a database or a damaged file.
70 (`EX_SOFTWARE` of sysexits.h): this program did. Neither is 1, which says that a clause is
broken.
"""

import json
import os
import re
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import typer

from contract_checks.damaged_files import damaged_files, is_feature_repository
from contract_checks.server_faults import server_fault
from contract_checks.stopping import stoppable

OUTSIDE, OUR_OWN = 2, 70

_ROOMS = frozenset(
    {
        "__main__",
        "contract_checks",
        "feature_access",
        "feature_pipeline",
        "feature_repo",
        "jobs",
        "scripts",
        "storage",
    }
)
_LIBRARIES = frozenset(
    {"_duckdb", "alembic", "duckdb", "feast", "google", "psycopg", "psycopg_pool", "py4j"}
    | {"pyarrow", "pydantic", "pydantic_core", "pyspark", "redis", "requests", "sqlalchemy"}
    | {"sqlite3", "urllib3", "yaml"}
)
"""Their errors tell of what they were given to read, write or reach."""
_UNREADABLE = (OSError, MemoryError, EOFError, UnicodeDecodeError, json.JSONDecodeError)
_SECRET = re.compile(r"FEATURE_STORE_|KEY|TOKEN|SECRET|PASSWORD|WEBHOOK")
_SHORTEST_SECRET = 4
_QUOTED = re.compile(r"""'[^'/]*'|"[^"/]*\"""")
_LONGEST = 300  # characters


def run(command: Callable[[], object], repository: Path) -> None:
    """Run a command line to its exit code; whatever escapes it is told, and is never a 1.

    A pipe whose reader left and a question that nobody answered are no broken clause either.
    """
    try:
        with stoppable(_say):
            command()
    except SystemExit as ended:
        if ended.code == 1 and not isinstance(ended.__context__, typer.Exit):
            sys.exit(OUTSIDE)
        raise
    except Exception as error:
        sys.exit(tell(error, repository))


def tell(error: BaseException, repository: Path) -> int:
    """Say on standard error what failed and what to do; the exit code that goes with it."""
    damaged = next(damaged_files(repository), None)
    fault = server_fault(error)
    if fault and not damaged:
        line = one_line(error)
    elif damaged:
        line = f"{damaged}: restore it from a backup, then run again"
    elif _is_outside(error):
        line = f"{one_line(error)}: mend that, then run again"
    else:
        line = (
            f"{one_line(error)}{_place(error)}: an error of this program, not of its input. Report "
            f"it to its maintainers{_with_the_traceback(error, repository)}"
        )
    _say(f"failed: {line}")
    return OUTSIDE if damaged or fault or _is_outside(error) else OUR_OWN


def one_line(error: BaseException) -> str:
    """An error in one line, without the numbers and quoted values that may be an identifier.

    Secrets of the environment are blotted out as well. What our own refusals say was written for
    people to read, and stands whole.
    """
    if fault := server_fault(error):
        return fault if _room(type(error)) in _LIBRARIES else f"{error} ({fault})"
    kind, text = type(error).__name__, str(error)
    if _room(type(error)) in _ROOMS:
        return f"{kind}: {text}"
    if isinstance(error, OSError) and error.strerror:
        return ": ".join(map(str, filter(None, (kind, error.strerror, error.filename))))
    lines = _redacted(text.strip()).splitlines()
    return f"{kind}: {lines[0][:_LONGEST]}" if lines else kind


def _is_outside(error: BaseException) -> bool:
    return isinstance(error, _UNREADABLE) or _room(type(error)) in _LIBRARIES | _ROOMS


def _room(kind: type) -> str:
    return kind.__module__.partition(".")[0]


def _place(error: BaseException) -> str:
    """Where in our own code it came about."""
    ours = [f for f in _frames(error) if _ROOMS.intersection(Path(f.filename).parts)]
    return f" in {Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else ""


def _frames(error: BaseException) -> traceback.StackSummary:
    return traceback.extract_tb(error.__traceback__)


def _redacted(text: str) -> str:
    for name, value in os.environ.items():
        if _SECRET.search(name) and len(value) >= _SHORTEST_SECRET:
            text = text.replace(value, "***")
    return re.sub(r"(?<![A-Za-z\d])\d+", "#", _QUOTED.sub("'…'", text))


def _with_the_traceback(error: BaseException, repository: Path) -> str:
    """Keep where it came about, in a file that holds places and kinds of errors and no value."""
    file = repository / "data" / "failures.log"
    chain: list[BaseException] = [error]
    while cause := chain[-1].__cause__ or chain[-1].__context__:
        chain.append(cause)
    told = [
        line
        for each in reversed(chain)
        for line in (*_frames(each).format(), f"{one_line(each)}\n\n")
    ]
    try:
        if not is_feature_repository(repository):
            raise NotADirectoryError
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a") as log:
            log.writelines(told)
    except OSError:
        return f", with {'; '.join(map(one_line, chain))}"
    return f" with {file}, which holds where it came about and nothing of a customer"


def _say(line: str) -> None:
    with suppress(OSError):  # nobody may be there to read it; the exit code is
        typer.echo(line, err=True)
