"""Aggregate 10 M events of 500 k customers over 120 days, beside others in the same run.

The floor is what any exact answer must do at least: sort the same events by customer and time, and
write as many rows. The peers are what a user would pick first, each a sum over 30 days per customer
at event times: polars' and pandas' rolling, and a range self-join in DuckDB. They know nothing of
arrivals and superseded states, and write a row an event; polars a second time with a row where an
event leaves as well, as many as we write. So that they answer the same at all, they are first
compared with us on events that arrive at once and are their day's only one.

pandas is given a tenth of the customers, and its time is multiplied by ten.
"""

import math
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from statistics import linear_regression
from tempfile import TemporaryDirectory
from typing import Annotated

import duckdb
import typer
from rich.console import Console
from rich.table import Table
from served import machine

from contract_checks.language.loader import load

CONTRACT = Path(__file__).parent.parent / "contracts" / "customer_profile_v1.md"
AS_OF = datetime(2026, 6, 1, tzinfo=UTC)
OF_PANDAS = 10

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
# Every second day of a customer, at a time of its own, known at once.
_PLAIN = """
COPY (
    SELECT customer AS customer_id,
           TIMESTAMPTZ '2026-01-01 00:00:00+00' + to_hours(CAST(day * 48 + customer % 20 AS BIGINT))
               + to_microseconds(day) AS event_timestamp,
           event_timestamp AS created_timestamp, 1 + (customer + day) % 3 AS orders,
           CAST((customer * day) % 97 AS DOUBLE) AS order_value, 1 + day % 2 AS sessions
    FROM range(200) c(customer), range(60) d(day)
) TO '{path}' (FORMAT parquet)
"""


def ours(events: Path, out: Path) -> None:
    """The exact change log."""
    from feature_pipeline.change_log.aggregate import aggregate

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
    """Sort and write, nothing else: once at its arrival and once at its expiry, a row an event."""
    _copy(
        f"""(FROM read_parquet('{events}') ORDER BY customer_id, event_timestamp)
        UNION ALL FROM read_parquet('{events}')""",
        out,
    )


def self_join(events: Path, out: Path) -> None:
    """Each event with all of its customer in the 30 days up to it."""
    _copy(
        f"""SELECT a.customer_id, a.event_timestamp, sum(e.orders) AS orders,
            sum(e.order_value) AS order_value, sum(e.sessions) AS sessions
        FROM read_parquet('{events}') a JOIN read_parquet('{events}') e
          ON e.customer_id = a.customer_id AND e.event_timestamp <= a.event_timestamp
         AND e.event_timestamp > a.event_timestamp - INTERVAL 30 DAY
        GROUP BY ALL ORDER BY ALL""",
        out,
    )


def _copy(query: str, out: Path) -> None:
    with duckdb.connect(config={"memory_limit": "4GB", "temp_directory": str(out.parent)}) as db:
        db.execute(f"SET TimeZone = 'UTC'; COPY ({query}) TO '{out}' (FORMAT parquet)")


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


def polars_both(events: Path, out: Path) -> None:
    """The same at the times at which an event comes or leaves."""
    import polars as pl

    amounts = ("orders", "order_value", "sessions")
    come = pl.read_parquet(events, columns=["customer_id", "event_timestamp", *amounts])
    leaving = come.with_columns(pl.col("event_timestamp") + pl.duration(days=30))
    leave = leaving.with_columns(pl.col(name) * 0 for name in amounts)
    (
        pl.concat([come, leave])
        .sort("customer_id", "event_timestamp")
        .rolling("event_timestamp", period="30d", group_by="customer_id")
        .agg(pl.col(name).sum() for name in amounts)
        .write_parquet(out)
    )


def pandas_rolling(events: Path, out: Path) -> None:
    """The same by pandas, of every tenth customer."""
    import pandas as pd

    rows = pd.read_parquet(events)
    rows = rows[rows.customer_id % OF_PANDAS == 0].sort_values(["customer_id", "event_timestamp"])
    rolling = rows.set_index("event_timestamp").groupby("customer_id").rolling("30D")
    rolling[["orders", "order_value", "sessions"]].sum().reset_index().to_parquet(out)


WORK = {
    "ours": ours,
    "floor": floor,
    "polars rolling": polars_rolling,
    "polars rolling, with leaving": polars_both,
    "DuckDB range self-join": self_join,
    "pandas rolling": pandas_rolling,
}
PEERS = [name for name in WORK if name not in ("ours", "floor")]


