"""A training set from PostgreSQL: 1 M entity rows against 1 M feature rows, beside two others.

The floor is what one would write by hand: COPY the entity rows in, sorted, look each up in the
index (LATERAL ... LIMIT 1), COPY the answer out. The peer is Feast's own PostgreSQL store, on a
sample, since it takes minutes; its ratio is to the floor on the same sample. Before anything is
timed the three must give equal answers.
"""

import platform
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import numpy as np
import pandas as pd
import psycopg
import pyarrow as pa
import typer
from pyarrow import csv
from rich.console import Console
from rich.table import Table

sys.path.append(str(Path(__file__).parent.parent / "tests" / "support"))
from postgres_server import Database, PostgresServer

START = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = 60
FEATURES = ("avg_order_value_30d", "orders_30d", "sessions_30d", "distinct_order_days_30d")
OURS = "feature_access.offline_stores.postgres_store.PointInTimePostgresOfflineStore"
STOCK = "postgres"

_FEATURE_ROWS = """
    CREATE TABLE log (
        customer_id bigint, event_timestamp timestamptz, avg_order_value_30d float,
        orders_30d bigint, sessions_30d bigint, distinct_order_days_30d bigint,
        PRIMARY KEY (customer_id, event_timestamp)
    );
    INSERT INTO log
    SELECT 1 + n %% %(customers)s,
           %(start)s + random() * %(days)s * INTERVAL '86400 seconds',
           random() * 100, n %% 7, n %% 5, n %% 3
    FROM generate_series(1, %(rows)s) AS n
    ON CONFLICT DO NOTHING;
    ANALYZE log;
"""

_BY_HAND = """
    COPY (
        SELECT e.n, f.avg_order_value_30d, f.orders_30d, f.sessions_30d, f.distinct_order_days_30d
        FROM asked AS e LEFT JOIN LATERAL (
            SELECT * FROM log AS f
            WHERE f.customer_id = e.customer_id AND f.event_timestamp <= e.event_timestamp
              AND f.event_timestamp >= e.event_timestamp - INTERVAL '30 days'
            ORDER BY f.event_timestamp DESC LIMIT 1
        ) AS f ON true
    ) TO STDOUT (FORMAT csv)
"""


def by_hand(database: Database, entities: pd.DataFrame) -> pa.Table:
    """COPY in the index's order, LATERAL, COPY, and the rows as Arrow: no defaults, no order."""
    numbered = pa.Table.from_pandas(
        entities.assign(n=range(len(entities))).sort_values(["customer_id", "event_timestamp"]),
        preserve_index=False,
    )
    text = pa.BufferOutputStream()
    csv.write_csv(numbered, text, csv.WriteOptions(include_header=False))
    with psycopg.connect(database.address, options="-c TimeZone=UTC") as connection:
        connection.execute(
            "CREATE TEMP TABLE asked (customer_id bigint, event_timestamp timestamptz, n bigint)"
        )
        with connection.cursor().copy("COPY asked FROM STDIN (FORMAT csv)") as copy:
            copy.write(text.getvalue())
        with connection.cursor().copy(_BY_HAND) as copy:
            answer = BytesIO(b"".join(copy))
    return csv.read_csv(answer, csv.ReadOptions(column_names=["n", *FEATURES]))


def through(store: Any, entities: pd.DataFrame) -> pa.Table:
    """Feast's own call, whichever store answers it."""
    references = [f"log:{feature}" for feature in FEATURES]
    return store.get_historical_features(entities, references).to_arrow()


def opened(database: Database, folder: Path, kind: str) -> Any:
    """A feature store over the table."""
    from feast import Entity, FeatureStore, FeatureView, Field, RepoConfig, ValueType
    from feast.infra.offline_stores.contrib.postgres_offline_store.postgres_source import (
        PostgreSQLSource,
    )
    from feast.types import Float64, Int64

    options = {"type": kind, "host": "127.0.0.1", "port": database.port, "sslmode": "disable"}
    options |= {"database": database.name, "user": database.user, "password": database.password}
    store = FeatureStore(
        config=RepoConfig(
            project="benchmark",
            provider="local",
            registry=str(folder / f"{kind}.db"),
            online_store={"type": "sqlite", "path": str(folder / "online.db")},
            offline_store=options,
            entity_key_serialization_version=3,
        )
    )
    customer = Entity(name="customer_id", join_keys=["customer_id"], value_type=ValueType.INT64)
    types = dict.fromkeys(FEATURES, Int64) | {FEATURES[0]: Float64}
    view = FeatureView(
        name="log",
        entities=[customer],
        ttl=timedelta(days=30),
        schema=[Field(name=n, dtype=t, tags={"default": "0"}) for n, t in types.items()],
        source=PostgreSQLSource(name="log", table="log", timestamp_field="event_timestamp"),
    )
    store.apply([customer, view])
    return store


