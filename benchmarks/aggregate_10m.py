"""Aggregate 10 M events of 500 k customers over 120 days, beside two others in the same run.

The floor is what any exact answer must do at least: sort the same events by customer and time and
write as many rows. The peer is what a user would pick first: a rolling sum per customer at event
times (polars), which knows nothing of arrivals, superseded states or expiry.
"""

import os
import platform
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import duckdb
import typer
from rich.console import Console
from rich.table import Table

from contract_checks.language.loader import load

CONTRACT = Path(__file__).parent.parent / "contracts" / "customer_profile_v1.md"
AS_OF = datetime(2026, 5, 1, tzinfo=UTC)

_EVENTS = """
COPY (
    SELECT customer_id, event_timestamp,
           date_trunc('hour', event_timestamp) + INTERVAL 1 HOUR AS created_timestamp,
           1 + CAST(random() * 3 AS BIGINT) AS orders,
           round(random() * 100, 2) AS order_value,
           1 + CAST(random() * 2 AS BIGINT) AS sessions
    FROM (
        SELECT CAST(random() * $customers AS BIGINT) AS customer_id,
               TIMESTAMPTZ '2026-01-01 00:00:00+00'
                   + to_microseconds(CAST(random() * 120 * 86400e6 AS BIGINT)) AS event_timestamp
        FROM range($events)
    )
) TO '{path}' (FORMAT parquet)
"""


def ours(events: Path, out: Path) -> None:
    """The exact change log."""
    from feature_pipeline.change_log import aggregate

    terms = load(CONTRACT).time
    aggregate(
        events,
        out,
        out.with_suffix(".quarantine"),
        as_of=AS_OF,
        lookback_window=terms.lookback,
        allowed_lateness=terms.allowed_lateness,
    )


def floor(events: Path, out: Path) -> None:
    """Sort and write, nothing else."""
    with duckdb.connect(config={"memory_limit": "4GB", "temp_directory": str(out.parent)}) as db:
        db.execute(
            f"""COPY (SELECT * FROM read_parquet('{events}') ORDER BY customer_id, event_timestamp)
            TO '{out}' (FORMAT parquet, COMPRESSION zstd)"""
        )


def polars_rolling(events: Path, out: Path) -> None:
    """Rolling sums over 30 days at event times."""
    import polars as pl

    (
        pl.read_parquet(events)
        .sort("customer_id", "event_timestamp")
        .rolling("event_timestamp", period="30d", group_by="customer_id")
        .agg(pl.col("orders").sum(), pl.col("order_value").sum(), pl.col("sessions").sum())
        .write_parquet(out)
    )


WORK = {"ours": ours, "floor": floor, "polars rolling": polars_rolling}


def main(
    events: Annotated[int, typer.Option(help="Events to aggregate.")] = 10_000_000,
    customers: Annotated[int, typer.Option(help="Customers they are of.")] = 500_000,
    runs: Annotated[int, typer.Option(help="Runs of each; the median counts.")] = 3,
    child: Annotated[str, typer.Option(hidden=True)] = "",
    folder: Annotated[Path, typer.Option(hidden=True)] = Path(),
) -> None:
    """Print seconds, peak memory and the ratio to the floor, medians over the runs."""
    if child:
        WORK[child](folder / "events.parquet", folder / "out.parquet")
        return
    with TemporaryDirectory() as made:
        place = Path(made)
        with duckdb.connect() as db:
            db.execute("SET TimeZone = 'UTC'; SELECT setseed(0.5)")
            db.execute(
                _EVENTS.format(path=place / "events.parquet"),
                {"events": events, "customers": customers},
            )
        measured: dict[str, list[tuple[float, float]]] = {name: [] for name in WORK}
        for _ in range(runs):
            for name in WORK:
                measured[name].append(_measure(name, place))
    _print(measured, events, customers)


def _measure(name: str, folder: Path) -> tuple[float, float]:
    """Wall seconds and peak GB of one whole process."""
    started = time.monotonic()
    process = subprocess.Popen([sys.executable, __file__, "--child", name, "--folder", str(folder)])
    # wait4 gives this child's own peak, which RUSAGE_CHILDREN would mix with its siblings'.
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{name} failed")
    return time.monotonic() - started, usage.ru_maxrss / 1e6


def _print(measured: dict[str, list[tuple[float, float]]], events: int, customers: int) -> None:
    medians = {name: sorted(runs)[len(runs) // 2] for name, runs in measured.items()}
    table = Table("work", "seconds", "peak GB", "× floor")
    for name, (seconds, gigabytes) in medians.items():
        ratio = seconds / medians["floor"][0]
        table.add_row(name, f"{seconds:.1f}", f"{gigabytes:.1f}", f"{ratio:.2f}")
    console = Console()
    console.print(f"{events:,} events, {customers:,} customers, {platform.machine()}")
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