def main(
    events: Annotated[int, typer.Option(help="Events to aggregate.")] = 10_000_000,
    customers: Annotated[int, typer.Option(help="Customers they are of.")] = 500_000,
    runs: Annotated[int, typer.Option(help="Runs of each; the median counts.")] = 3,
    quick: Annotated[bool, typer.Option(help="A hundredth of both, once.")] = False,
    child: Annotated[str, typer.Option(hidden=True)] = "",
    folder: Annotated[Path, typer.Option(hidden=True)] = Path(),
) -> None:
    """Print seconds, peak memory and the ratio to the floor; then ours at three sizes more."""
    if child:
        WORK[child](folder / "events.parquet", folder / "out.parquet")
        return
    if quick:
        events, customers, runs = events // 100, customers // 100, 1
    console = Console(width=110)
    console.print(f"{events:,} events, {customers:,} customers; {machine()}")
    with TemporaryDirectory() as made:
        _refuse_another_answer(Path(made))
        _make(Path(made), _EVENTS, events=events, customers=customers)
        measured: dict[str, list[tuple[float, float]]] = {name: [] for name in WORK}
        for _ in range(runs):
            for name in WORK:
                measured[name].append(_measure(name, Path(made)))
        console.print(_compared(measured))
        console.print(_scaled(Path(made), events, customers))


def _make(folder: Path, query: str, **sizes: int) -> None:
    with duckdb.connect() as db:
        db.execute("SET TimeZone = 'UTC'; SELECT setseed(0.5)")
        db.execute(query.format(path=folder / "events.parquet"), sizes)


def _measure(name: str, folder: Path) -> tuple[float, float]:
    """Wall seconds and peak GB of one whole process."""
    started = time.monotonic()
    process = subprocess.Popen([sys.executable, __file__, "--child", name, "--folder", str(folder)])
    # wait4 gives this child's own peak, which RUSAGE_CHILDREN would mix with its siblings'.
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{name} failed")
    seconds = time.monotonic() - started
    return seconds * (OF_PANDAS if name == "pandas rolling" else 1), usage.ru_maxrss / 1e6


def _refuse_another_answer(folder: Path) -> None:
    """Every peer's orders, sessions and mean order value must stand in our log at its times."""
    _make(folder, _PLAIN)
    _measure("ours", folder)
    log = (folder / "out.parquet").rename(folder / "log.parquet")
    for name in PEERS:
        _measure(name, folder)
        share = f"customer_id % {OF_PANDAS} = 0" if name == "pandas rolling" else "true"
        rows = 2 if name == "polars rolling, with leaving" else 1
        asked, answered, alike = duckdb.execute(
            f"""SELECT
                (SELECT count(*) FROM read_parquet('{folder}/events.parquet') WHERE {share}),
                (SELECT count(*) FROM read_parquet('{folder}/out.parquet')),
                count(*) FILTER (l.orders_30d = p.orders AND l.sessions_30d = p.sessions
                    AND abs(l.avg_order_value_30d * p.orders - p.order_value) < 1e-9)
            FROM read_parquet('{folder}/out.parquet') p
            JOIN read_parquet('{log}') l USING (customer_id, event_timestamp)"""
        ).fetchall()[0]
        assert asked * rows == answered == alike > 0, f"{name} answers otherwise"


def _compared(measured: dict[str, list[tuple[float, float]]]) -> Table:
    medians = {name: sorted(runs)[len(runs) // 2] for name, runs in measured.items()}
    table = Table("work", "seconds", "peak GB", "× floor")
    for name, (seconds, gigabytes) in medians.items():
        ratio = seconds / medians["floor"][0]
        table.add_row(name, f"{seconds:.1f}", f"{gigabytes:.1f}", f"{ratio:.2f}")
    return table


def _scaled(folder: Path, events: int, customers: int) -> Table:
    """Ours at a tenth of the size, at all of it and at five times it, and the fitted exponent."""
    sizes = (events // 10, events, events * 5)
    table = Table("ours, events", "seconds", "peak GB", "exponent so far")
    before: list[tuple[float, float]] = []
    for size in sizes:
        _make(folder, _EVENTS, events=size, customers=customers * size // events)
        seconds, gigabytes = _measure("ours", folder)
        before.append((math.log(size), math.log(seconds)))
        table.add_row(f"{size:,}", f"{seconds:.1f}", f"{gigabytes:.1f}", _slope(before))
    return table


def _slope(points: list[tuple[float, float]]) -> str:
    if len(points) < 2:
        return ""
    return f"{linear_regression(*zip(*points, strict=True)).slope:.2f}"


if __name__ == "__main__":
    typer.run(main)
