"""Mismatches whose cause is known: a world in which online and offline agree, and eight ways to
spoil it, each for a customer of its own."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from oracle import MICROSECOND, ZEROS, Event, Profile, events_table

from contract_checks.measures.comparison import Mismatch
from contract_checks.measures.differing_read import Declared
from contract_checks.measures.likeness import equal
from contract_checks.measures.mismatch_causes import Cause
from feature_pipeline.change_log.aggregate import aggregate
from jobs.rehearsal.mismatch_evidence import Sources

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
START = datetime(2026, 1, 1, tzinfo=UTC)
END = START + 120 * DAY
TTL = 30 * DAY
MATERIALIZED = [START + n * DAY + 2 * HOUR for n in range(20, 120)]
FEATURES = Profile._fields
DEFAULTS = ZEROS._asdict()
TYPES = {"avg_order_value_30d": "Float64"} | dict.fromkeys(FEATURES[1:], "Int64")
VAT = 1.19

Values = dict[str, Any]
Row = tuple[datetime, Values]


class Unfit(Exception):  # noqa: N818  (not an error: another draw is needed)
    """This draw would not be a mismatch."""


def shopping(random: Random, customer: int) -> Iterator[Event]:
    """Days of one to three states each, most of which arrive hours after they happened."""
    for day in sorted(random.sample(range(90), 35)):
        hours = sorted(random.sample(range(24), random.randint(1, 3)))
        orders, value, sessions = 0, Decimal(0), 0
        for hour in hours:
            orders += random.randint(0, 2)
            value = value + Decimal(random.randint(199, 9_999)) / 100 if orders else value
            sessions += random.randint(1, 2)
            happened = START + day * DAY + hour * HOUR + random.randrange(3_600) * MICROSECOND
            arrived = happened + timedelta(minutes=random.randint(1, 1_200))
            yield Event(customer, happened, arrived, orders, value, sessions)


def log_of(events: list[Event], folder: Path, window: timedelta = TTL) -> dict[int, list[Row]]:
    """The change log that the real aggregation makes."""
    source, log = folder / "events.parquet", folder / "log.parquet"
    pq.write_table(events_table(events), source)
    aggregate(
        source,
        log,
        folder / "quarantine.parquet",
        as_of=END,
        lookback_window=window,
        allowed_lateness=DAY,
    )
    rows = defaultdict(list)
    for row in pq.read_table(log).to_pylist():
        stamp = row["event_timestamp"].astimezone(UTC)
        rows[row["customer_id"]].append((stamp, {f: row[f] for f in FEATURES}))
    return rows


def as_of(log: list[Row], at: datetime, ttl: timedelta | None = TTL) -> Values:
    """What an as-of read of the log answers."""
    past = [(stamp, values) for stamp, values in log if stamp <= at]
    if not past or (ttl and at - past[-1][0] > ttl):
        return dict(DEFAULTS)
    return {f: DEFAULTS[f] if v is None else v for f, v in past[-1][1].items()}


def stamp_of(log: list[Row], at: datetime) -> datetime:
    return max(stamp for stamp, _ in log if stamp <= at)


def materialized_by(at: datetime) -> datetime:
    return max(end for end in MATERIALIZED if end <= at)


@dataclass
class World:
    """Every customer's events and logs; `log` is what the offline table will hold."""

    random: Random
    events: list[Event]
    log: dict[int, list[Row]]
    by_happening: dict[int, list[Row]]
    by_window: Mapping[timedelta, dict[int, list[Row]]]
    injected: list[tuple[Cause, Mismatch]] = field(default_factory=list)

    @classmethod
    def of(cls, random: Random, customers: int, folder: Path) -> "World":
        events = [e for c in range(1, customers + 1) for e in shopping(random, c)]
        at_once = [e._replace(created_timestamp=e.event_timestamp) for e in events]
        windows = {n * DAY: log_of(events, folder, n * DAY) for n in (7, 14, 60)}
        by_happening = log_of(at_once, folder)
        return cls(random, events, log_of(events, folder), by_happening, windows)

    def some_time(self) -> datetime:
        return START + 35 * DAY + self.random.randrange(50 * DAY // MICROSECOND) * MICROSECOND

    def quiet(self, customer: int) -> datetime:
        """A time at which nothing has changed since the last materialization."""
        at, log = self.some_time(), self.log[customer]
        if as_of(log, at) == DEFAULTS or stamp_of(log, at) > materialized_by(at):
            raise Unfit
        return at

    def inject(self, cause: Cause, customer: int) -> None:
        """One mismatch of this cause; the customer's rows of the offline table may change."""
        kept = [(stamp, dict(values)) for stamp, values in self.log[customer]]
        ways, already = WAYS[cause], sum(other is cause for other, _ in self.injected)
        way = ways[already % len(ways)]
        while True:
            self.log[customer] = [(stamp, dict(values)) for stamp, values in kept]
            try:
                at, online, *offline = way(self, customer)
                answer = offline[0] if offline else as_of(self.log[customer], at)
                differing = tuple(f for f in FEATURES if not equal(answer[f], online[f]))
                if differing:
                    break
            except Unfit:
                continue
        self.injected.append((cause, Mismatch((customer, at), answer, online, differing, 1)))

    def sources(self, folder: Path) -> Sources:
        """The offline table and the events, written."""
        log = folder / "customer_features_offline.parquet"
        rows = [
            {"customer_id": customer, "event_timestamp": stamp, **values}
            for customer, rows in self.log.items()
            for stamp, values in rows
        ]
        types = {f: pa.float64() if f.startswith("avg") else pa.int64() for f in FEATURES}
        times = {"event_timestamp": pa.timestamp("us", tz="UTC")}
        schema = pa.schema({"customer_id": pa.int64()} | times | types)
        pq.write_table(pa.Table.from_pylist(rows, schema), log)
        events = folder / "customer_events.parquet"
        pq.write_table(events_table(self.events), events)
        return Sources(
            log=log,
            events=events,
            keys=("customer_id",),
            time="event_timestamp",
            lookback=TTL,
            lateness=DAY,
            zone="UTC",
            declared=Declared(DEFAULTS, TYPES, TTL),
            materialized=MATERIALIZED,
        )


Way = Callable[[World, int], tuple[Any, ...]]
"""The time of a read, what was served, and, where the offline table does not say it, offline."""


def not_yet_materialized(world: World, customer: int) -> tuple[Any, ...]:
    at = world.some_time()
    return at, as_of(world.log[customer], materialized_by(at), None)


def write_lost(world: World, customer: int) -> tuple[Any, ...]:
    at = world.quiet(customer)
    earlier = at - world.random.randint(1, 6) * DAY
    return at, as_of(world.log[customer], earlier, None)


def arrived_after_the_read(world: World, customer: int) -> tuple[Any, ...]:
    late = world.random.choice([e for e in world.events if e.customer_id == customer])
    lag = (late.created_timestamp - late.event_timestamp) // MICROSECOND
    at = late.event_timestamp + world.random.randrange(lag) * MICROSECOND
    if at < MATERIALIZED[0]:
        raise Unfit
    right, served = (as_of(world.log[customer], t) for t in (at, materialized_by(at)))
    world.log[customer] = world.by_happening[customer]
    if as_of(world.log[customer], at) == right:
        raise Unfit  # a later state of the day had superseded it
    return at, served


def outlives_its_ttl(world: World, customer: int) -> tuple[Any, ...]:
    log = world.log[customer]
    last = world.random.randrange(len(log) // 2)
    stamp, values = log[last]
    at = stamp + TTL + world.random.randint(1, 20) * DAY
    if at < MATERIALIZED[0]:
        raise Unfit
    world.log[customer] = [row for row in log if not stamp < row[0] <= at]
    if world.random.random() < 0.5:
        return at, values
    return at, dict(DEFAULTS), values


def cast(change: Callable[[Any], Any], feature: str, *, offline: bool) -> Way:
    def way(world: World, customer: int) -> tuple[Any, ...]:
        at = world.quiet(customer)
        right = as_of(world.log[customer], at)
        other = right | {feature: change(right[feature])}
        return (at, right, other) if offline else (at, other)

    return way


def row_missing_online(world: World, customer: int) -> tuple[Any, ...]:
    return world.quiet(customer), dict(DEFAULTS)


def value_missing_online(world: World, customer: int) -> tuple[Any, ...]:
    at, feature = world.quiet(customer), world.random.choice(FEATURES)
    return at, as_of(world.log[customer], at) | {feature: DEFAULTS[feature]}


def rows_missing_offline(world: World, customer: int) -> tuple[Any, ...]:
    at = world.quiet(customer)
    served = as_of(world.log[customer], at)
    world.log[customer] = []
    return at, served


def value_missing_offline(world: World, customer: int) -> tuple[Any, ...]:
    at, feature = world.quiet(customer), world.random.choice(FEATURES)
    log = world.log[customer]
    served = as_of(log, at)
    [values] = [values for stamp, values in log if stamp == stamp_of(log, at)]
    values[feature] = None
    return at, served


def twice_in_the_table(world: World, customer: int) -> tuple[Any, ...]:
    at, log = world.quiet(customer), world.log[customer]
    served = as_of(log, at)
    other = {f: v + world.random.randint(1, 5) for f, v in served.items()}
    log.append((stamp_of(log, at), other))
    log.sort(key=lambda row: row[0])
    return at, *((served, other) if world.random.random() < 0.5 else (other, served))


def other_window_online(world: World, customer: int) -> tuple[Any, ...]:
    at, window = world.quiet(customer), world.random.choice(list(world.by_window))
    return at, as_of(world.by_window[window][customer], materialized_by(at))


def other_window_offline(world: World, customer: int) -> tuple[Any, ...]:
    at, window = world.quiet(customer), world.random.choice(list(world.by_window))
    served = as_of(world.log[customer], at)
    world.log[customer] = world.by_window[window][customer]
    return at, served


def with_tax_online(world: World, customer: int) -> tuple[Any, ...]:
    at = world.quiet(customer)
    right = as_of(world.log[customer], at)
    return at, right | {"avg_order_value_30d": right["avg_order_value_30d"] * VAT}


def _another(random: Random, value: Any) -> Any:
    return round(random.uniform(1, 500), 2) if isinstance(value, float) else random.randint(1, 500)


def tampered_online(world: World, customer: int) -> tuple[Any, ...]:
    at = world.quiet(customer)
    right = as_of(world.log[customer], at)
    changed = world.random.sample(FEATURES, world.random.randint(1, 4))
    return at, right | {f: _another(world.random, right[f]) for f in changed}


def nudged_online(world: World, customer: int) -> tuple[Any, ...]:
    at = world.quiet(customer)
    right, feature = as_of(world.log[customer], at), world.random.choice(FEATURES)
    return at, right | {feature: right[feature] + world.random.choice((-1, 1))}


def nudged_offline(world: World, customer: int) -> tuple[Any, ...]:
    at, log = world.quiet(customer), world.log[customer]
    served, feature = as_of(log, at), world.random.choice(FEATURES)
    [values] = [values for stamp, values in log if stamp == stamp_of(log, at)]
    values[feature] += world.random.choice((-1, 1))
    return at, served


def tampered_offline(world: World, customer: int) -> tuple[Any, ...]:
    at, log = world.quiet(customer), world.log[customer]
    served = as_of(log, at)
    [values] = [values for stamp, values in log if stamp == stamp_of(log, at)]
    for feature in world.random.sample(FEATURES, world.random.randint(1, 4)):
        values[feature] = _another(world.random, values[feature])
    return at, served


AVERAGE = "avg_order_value_30d"
WAYS: dict[Cause, tuple[Way, ...]] = {
    Cause.STALE: (not_yet_materialized, write_lost),
    Cause.LATE: (arrived_after_the_read,),
    Cause.TTL: (outlives_its_ttl,),
    Cause.TYPE: (
        cast(lambda v: float(np.float32(v)), AVERAGE, offline=False),
        cast(str, "orders_30d", offline=False),
        cast(int, AVERAGE, offline=False),
        cast(lambda v: round(v, 2), AVERAGE, offline=False),
        cast(lambda v: v + 0.25, "sessions_30d", offline=True),
        cast(str, AVERAGE, offline=True),
    ),
    Cause.DEFAULT: (
        row_missing_online,
        value_missing_online,
        rows_missing_offline,
        value_missing_offline,
    ),
    Cause.DUPLICATED: (twice_in_the_table,),
    Cause.LOGIC: (other_window_online, other_window_offline, with_tax_online),
    Cause.TAMPERED: (tampered_online, tampered_offline, nudged_online, nudged_offline),
}
