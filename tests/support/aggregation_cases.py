"""Declarations and events of every kind, and a log as a model reads it, held to the oracle."""

import json
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import product
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import pyarrow as pa
from aggregation_oracle import ARRIVED, HAPPENED, MICROSECOND, Event, Key, Oracle
from hypothesis import strategies as st

from feature_pipeline.aggregation.declaration import Declaration
from feature_pipeline.aggregation.kernel import Kernel
from feature_pipeline.aggregation.reading import load
from feature_pipeline.aggregation.values import ARROW, EPOCH

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
LATENESS = 26 * HOUR
SPRING, AUTUMN = datetime(2024, 3, 31, tzinfo=UTC), datetime(2024, 10, 27, tzinfo=UTC)
BEGINNINGS = (SPRING, AUTUMN, datetime(2010, 11, 7, 2, tzinfo=UTC))
ZONES = ("UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kathmandu")
WINDOWS = ("1s", "90min", "24h", "26h", "7d", "30d")
POOLS: dict[str, Sequence[Any]] = {
    "int64": (0, 0, 1, 1, 2, 3, -1, 2**53 + 1, -(2**55)),
    "decimal": tuple(
        map(Decimal, ("0.00", "0.01", "0.10", "19.99", "-5.5", "8999999.99", "1e-12", "-9e22"))
    ),
    "double": (0.0, -0.0, 0.1, 1.5, -2.0, 1e300),
    "string": ("", "a", "B", "b", "Ü", "é", "z\U0001f600", "007", "7", "o'Brien"),
    "bool": (True, False),
    "timestamp": (SPRING, SPRING + MICROSECOND, AUTUMN),
}
KEYS: tuple[dict[str, Sequence[Any]], ...] = (
    {"customer": (1, 2, -3)},
    {"customer": ("007", "7", "Ünal")},
    {"shop": ("a", "B"), "till": (1, 10)},
)
RELATIONS = ("=", "!=", "<", "<=", ">", ">=")


class Case(NamedTuple):
    """A declaration, the events it is told of, and in whose days."""

    declaration: str
    events: tuple[Event, ...]
    zone: str = "UTC"
    lateness: timedelta = LATENESS

    @property
    def oracle(self) -> Oracle:
        return Oracle(self.declaration, self.events, self.lateness, self.zone)


def toml(value: Any) -> str:
    """A value as TOML has it."""
    if isinstance(value, bool | str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {toml(one)}" for name, one in value.items()) + " }"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(toml, value))}]"
    return f"{value:f}" if isinstance(value, Decimal) and value else str(value)


def declared(features: dict[str, Any], **parts: Any) -> str:
    """The declaration of these features; keys, columns and the rest as given."""
    whole = {"view": "one_v1", "keys": {"customer": "int64"}} | parts
    lines = [f"{name} = {toml(value)}" for name, value in whole.items()]
    lines += ["[features]", *(f"{name} = {toml(body)}" for name, body in features.items())]
    return "\n".join(lines) + "\n"


def read(declaration: str) -> Declaration:
    with TemporaryDirectory() as folder:
        file = Path(folder, "one.aggregation.toml")
        file.write_text(declaration, encoding="utf-8")
        return load(file)


# Any declaration, any events.


@st.composite
def conditions(draw: st.DrawFn, kinds: dict[str, str]) -> list[Any]:
    name = draw(st.sampled_from(sorted(kinds)))
    pool = st.sampled_from(POOLS[kinds[name]])
    if kinds[name] == "bool":
        return [name, draw(st.sampled_from(["=", "!="])), draw(pool)]
    if draw(st.integers(0, 4)) == 0:
        return [name, "in", draw(st.lists(pool, min_size=1, max_size=3))]
    return [name, draw(st.sampled_from(RELATIONS)), draw(pool)]


