"""CPU seconds of every step from events to answers, for docs/scaling.md to reckon from.

The shape is that of the case it reckons: each customer has 100 events a year, spread evenly, and a
refresh takes an hour of them. CPU is that of all threads, Redis apart, so a busy machine distorts
it less than the clock. The figures are per row, of one size; run two to see whether they are.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import duckdb
import typer
from rich.console import Console
from rich.table import Table
from served import HISTORY, SERVICE, VIEW, apply, copy_of_the_project, machine, repository_on_redis

HOUR = timedelta(hours=1)
START = datetime(2026, 1, 1, tzinfo=UTC)
A_YEAR_EACH = 100
WINDOW, LATENESS = timedelta(days=30), timedelta(hours=24)
READS = 2_000

# An hour's events arrive before its end. A day is a part, as an ingestion job would leave it.
_EVENTS = """
COPY (
    SELECT customer_id, event_timestamp, event_timestamp + INTERVAL 10 MINUTE AS created_timestamp,
           1 + CAST(random() * 3 AS BIGINT) AS orders,
           CAST(random() * 100 AS DECIMAL(18, 2)) AS order_value,
           1 + CAST(random() * 2 AS BIGINT) AS sessions
    FROM (
        SELECT CAST(floor(random() * $customers) AS BIGINT) AS customer_id,
               $start + to_microseconds(CAST(random() * $length AS BIGINT)) AS event_timestamp
        FROM range($events)
    ) ORDER BY created_timestamp
) TO '{part}' (FORMAT parquet)
"""


def main(
    customers: Annotated[int, typer.Option(help="Customers.")] = 100_000,
    days: Annotated[int, typer.Option(help="Days of history; more than the window.")] = 90,
    quick: Annotated[bool, typer.Option(help="A smoke run.")] = False,
) -> None:
    """Print rows, CPU seconds and rows per CPU second of each step, and bytes of what it leaves."""
    if quick:
        customers, days = 2_000, 40
    table = Table("step", "rows", "wall s", "CPU s", "rows per CPU s", "bytes a row")
    with TemporaryDirectory() as made:
        _offline(Path(made), customers, days, table)
    with TemporaryDirectory() as made:
        _online(Path(made), customers, table)
    with TemporaryDirectory() as made:
        _warehouse(Path(made), customers, days, table)
    console = Console(width=110)
    console.print(f"{customers:,} customers, {A_YEAR_EACH} events a year each, {days} days of them")
    console.print(machine())
    console.print(table)


def _offline(folder: Path, customers: int, days: int, table: Table) -> None:
    from feature_access.registry import open_store
    from feature_access.training.training_set import build_training_set
    from feature_pipeline.change_log.intake import stage_events
    from feature_pipeline.compute_engines.duckdb.engine import DuckDBEngine
    from feature_pipeline.refresh import refresh
    from feature_pipeline.refreshed import Tables, Terms
    from storage.duckdb_session import embedded_engine

    repository = copy_of_the_project(folder / "repository")
    apply(repository)
    history = repository / HISTORY
    events = history.with_name("customer_events.parquet")
    events.mkdir()
    count = sum(_deliver(events, customers, START + n * 24 * HOUR, 24) for n in range(days))
    end, tables = START + days * 24 * HOUR, Tables(events, history, folder / "quarantine.parquet")
    terms = Terms(WINDOW, LATENESS)

    def intake() -> None:
        with embedded_engine(folder) as connection:
            stage_events(connection, events, end, LATENESS)

    _row(table, "intake", count, intake, _size(events) / count)
    # So that the next ones can continue it.
    whole = refresh(DuckDBEngine(tables), end - 25 * HOUR, terms)
    log = f"intake, aggregation; {whole.history_rows / count:.2f} rows an event"
    again = Tables(events, folder / "again.parquet", folder / "again_quarantine.parquet")
    _row(table, log, count, lambda: refresh(DuckDBEngine(again), end, terms), None)
    refresh(DuckDBEngine(tables), end, terms)  # a day more
    for hours in (1, 12):
        added = _deliver(events, customers, end, hours)
        end += hours * HOUR
        step = f"refresh of {hours} h, offline table"
        _row(table, step, added, partial(refresh, DuckDBEngine(tables), end, terms), None)
    rows = duckdb.sql(f"SELECT count(*) FROM '{history}/*.parquet'").fetchone()[0]  # type: ignore[index]
    table.add_row("change log", f"{rows:,}", "", "", "", f"{_size(history) / rows:.0f}")
    store = open_store(repository)
    entities = duckdb.sql(
        f"""SELECT CAST(floor(random() * {customers}) AS BIGINT) AS customer_id,
                   TIMESTAMPTZ '{end}' - to_microseconds(CAST(random() * 5e12 AS BIGINT))
                       AS event_timestamp FROM range({customers})"""
    ).df()
    _row(
        table,
        "training set",
        customers,
        lambda: build_training_set(store, SERVICE, entities, b"sixteen or more characters"),
        None,
    )


def _online(folder: Path, customers: int, table: Table) -> None:
    from feature_access.registry import open_store

    with repository_on_redis(folder, customers) as (repository, server):
        store = open_store(repository)
        with server.client() as client:
            before, busy = client.info("memory")["used_memory"], _redis_cpu(client)
            present = datetime(2026, 5, 1, tzinfo=UTC)
            _row(
                table,
                "materialization to Redis",
                customers,
                lambda: store.materialize(present - WINDOW, present),
                lambda: (client.info("memory")["used_memory"] - before) / customers,
            )
            spent = _redis_cpu(client) - busy
            _redis_row(table, "the same, Redis itself", customers, spent)
            view = store.get_feature_view(VIEW)
            names = tuple(field.name for field in view.features)
            reader = store._get_provider().online_store.reader(store.config, view, names)
            for each in (1, 100):
                busy = _redis_cpu(client)
                keys = [
                    [{"customer_id": 1 + (n * each + k) % customers} for k in range(each)]
                    for n in range(READS // each * (1 if each == 1 else 10))
                ]
                step = f"online reads in process, {each} a read"
                rows = each * len(keys)
                _row(table, step, rows, lambda asked=keys: [*map(reader.read, asked)], None)
                spent = _redis_cpu(client) - busy
                _redis_row(table, "the same, Redis itself", rows, spent)


def _warehouse(folder: Path, customers: int, days: int, table: Table) -> None:
    """The same in PostgreSQL, whose processes are not ours: the clock alone."""
    from postgres_server import PostgresServer
    from warehouse import prepare

    from feature_pipeline.compute_engines.postgres.engine import PostgreSQLEngine
    from feature_pipeline.compute_engines.postgres.load import load_events
    from feature_pipeline.refresh import refresh
    from feature_pipeline.refreshed import Terms

    end = START + days * 24 * HOUR
    count = sum(_deliver(folder, customers, START + n * 24 * HOUR, 24) for n in range(days))
    whole, more = folder / "whole" / "events.parquet", folder / "more"
    whole.parent.mkdir()
    more.mkdir()
    duckdb.sql(f"COPY (FROM '{folder}/*.parquet') TO '{whole}' (FORMAT parquet)")
    hour = _deliver(more, customers, end, 1)
    (added,) = more.iterdir()
    server = PostgresServer()
    try:
        with server.new_database() as database:
            address = prepare(database).address
            for rows, events, until in ((count, whole, end), (hour, added, end + HOUR)):
                _waited(table, "PostgreSQL: load", rows, partial(load_events, address, events))
                _waited(
                    table,
                    "PostgreSQL: refresh",
                    rows,
                    partial(refresh, PostgreSQLEngine(address), until, Terms(WINDOW, LATENESS)),
                )
    finally:
        server.stop()


def _deliver(folder: Path, customers: int, start: datetime, hours: int) -> int:
    events = max(1, round(customers * A_YEAR_EACH * hours / (365 * 24)))
    length = (hours * HOUR - timedelta(minutes=11)) / timedelta(microseconds=1)
    with duckdb.connect() as db:
        seed = (start - START) / timedelta(days=3_650)  # or the same customers came every day
        db.execute(f"SET TimeZone = 'UTC'; SELECT setseed({seed})")
        asked = {"customers": customers, "start": start, "length": length, "events": events}
        db.execute(_EVENTS.format(part=folder / f"{start:%Y%m%dT%H}.parquet"), asked)
    return events


def _row(
    table: Table,
    step: str,
    rows: int,
    work: Callable[[], object],
    bytes_a_row: float | Callable[[], float] | None,
) -> None:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    left = bytes_a_row() if callable(bytes_a_row) else bytes_a_row
    told = "" if left is None else f"{left:.0f}"
    table.add_row(step, f"{rows:,}", f"{wall:.2f}", f"{cpu:.2f}", f"{rows / cpu:,.0f}", told)


def _waited(table: Table, step: str, rows: int, work: Callable[[], object]) -> None:
    wall = time.perf_counter()
    work()
    table.add_row(step, f"{rows:,}", f"{time.perf_counter() - wall:.2f}", "", "", "")


def _redis_row(table: Table, step: str, rows: int, cpu: float) -> None:
    table.add_row(step, f"{rows:,}", "", f"{cpu:.2f}", f"{rows / max(cpu, 0.01):,.0f}", "")


def _redis_cpu(client: object) -> float:
    used = client.info("cpu")  # type: ignore[attr-defined]
    return float(used["used_cpu_user"] + used["used_cpu_sys"])


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.glob("*.parquet"))


if __name__ == "__main__":
    typer.run(main)
