"""An hourly refresh beside a full rebuild, for histories of three lengths, in the same run.

In the last hour 1 % of the customers are active. A rebuild makes the change log of all events and
brings everybody online; a refresh adds the hour. The floor is what no refresh can do without: write
the same new rows to parquet, and the same values to the same online store, and nothing else.
Before anything is timed the two must leave the same change log.
"""

import json
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import rmtree
from statistics import median
from tempfile import TemporaryDirectory
from typing import Annotated

import duckdb
import typer
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
END = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)

# A day's events arrive within the hour; each day is a part, as an ingestion job would leave it.
_DAY = """
COPY (
    SELECT customer_id, event_timestamp, event_timestamp + INTERVAL 20 MINUTE AS created_timestamp,
           1 + CAST(random() * 3 AS BIGINT) AS orders,
           round(random() * 100, 2) AS order_value,
           1 + CAST(random() * 2 AS BIGINT) AS sessions
    FROM (
        SELECT CAST(floor(random() * $customers) AS BIGINT) AS customer_id,
               $start + to_microseconds(CAST(random() * $microseconds AS BIGINT)) AS event_timestamp
        FROM range($events)
    ) ORDER BY created_timestamp
) TO '{part}' (FORMAT parquet)
"""


def main(
    customers: Annotated[int, typer.Option(help="Customers in the events.")] = 500_000,
    a_year_each: Annotated[int, typer.Option(help="Events of a customer in a year.")] = 20,
    runs: Annotated[int, typer.Option(help="Refreshes of each history; the median counts.")] = 5,
    quick: Annotated[bool, typer.Option(help="A hundredth of the customers, twice.")] = False,
    child: Annotated[str, typer.Option(hidden=True)] = "",
) -> None:
    """Print seconds of both, and the refresh as a share of the rebuild."""
    if child:
        print(json.dumps(_measured(Path(child), runs)))
        return
    # Imported late: it brings the project's own code, and the child is to take the copy's.
    from served import machine

    if quick:
        customers, runs = customers // 100, 2
    table = Table("history", "events", "rebuild s", "refresh s", "share", "floor s", "× floor")
    for months in (3, 6, 12):
        with TemporaryDirectory() as made:
            repository = _repository(Path(made) / "repository")
            days = months * 365 // 12
            events = _deliver_history(repository, customers, a_year_each, days, runs)
            rebuild, refreshes, floors = _in_the_repository(repository, runs)
            refresh, floor = median(refreshes), median(floors)
            table.add_row(
                f"{months} months",
                f"{events:,}",
                f"{rebuild:.2f}",
                f"{refresh:.3f}",
                f"{refresh / rebuild:.1%}",
                f"{floor:.3f}",
                f"{refresh / floor:.1f}",
            )
    console = Console(width=110)
    console.print(
        f"{customers:,} customers, {customers // 100:,} of them active in the hour; {machine()}"
    )
    console.print(table)


def _repository(place: Path) -> Path:
    """The project, registered at a place of its own."""
    sys.path.insert(0, str(ROOT / "tests" / "support"))
    from feast_copy import apply, copy_of_the_whole_project

    copy_of_the_whole_project(place)
    apply(place)
    return place


