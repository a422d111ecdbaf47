"""Stores whose features have moved, for drift to be judged."""

from datetime import UTC, datetime, timedelta
from hashlib import md5
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

import contract_checks.checks.drift  # noqa: F401  (importing binds the checks)
from contract_checks.evidence.declared import RegisteredEntity, RegisteredView
from contract_checks.evidence.facts import Distribution, Drift
from contract_checks.operations.log import Record

AS_OF = datetime(2026, 3, 1, 12, tzinfo=UTC)
WINDOW, TTL = timedelta(days=30), timedelta(days=30)
TICK = timedelta(microseconds=1)
FEATURES = ("avg_order_value_30d", "distinct_order_days_30d", "orders_30d", "sessions_30d")
VIEW = "customer_profile_v1"
ZONED = pa.timestamp("us", tz="UTC")
TYPES = {
    "customer_id": pa.int64(),
    "event_timestamp": ZONED,
    "created_timestamp": ZONED,
    "avg_order_value_30d": pa.float64(),
} | dict.fromkeys(FEATURES[1:], pa.int64())
Rows = list[dict[str, Any]]


def row(customer: int | None, stamp: datetime | None, orders: Any = 1) -> dict[str, Any]:
    return {
        "customer_id": customer,
        "event_timestamp": stamp,
        "avg_order_value_30d": None if orders is None else float(orders),
        "distinct_order_days_30d": 1,
        "orders_30d": orders,
        "sessions_30d": 1,
    }


def write(rows: Rows, path: Path, names: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, pa.schema([(n, TYPES[n]) for n in names])), path)


def stores(folder: Path, rows: Rows) -> RegisteredView:
    """An offline table of those rows, and an event of yesterday for each of their customers."""
    offline = folder / "customer_features_offline.parquet"
    write(rows, offline, ["customer_id", "event_timestamp", *FEATURES])
    day = timedelta(days=1)
    events = [
        {
            "customer_id": customer,
            "event_timestamp": AS_OF - day,
            "created_timestamp": AS_OF - day,
        }
        for customer in dict.fromkeys(row["customer_id"] for row in rows)
    ]
    write(events, folder / "customer_events.parquet", list(TYPES)[:3])
    return view_of(offline)


def view_of(offline: Path, **tags: str) -> RegisteredView:
    return RegisteredView(
        name=VIEW,
        entities=(RegisteredEntity("customer_id", ("customer_id",), "INT64"),),
        ttl=TTL,
        owner="",
        description="",
        tags=tags,
        fields=(),
        online=True,
        source="data_warehouse.customer_features_offline",
        source_path=str(offline),
        source_owner="",
        timestamp_field="event_timestamp",
        materialized_to=AS_OF,
    )


def drawn_instant(customer: int, as_of: datetime = AS_OF) -> datetime:
    """The instant of the baseline at which a customer is looked at."""
    draw = int(md5(str(customer).encode(), usedforsecurity=False).hexdigest()[:15], 16)
    return as_of - (draw % (WINDOW // TICK)) * TICK


STILL = Distribution(("0", "1"), (500, 500), (510, 490), 0.0004, 0.008)
WARNED = Distribution(("0", "1", "2"), (500, 500, 0), (340, 650, 10), 0.1, 0.012)
DRIFT = Drift(AS_OF - WINDOW, AS_OF, dict.fromkeys(FEATURES, STILL), 0.99, 1.0, True)


def alert(hours: float = 1, **figures: Any) -> Record:
    told: dict[str, Any] = {
        "clause": "§7 warn",
        "feature": "orders_30d",
        "state": "begun",
        "message": "orders_30d drifted",
        "figure": "PSI 0.1",
        "channel": "#ml-alerts",
        "delivered": True,
    }
    at = AS_OF + timedelta(hours=hours)
    return Record("alert", figures.pop("subject", VIEW), at, True, 0.1, told | figures)
