"""The contract's words in the plainest Python: what a profile is at a prediction time.

Nothing here is incremental. Every question is answered anew from the events themselves, so it can
stand as the judge of an aggregation that never looks back.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import zip_longest
from operator import attrgetter, itemgetter
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq

MICROSECOND = timedelta(microseconds=1)
HAPPENED = attrgetter("event_timestamp")
TIMES = ("event_timestamp", "created_timestamp")


class Event(NamedTuple):
    """One customer's day so far, as it stood at `event_timestamp`."""

    customer_id: int | str
    event_timestamp: datetime
    created_timestamp: datetime
    orders: int
    order_value: Decimal | float
    sessions: int


class Profile(NamedTuple):
    avg_order_value_30d: float
    orders_30d: int
    sessions_30d: int
    distinct_order_days_30d: int


class Row(NamedTuple):
    """One row of the change log."""

    customer_id: int | str
    event_timestamp: datetime
    profile: Profile


class Counts(NamedTuple):
    ingested: int
    kept: int
    superseded: int
    quarantined: int
    not_yet_arrived: int


ZEROS = Profile(0.0, 0, 0, 0)


class Oracle:
    """Answers from `events`; window, lateness and zone are those of contract §3."""

    def __init__(
        self,
        events: Iterable[Event],
        *,
        lookback_window: timedelta,
        allowed_lateness: timedelta,
        zone: str = "UTC",
    ) -> None:
        self.zone = zone
        self.lookback_window = lookback_window
        self.allowed_lateness = allowed_lateness
        self.events = sorted(events, key=attrgetter(*TIMES))
        self.admissible: dict[int | str, list[Event]] = defaultdict(list)
        for event in self.events:
            if self.admits(event):
                self.admissible[event.customer_id].append(event)

    def admits(self, event: Event) -> bool:
        lateness = event.created_timestamp - event.event_timestamp
        return timedelta(0) <= lateness <= self.allowed_lateness

    def day_of(self, event: Event) -> date:
        return event.event_timestamp.astimezone(ZoneInfo(self.zone)).date()

    def profile(self, customer_id: int | str, at: datetime) -> Profile:
        """The four features over (at − window, at], of what had arrived by then."""
        events = self.admissible.get(customer_id, [])
        first = bisect_right(events, at - self.lookback_window, key=HAPPENED)
        beyond = bisect_right(events, at, key=HAPPENED)

        # The events are in order, so the last one written under a day is that day's latest state.
        days = {}
        for event in events[first:beyond]:
            if event.created_timestamp <= at:
                days[self.day_of(event)] = event

        orders = sum(day.orders for day in days.values())
        # As the decimal that is written, where it comes as a float; and rounded once.
        value = sum((Fraction(str(day.order_value)) for day in days.values()), Fraction(0))
        return Profile(
            avg_order_value_30d=float(value / orders) if orders else 0.0,
            orders_30d=orders,
            sessions_30d=sum(day.sessions for day in days.values()),
            distinct_order_days_30d=sum(day.orders > 0 for day in days.values()),
        )

    def counts(self, as_of: datetime) -> Counts:
        arrived = [event for event in self.events if event.created_timestamp <= as_of]
        accepted = [event for event in arrived if self.admits(event)]
        days = {(event.customer_id, self.day_of(event)) for event in accepted}
        return Counts(
            ingested=len(arrived),
            kept=len(days),
            superseded=len(accepted) - len(days),
            quarantined=len(arrived) - len(accepted),
            not_yet_arrived=len(self.events) - len(arrived),
        )

    def change_points(self) -> set[tuple[int | str, datetime]]:
        """Every instant at which an answer can change, and the microsecond before it."""
        points = set()
        for event in self.events:
            happened = event.event_timestamp
            for point in (happened, event.created_timestamp, happened + self.lookback_window):
                points.add((event.customer_id, point))
                points.add((event.customer_id, point - MICROSECOND))
        return points


class ChangeLog:
    """The history, read as a model reads it."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self.rows = list(rows)
        self.of_customer: dict[int | str, list[Row]] = defaultdict(list)
        for row in sorted(self.rows, key=itemgetter(1)):
            self.of_customer[row.customer_id].append(row)

    def day_of(self, event: Event) -> date:
        return event.event_timestamp.astimezone(ZoneInfo(self.zone)).date()

    def profile(self, customer_id: int | str, at: datetime, ttl: timedelta) -> Profile:
        """The newest row not after `at` and not older than the ttl; zeros when there is none."""
        rows = self.of_customer.get(customer_id, [])
        newest = bisect_right(rows, at, key=HAPPENED) - 1
        if newest < 0 or rows[newest].event_timestamp < at - ttl:
            return ZEROS
        return rows[newest].profile


def differences(
    oracle: Oracle, log: ChangeLog, asked: Iterable[tuple[int | str, datetime]]
) -> list[str]:
    """Where the log answers other than the oracle, with the window as its ttl or with no ttl."""
    found = []
    for customer_id, at in asked:
        expected = oracle.profile(customer_id, at)
        for ttl in (oracle.lookback_window, timedelta(days=36_500)):
            got = log.profile(customer_id, at, ttl)
            if got != expected:
                found.append(f"customer {customer_id} at {at}, {ttl=}: {got}, expected {expected}")
    return found


def row_differences(rows: Iterable[Row], others: Iterable[Row]) -> list[str]:
    """Where two logs in the same order are not the same row for row."""
    pairs = zip_longest(rows, others)
    return [f"{one}, expected {other}" for one, other in pairs if one != other]


def read_change_log(history: Path) -> ChangeLog:
    table = pq.read_table(history)
    assert table.column_names == ["customer_id", "event_timestamp", *Profile._fields]
    assert all(column.null_count == 0 for column in table.columns)
    assert table.schema.types[1] == pa.timestamp("us", "UTC")
    assert table.schema.types[2:] == [pa.float64(), pa.int64(), pa.int64(), pa.int64()]
    customers, stamps, *features = (column.to_pylist() for column in table.columns)
    profiles = map(Profile, *features)
    return ChangeLog(map(Row, customers, map(_in_utc, stamps), profiles))


def read_events(events: Path) -> list[Event]:
    table = pq.read_table(events, columns=list(Event._fields))
    columns = {name: table[name].to_pylist() for name in Event._fields}
    for name in TIMES:
        columns[name] = list(map(_in_utc, columns[name]))
    return list(map(Event, *columns.values()))


def _in_utc(stamp: datetime) -> datetime:
    return stamp.astimezone(UTC)


def events_table(events: Iterable[Event]) -> pa.Table:
    events = list(events)
    zoned = pa.timestamp("us", tz="UTC")
    columns = dict(zip(Event._fields, zip(*events, strict=True), strict=True))
    return pa.table(
        {
            name: pa.array(values, zoned if name in TIMES else None)
            for name, values in columns.items()
        }
    )


def write_events(events: Iterable[Event], file: Path) -> Path:
    pq.write_table(events_table(events), file)
    return file