def entity_rows(rows: int, customers: int) -> pd.DataFrame:
    """Rows in no order, a few of customers that are not there."""
    draw = np.random.default_rng(7)
    seconds = draw.uniform(0, DAYS * 86_400, rows)
    return pd.DataFrame(
        {
            "customer_id": draw.integers(1, int(customers * 1.02), rows),
            "event_timestamp": (pd.Timestamp(START) + pd.to_timedelta(seconds, unit="s")).floor(
                "us"
            ),
        }
    )


def refuse_other_answers(work: dict[str, Callable[[pd.DataFrame], pa.Table]], rows: int) -> None:
    """Make sure that all give the same for the same question."""
    sample = entity_rows(rows, rows // 10)
    order = ["customer_id", "event_timestamp"]
    answers = {}
    for name, ask in work.items():
        answer = ask(sample).to_pandas()
        if "n" in answer:
            answer = answer.sort_values("n").reset_index(drop=True).assign(**sample)
        kept = answer.fillna(0)[[*order, *FEATURES]].astype(dict.fromkeys(FEATURES, float))
        times = pd.to_datetime(kept["event_timestamp"], utc=True)
        kept["event_timestamp"] = times.astype("datetime64[us, UTC]")
        answers[name] = kept.sort_values(order).reset_index(drop=True)
    first, *others = answers.values()
    if not all(first.equals(other) for other in others):
        raise SystemExit("the answers differ: there is nothing to compare")
    found = int((first["avg_order_value_30d"] > 0).sum())
    Console().print(f"equal answers for {rows:,} entity rows, of which {found:,} have a value")


def main(
    rows: Annotated[int, typer.Option(help="Entity rows, and feature rows.")] = 1_000_000,
    stock_rows: Annotated[int, typer.Option(help="Entity rows for Feast's own store.")] = 50_000,
    runs: Annotated[int, typer.Option(help="Runs of each; the median counts.")] = 3,
    quick: Annotated[bool, typer.Option(help="A hundredth of it.")] = False,
) -> None:
    """Print seconds and the ratio to the floor, medians over the runs."""
    if quick:
        rows, stock_rows = rows // 100, stock_rows // 10
    customers = max(rows // 10, 1)
    server = PostgresServer()
    try:
        with server.new_database() as database, TemporaryDirectory() as folder:
            with psycopg.connect(
                database.address, autocommit=True, cursor_factory=psycopg.ClientCursor
            ) as connection:
                told = {"rows": rows, "customers": customers, "start": START, "days": DAYS}
                connection.execute(_FEATURE_ROWS, told)
                connection.execute("VACUUM log")
            stock = opened(database, Path(folder), STOCK)
            ours = opened(database, Path(folder), OURS)
            work = {
                "by hand": lambda entities: by_hand(database, entities),
                "ours": lambda entities: through(ours, entities),
                "Feast's own": lambda entities: through(stock, entities),
            }
            refuse_other_answers(work, min(rows, 5_000))
            whole, sample = entity_rows(rows, customers), entity_rows(stock_rows, customers)
            print_ratios(
                {
                    ("by hand", rows): seconds(work["by hand"], whole, runs),
                    ("ours", rows): seconds(work["ours"], whole, runs),
                    ("by hand", stock_rows): seconds(work["by hand"], sample, runs),
                    ("ours", stock_rows): seconds(work["ours"], sample, runs),
                    ("Feast's own", stock_rows): seconds(work["Feast's own"], sample, 1),
                },
                rows,
            )
    finally:
        server.stop()


def seconds(ask: Callable[[pd.DataFrame], pa.Table], entities: pd.DataFrame, runs: int) -> float:
    """The median of some runs."""
    taken = []
    for _ in range(runs):
        started = time.monotonic()
        answer = ask(entities)
        taken.append(time.monotonic() - started)
        if answer.num_rows != len(entities):
            raise SystemExit(f"{len(entities):,} rows asked, {answer.num_rows:,} answered")
    return statistics.median(taken)


def print_ratios(measured: dict[tuple[str, int], float], rows: int) -> None:
    """A line for each, beside the floor at the same number of entity rows."""
    table = Table("work", "entity rows", "seconds", "× by hand")
    for (name, entities), took in measured.items():
        ratio = took / measured["by hand", entities]
        table.add_row(name, f"{entities:,}", f"{took:.2f}", f"{ratio:.2f}")
    console = Console()
    console.print(f"{rows:,} feature rows, {platform.machine()}")
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