def _deliver_history(
    repository: Path, customers: int, a_year_each: int, days: int, hours: int
) -> int:
    events = repository / "data" / "data_warehouse" / "customer_events.parquet"
    events.mkdir()
    a_day = customers * a_year_each // 365
    with duckdb.connect() as db:
        db.execute("SET TimeZone = 'UTC'; SELECT setseed(0.5)")
        for n in range(days):
            _deliver(db, events, customers, a_day, END - timedelta(days=days - n), 24 * HOUR)
        for n in range(hours):
            part = repository / "hours"
            part.mkdir(exist_ok=True)
            _deliver(db, part, customers, customers // 100, END + n * HOUR, HOUR / 2)
    return a_day * days


def _deliver(
    db: duckdb.DuckDBPyConnection,
    folder: Path,
    customers: int,
    events: int,
    start: datetime,
    length: timedelta,
) -> None:
    db.execute(
        _DAY.format(part=folder / f"{start:%Y%m%dT%H}.parquet"),
        {
            "customers": customers,
            "events": events,
            "start": start,
            "microseconds": length / timedelta(microseconds=1),
        },
    )


def _in_the_repository(repository: Path, runs: int) -> tuple[float, list[float], list[float]]:
    done = subprocess.run(
        [sys.executable, __file__, "--child", str(repository), "--runs", str(runs)],
        cwd=repository,
        env={"PYTHONPATH": str(repository), "PATH": ""},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    rebuild, refreshes, floors = json.loads(done.stdout.splitlines()[-1])
    return rebuild, refreshes, floors


def _measured(repository: Path, runs: int) -> tuple[float, list[float], list[float]]:
    from contract_checks.language.loader import load
    from feature_access.registry import open_store
    from jobs.refreshing.refresh import refresh
    from jobs.repository import CONTRACT, EVENTS, HISTORY

    assert HISTORY.is_relative_to(repository), "the copy's own code"
    contract, store = load(CONTRACT), open_store(repository)

    def seconds(as_of: datetime) -> float:
        started = time.perf_counter()
        refresh(store, contract, as_of)
        return time.perf_counter() - started

    rebuild = seconds(END)
    refreshes, floors = [], []
    for hour in sorted((repository / "hours").iterdir()):
        (EVENTS / hour.name).write_bytes(hour.read_bytes())
        as_of = datetime.strptime(hour.stem, "%Y%m%dT%H").replace(tzinfo=UTC) + HOUR
        refreshes.append(seconds(as_of))
        floors.append(_floor(repository, store, as_of))
    _refuse_another_answer(repository, contract, as_of)
    return rebuild, refreshes, floors


def _floor(repository: Path, store: object, as_of: datetime) -> float:
    """Write the rows of the newest part to parquet, and their values as one batch online."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from feast.infra.passthrough_provider import PassthroughProvider

    from jobs.repository import HISTORY
    from storage.parquet_table import parts_of

    part = pq.read_table(parts_of(HISTORY)[-1])
    view = store.get_feature_view("customer_profile_v1")
    provider = PassthroughProvider(store.config)
    newest = pa.TableGroupBy(part, "customer_id").aggregate([("event_timestamp", "max")])
    newest = newest.rename_columns(["customer_id", "event_timestamp"])
    latest = newest.join(part, ["customer_id", "event_timestamp"]).to_pandas()
    started = time.perf_counter()
    pq.write_table(part, repository / "floor.parquet")
    provider.ingest_df(view, latest)
    return time.perf_counter() - started


def _refuse_another_answer(repository: Path, contract: object, as_of: datetime) -> None:
    """The log that was continued must be the one that all events make at once."""
    from feature_pipeline.change_log.aggregate import aggregate
    from jobs.repository import EVENTS, HISTORY
    from storage.duckdb_session import parquet_at

    whole = repository / "whole" / "log.parquet"
    whole.parent.mkdir()
    aggregate(
        EVENTS,
        whole,
        whole.with_name("quarantine.parquet"),
        as_of=as_of,
        lookback_window=contract.time.lookback,
        allowed_lateness=contract.time.allowed_lateness,
    )
    both = {"one": parquet_at(HISTORY), "other": str(whole)}
    for one, other in (("one", "other"), ("other", "one")):
        (differing,) = duckdb.execute(
            f"""SELECT count(*) FROM (
                FROM read_parquet(${one}) EXCEPT ALL FROM read_parquet(${other}))""",
            both,
        ).fetchone()
        assert differing == 0, f"{differing} rows differ"
    rmtree(whole.parent)


if __name__ == "__main__":
    typer.run(main)