@st.composite
def features(draw: st.DrawFn, kinds: dict[str, str], windows: Sequence[str]) -> dict[str, Any]:
    """One feature of such columns."""
    wheres = st.lists(conditions(kinds), max_size=2) | st.just([])

    def measure(functions: Sequence[str]) -> tuple[dict[str, Any], str]:
        function = draw(st.sampled_from(functions))
        summable = [name for name in kinds if kinds[name] in ("int64", "decimal")]
        column = draw(st.sampled_from(sorted(summable if function == "sum" else kinds)))
        kind = "int64" if function in ("count", "distinct") else kinds[column]
        return {function: True if function == "count" else column}, kind

    added = ("sum", "count", "distinct")
    body: dict[str, Any]
    if draw(st.integers(0, 4)) == 0:
        parts = [measure(added)[0] | {"where": draw(wheres)} for _ in range(2)]
        body, kind = {"ratio": parts}, "double"
    else:
        body, kind = measure((*added, "min", "max", "last", "first", "mode", "mode", "last"))
    body |= {"window": draw(st.sampled_from(windows)), "where": draw(wheres)}
    if kind not in ("string", "bool") and draw(st.integers(0, 3)) == 0:
        bounds = draw(st.sampled_from([["at_least"], ["at_most"], ["at_least", "at_most"]]))
        body |= {bound: draw(st.sampled_from(POOLS[kind])) for bound in bounds}
        kind = "bool"
    if draw(st.integers(0, 2)) == 0:
        body["empty"] = draw(st.sampled_from(POOLS[kind]))
    return body


DEDUPS = (
    {"kind": "none"},
    {"kind": "period", "by": "day"},
    {"kind": "period", "by": "hour"},
    {"kind": "id", "by": "id"},
    {"kind": "id", "by": "id", "order": "happening"},
    {"kind": "id", "by": "id", "order": "arrival"},
)


@st.composite
def cases(draw: st.DrawFn, largest: int = 24, crowd: int = 0) -> Case:
    """A declaration with functions of every kind, and a life for a few keys.

    Of a `crowd` of events none can be left out to make a failing case smaller, but they cost less.
    """
    keys = draw(st.sampled_from(KEYS))
    key_kinds = {name: kind_of(pool[0]) for name, pool in keys.items()}
    names = {"n": "int64", "paid": "decimal", "w": "double", "tag": "string"}
    names |= {"ok": "bool", "due": "timestamp"}
    optional = draw(st.sets(st.sampled_from(sorted(names))))
    columns: dict[str, Any] = {
        name: {"type": kind, "required": False} if name in optional else kind
        for name, kind in names.items()
    }
    dedup = draw(st.sampled_from(DEDUPS))
    if dedup["kind"] == "id":
        columns["id"] = names["id"] = draw(st.sampled_from(["int64", "string"]))
    windows = draw(st.lists(st.sampled_from(WINDOWS), min_size=1, max_size=3))
    bodies = draw(st.lists(features(names | key_kinds, windows), min_size=1, max_size=6))
    before = draw(st.lists(conditions(names | key_kinds), max_size=1))
    text = declared(
        {f"f{place}": body for place, body in enumerate(bodies)},
        keys=key_kinds,
        columns=columns,
        dedup=dedup,
        where=before,
    )
    if crowd:
        random = Random(draw(st.integers(0, 2**32)))
        events = tuple(one_of_many(random, keys, names, optional) for _ in range(crowd))
    else:
        events = draw(lives(keys, names, optional, largest))
    return Case(text, events, draw(st.sampled_from(ZONES)))


OFFSETS = (timedelta(0), MICROSECOND, HOUR, DAY, 2 * DAY, 7 * DAY, 30 * DAY)
DELAYS = (timedelta(0), MICROSECOND, HOUR, 14 * HOUR, LATENESS, LATENESS + MICROSECOND)
DELAYS += (-MICROSECOND,)


@st.composite
def lives(
    draw: st.DrawFn,
    keys: dict[str, Sequence[Any]],
    kinds: dict[str, str],
    optional: set[str],
    largest: int,
) -> tuple[Event, ...]:
    """Some events of each key, with few times, so that ties and exact edges are common."""
    beginning = draw(st.sampled_from(BEGINNINGS))
    times = st.builds(
        lambda offset, time: offset + time,
        st.sampled_from(OFFSETS),
        st.sampled_from([timedelta(0), HOUR, 90 * MINUTE]) | st.timedeltas(timedelta(0), 4 * HOUR),
    )
    delays = st.sampled_from(DELAYS) | st.timedeltas(timedelta(0), LATENESS)
    row = {
        name: st.sampled_from(POOLS[kind]) | (st.none() if name in optional else st.nothing())
        for name, kind in kinds.items()
        if name != "id"
    }
    key = st.sampled_from(list(product(*keys.values())))
    one = st.tuples(key, times, delays, st.fixed_dictionaries(row), st.integers(0, 1))
    return tuple(
        event_of(keys, kinds, of_key, beginning + after, delay, values, number)
        for of_key, after, delay, values, number in draw(
            st.lists(one, min_size=1, max_size=largest)
        )
    )


