"""One customer's few events through the real aggregation: what docs/time-semantics.md tells."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from contract_checks.language.contract import Contract
from contract_checks.language.sentence import spell
from feature_pipeline.change_log.aggregate import aggregate

DAY = timedelta(days=1)
START = datetime(2017, 3, 1, tzinfo=UTC)
PREDICTION = START + timedelta(days=2, hours=4)


@dataclass(frozen=True)
class Event:
    """One event: the customer's UTC day so far. Times are hours since START."""

    name: str
    happened_hour: int
    arrived_hour: int
    orders: int
    order_value: int
    sessions: int

    @property
    def happened(self) -> datetime:
        return START + timedelta(hours=self.happened_hour)

    @property
    def arrived(self) -> datetime:
        return START + timedelta(hours=self.arrived_hour)


EVENTS = (
    Event("A", 8, 12, orders=1, order_value=20, sessions=1),
    Event("B", 16, 20, orders=3, order_value=90, sessions=2),  # A's day, later on
    Event("C", 24 + 15, 48 + 12, orders=1, order_value=30, sessions=1),  # 21 h late
    Event("D", 48 + 9, 72 + 15, orders=1, order_value=60, sessions=1),  # 30 h late
    Event("E", 72 + 6, 72 + 10, orders=2, order_value=50, sessions=1),
)


@dataclass(frozen=True)
class Story:
    """What the pipeline made of the events."""

    window: timedelta
    rows: list[dict[str, Any]]
    """The change log, in order."""
    quarantined: dict[str, str]
    """Event name to the reason."""

    def replaced_by(self, event: Event) -> Event | None:
        """The next admitted state of the event's day."""
        later = (
            e
            for e in EVENTS
            if e.name not in self.quarantined
            and e.happened.date() == event.happened.date()
            and e.arrived > event.arrived
        )
        return next(later, None)

    def in_force_until(self, event: Event) -> datetime:
        successor = self.replaced_by(event)
        return successor.arrived if successor else event.happened + self.window

    def cause(self, stamp: datetime) -> str:
        """Why there is a row with this stamp."""
        for event in EVENTS:
            if event.name in self.quarantined:
                continue
            if stamp == event.arrived:
                gone = [e.name for e in EVENTS if self.replaced_by(e) == event]
                return f"{event.name} arrived" + "".join(f" and replaced {name}" for name in gone)
            if stamp == event.happened + self.window:
                return f"{event.name} left the window"
        raise LookupError(f"no event explains the row of {stamp}")

    def fate(self, event: Event) -> str:
        if reason := self.quarantined.get(event.name):
            return f"quarantined, {reason}"
        successor, until = self.replaced_by(event), _clock(self.in_force_until(event))
        if successor:
            return f"in force until {until}, when {successor.name} arrived"
        return f"in force until {until}, {spell(self.window)} after it happened"


def tell(contract: Contract) -> Story:
    """Run the real aggregation over EVENTS."""
    window, zoned = contract.time.lookback, pa.timestamp("us", tz="UTC")
    table = pa.table(
        {
            "customer_id": [7] * len(EVENTS),
            "event_timestamp": pa.array([e.happened for e in EVENTS], zoned),
            "created_timestamp": pa.array([e.arrived for e in EVENTS], zoned),
            "orders": [e.orders for e in EVENTS],
            "order_value": [Decimal(e.order_value) for e in EVENTS],
            "sessions": [e.sessions for e in EVENTS],
        }
    )
    with TemporaryDirectory() as folder:
        events, history, quarantine = (
            Path(folder) / f"{name}.parquet" for name in ("events", "history", "quarantine")
        )
        pq.write_table(table, events)
        aggregate(
            events,
            history,
            quarantine,
            as_of=START + window + 5 * DAY,
            lookback_window=window,
            allowed_lateness=contract.time.allowed_lateness,
            zone=contract.time.timezone,
        )
        rows = sorted(pq.read_table(history).to_pylist(), key=lambda row: row["event_timestamp"])
        refused = pq.read_table(quarantine).to_pylist()
    names = {e.happened: e.name for e in EVENTS}
    reasons = {names[row["event_timestamp"].astimezone(UTC)]: row["reason"] for row in refused}
    for row in rows:
        row["event_timestamp"] = row["event_timestamp"].astimezone(UTC)
    return Story(window, rows, reasons)


def _clock(time: datetime) -> str:
    return f"{time.day} {time:%b %H:%M}"


def _markdown(header: tuple[str, ...], rows: Iterator[tuple[object, ...]]) -> str:
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines) + "\n"


def events_table(story: Story) -> str:
    """The events, as Markdown."""
    return _markdown(
        ("event", "happened", "arrived", "orders", "order value", "sessions", "what becomes of it"),
        (
            (
                e.name,
                _clock(e.happened),
                _clock(e.arrived),
                e.orders,
                e.order_value,
                e.sessions,
                story.fate(e),
            )
            for e in EVENTS
        ),
    )


def rows_table(story: Story) -> str:
    """The rows the aggregation wrote, as Markdown."""
    features = [name for name in story.rows[0] if name not in ("customer_id", "event_timestamp")]
    return _markdown(
        ("row", "`event_timestamp`", *(f"`{name}`" for name in features), "because"),
        (
            (
                number,
                _clock(row["event_timestamp"]),
                *(f"{row[n]:.2f}" if isinstance(row[n], float) else row[n] for n in features),
                story.cause(row["event_timestamp"]),
            )
            for number, row in enumerate(story.rows, start=1)
        ),
    )