def one_of_many(
    random: Random, keys: dict[str, Sequence[Any]], kinds: dict[str, str], optional: set[str]
) -> Event:
    """An event of such times and values as `lives` has."""
    after = random.choice(OFFSETS) + random.choice((0 * HOUR, HOUR, 4 * HOUR * random.random()))
    delay = random.choice((*DELAYS, LATENESS * random.random()))
    values = {
        name: None if name in optional and random.random() < 0.3 else random.choice(POOLS[kind])
        for name, kind in kinds.items()
        if name != "id"
    }
    of_key = random.choice(list(product(*keys.values())))
    happened = BEGINNINGS[0] + after
    return event_of(keys, kinds, of_key, happened, delay, values, random.randrange(4))


def event_of(
    keys: dict[str, Sequence[Any]],
    kinds: dict[str, str],
    of_key: tuple[Any, ...],
    happened: datetime,
    delay: timedelta,
    values: dict[str, Any],
    number: int,
) -> Event:
    """The event of a key; where it has an id, that of the number among the key's own."""
    event = dict(zip(keys, of_key, strict=True))
    event |= {HAPPENED: happened, ARRIVED: happened + delay} | values
    if "id" in kinds:  # it does not move between keys
        own = 4 * list(product(*keys.values())).index(of_key) + number
        event["id"] = own if kinds["id"] == "int64" else f"id {own}"
    return event


def kind_of(value: Any) -> str:
    return "string" if isinstance(value, str) else "int64"


# The log, and what it answers.


class Log:
    """The rows of a log by key, read as a model reads them."""

    def __init__(self, table: pa.Table, keys: Sequence[str]) -> None:
        self.table = table
        self.rows: dict[Key, list[tuple[datetime, dict[str, Any]]]] = defaultdict(list)
        for row in table.to_pylist():
            key = tuple(row.pop(name) for name in keys)
            stamp = row.pop("event_timestamp").astimezone(UTC)
            self.rows[key].append((stamp, row))

    def answer(self, key: Key, at: datetime) -> dict[str, Any] | None:
        """The newest row that is not after, or None."""
        rows = self.rows.get(key, [])
        place = bisect_right(rows, at, key=lambda row: row[0])
        return rows[place - 1][1] if place else None


def differences(oracle: Oracle, log: Log, asked: Iterable[tuple[Key, datetime]]) -> list[str]:
    """Where the log answers other than the oracle."""
    found = []
    nothing = oracle.answer(("nobody",), EPOCH)
    for key, at in asked:
        expected, got = oracle.answer(key, at), log.answer(key, at)
        got = nothing if got is None else got
        if list(map(exactly, got.values())) != list(map(exactly, expected.values())):
            found.append(f"{key} at {at}: {got}, expected {expected}")
    return found


def exactly(value: Any) -> Any:
    """The value, so that no truth equals a number."""
    return type(value) is bool, value


def by_kernel(case: Case, as_of: datetime, made: Callable[..., Any] = Kernel) -> Log:
    """The log by the kernel alone: the oracle admits, and puts in order."""
    oracle, declaration = case.oracle, read(case.declaration)
    kernel = made(declaration, as_of)
    parts = []
    for key in sorted(oracle.accepted):
        events = [event for event in oracle.accepted[key] if event[ARRIVED] <= as_of]
        if events:
            parts.append(batch_of(oracle, declaration, kernel, events))
    together = pa.Table.from_batches(parts).combine_chunks().to_batches() if parts else []
    rows = pa.Table.from_batches(map(kernel.rows_of, together), kernel.log_schema)
    rows.validate(full=True)
    return Log(rows, oracle.keys)


def batch_of(
    oracle: Oracle, declaration: Declaration, kernel: Kernel, events: list[Event]
) -> pa.RecordBatch:
    schema, columns = kernel.events_schema, {}
    if oracle.dedup["kind"] != "none":
        things = sorted({oracle.thing(event) for event in events})
        events = sorted(events, key=lambda event: (oracle.thing(event), oracle.order(event)))
        schema = schema.append(pa.field("thing", pa.int64()))
        columns["thing"] = [things.index(oracle.thing(event)) for event in events]
    for name, column in kernel.columns.items():
        columns[name] = pa.array([event[column.name] for event in events], ARROW[column.kind])
    columns["happened"] = [(event[HAPPENED] - EPOCH) // MICROSECOND for event in events]
    columns["arrived"] = [(event[ARRIVED] - EPOCH) // MICROSECOND for event in events]
    return pa.record_batch(columns, schema=schema)
