"""What a declaration says, in the plainest Python: every answer is made anew of the events.

Written of the design's words (a state of window w holds over [arrival, min(superseded, happened +
w))) and of the declaration's own text: nothing here is asked of the code that it judges.
"""

import math
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

MICROSECOND = timedelta(microseconds=1)
HAPPENED, ARRIVED = "event_timestamp", "created_timestamp"
UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86400}
EXACT = Context(prec=100, rounding=ROUND_HALF_UP)

Event = dict[str, Any]
Key = tuple[Any, ...]


def span(written: str) -> timedelta:
    digits = written.rstrip("smindh")
    return timedelta(seconds=int(digits) * UNITS[written[len(digits) :]])


def money(value: Decimal | float | int) -> Decimal:
    """The amount as it is written, to twelve digits after the point."""
    written = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    return written.quantize(Decimal("1e-12"), context=EXACT)


class Oracle:
    """Answers from `events`, one dict each, null being None."""

    def __init__(
        self, declaration: str, events: Iterable[Event], lateness: timedelta, zone: str = "UTC"
    ) -> None:
        self.declared = tomllib.loads(declaration, parse_float=Decimal)
        self.zone, self.lateness = ZoneInfo(zone), lateness
        self.keys = list(self.declared["keys"])
        self.columns = {
            name: {"type": kind, "required": True} if isinstance(kind, str) else kind
            for name, kind in self.declared.get("columns", {}).items()
        }
        self.dedup = self.declared.get("dedup", {"kind": "none"})
        self.events = list(events)
        self.accepted: dict[Key, list[Event]] = defaultdict(list)
        for event in self.without_doubles(list(filter(self.is_admissible, self.events))):
            self.accepted[self.key_of(event)].append(self.as_declared(event))

    # What may come in.

    def key_of(self, event: Event) -> Key:
        return tuple(event[key] for key in self.keys)

    def is_admissible(self, event: Event) -> bool:
        if any(event[key] is None for key in (*self.keys, HAPPENED, ARRIVED)):
            return False
        if any(not self.is_well_formed(event[name], how) for name, how in self.columns.items()):
            return False
        return timedelta(0) <= event[ARRIVED] - event[HAPPENED] <= self.lateness

    def is_well_formed(self, value: Any, column: dict[str, Any]) -> bool:
        if value is None:
            return not column.get("required", True)
        if isinstance(value, float) and not math.isfinite(value):
            return False
        if column["type"] == "int64":
            return -(2**63) <= value < 2**63
        return column["type"] != "decimal" or abs(money(value)) < 10**26

    def as_declared(self, event: Event) -> Event:
        decimals = {n for n, column in self.columns.items() if column["type"] == "decimal"}
        return {
            name: money(value) if name in decimals and value is not None else value
            for name, value in event.items()
        }

    def without_doubles(self, events: list[Event]) -> list[Event]:
        """Where states are told apart by their times, one event twice is one, or nobody knows."""
        if self.dedup["kind"] == "none":
            return events
        identity = [*self.keys, HAPPENED, ARRIVED]
        if self.dedup["kind"] == "id":
            identity.append(self.dedup["by"])
        together: dict[Key, list[Event]] = defaultdict(list)
        for event in events:
            together[tuple(event[name] for name in identity)].append(event)
        said = lambda event: [self.as_declared(event)[name] for name in self.columns]  # noqa: E731
        return [
            alike[0]
            for alike in together.values()
            if all(said(event) == said(alike[0]) for event in alike)
        ]

    # What is in force.

    def states(self, key: Key, at: datetime) -> list[Event]:
        """The latest state of each thing that is known by then, filtered before dedup."""
        known = [
            event
            for event in self.accepted.get(key, [])
            if event[ARRIVED] <= at and self.meets(event, self.declared.get("where", []))
        ]
        if self.dedup["kind"] == "none":
            return known
        latest: dict[Any, Event] = {}
        for event in sorted(known, key=self.order):
            latest[self.thing(event)] = event
        return list(latest.values())

    def order(self, event: Event) -> tuple[datetime, datetime]:
        if self.dedup.get("order") == "arrival":
            return event[ARRIVED], event[HAPPENED]
        return event[HAPPENED], event[ARRIVED]

    def thing(self, event: Event) -> Any:
        if self.dedup["kind"] == "id":
            return event[self.dedup["by"]]
        local = event[HAPPENED].astimezone(self.zone)
        if self.dedup["by"] == "day":
            return local.date()
        return local.date(), local.hour, local.utcoffset()  # an hour that comes twice is two

    def meets(self, event: Event, where: list[list[Any]]) -> bool:
        return all(self.holds(event[name], relation, value) for name, relation, value in where)

    def holds(self, one: Any, relation: str, other: Any) -> bool:
        if one is None:
            return False
        if relation == "in":
            return any(self.holds(one, "=", each) for each in other)
        if isinstance(one, float):
            other = float(other)
        return {
            "=": one == other,
            "!=": one != other,
            "<": one < other,
            "<=": one <= other,
            ">": one > other,
            ">=": one >= other,
        }[relation]

    # What is answered.

    def answer(self, key: Key, at: datetime) -> dict[str, Any]:
        """Each feature of the key as it was known then."""
        states = self.states(key, at)
        features = self.declared["features"]
        return {name: self.feature(body, states, at) for name, body in features.items()}

    def feature(self, body: dict[str, Any], states: list[Event], at: datetime) -> Any:
        value, is_empty = self.value(body, states, at)
        if is_empty and "empty" in body:
            empty = body["empty"]
            of_double = isinstance(value, float) or self.is_double(body)
            return float(empty) if of_double and not isinstance(empty, bool) else empty
        if "at_least" not in body and "at_most" not in body:
            return value
        if value is None:
            return None
        bounds = [body.get("at_least"), body.get("at_most")]
        if isinstance(value, float):
            bounds = [None if bound is None else float(bound) for bound in bounds]
        least, most = bounds
        return (least is None or value >= least) and (most is None or value <= most)

    def value(self, body: dict[str, Any], states: list[Event], at: datetime) -> tuple[Any, bool]:
        if "ratio" not in body:
            return self.measure(body, states, at)
        those = [one for one in states if self.meets(one, body.get("where", []))]
        over, under = (
            Fraction(self.measure({"window": body.get("window")} | part, those, at)[0])
            for part in body["ratio"]
        )
        return (float(over / under), False) if under else (0.0, True)

    def measure(self, body: dict[str, Any], states: list[Event], at: datetime) -> tuple[Any, bool]:
        """The value, and whether nothing counted."""
        counting = [
            state
            for state in states
            if state[HAPPENED] > at - span(body["window"])
            and self.meets(state, body.get("where", []))
        ]
        if "count" in body:
            return len(counting), not counting
        (function,) = {"sum", "distinct", "min", "max", "last", "first", "mode"} & body.keys()
        column = body[function]
        counting = [state for state in counting if state[column] is not None]
        values = [state[column] for state in counting]
        if function == "sum":
            total = Decimal(0)
            for value in values:
                total = EXACT.add(total, Decimal(value))
            return (total if self.is_decimal(column) else int(total)), not values
        if function == "distinct":
            return len(set(values)), not values
        if not values:
            return None, True
        return self.picked(function, column, counting, values), False

    def picked(self, function: str, column: str, counting: list[Event], values: list[Any]) -> Any:
        if function == "mode":
            often = Counter(values)
            return min(value for value in often if often[value] == max(often.values()))
        if function in ("min", "max"):
            return {"min": min, "max": max}[function](values)
        tie = [self.dedup["by"]] if self.dedup["kind"] == "id" else []
        moments = [HAPPENED, ARRIVED, *tie, column]
        pick = {"last": max, "first": min}[function]
        return pick(counting, key=lambda state: [state[name] for name in moments])[column]

    def is_double(self, body: dict[str, Any]) -> bool:
        """Whether it picks a value of a column of doubles."""
        picked = {body.get(function) for function in ("min", "max", "last", "first", "mode")}
        return any(self.columns.get(one, {}).get("type") == "double" for one in picked)

    def is_decimal(self, column: str) -> bool:
        return self.columns.get(column, {}).get("type") == "decimal"

    # When to ask.

    def windows(self) -> set[timedelta]:
        written = set()
        for body in self.declared["features"].values():
            parts = body.get("ratio", [body])
            written |= {part.get("window", body.get("window")) for part in parts}
        return set(map(span, written))

    def turning_points(self) -> set[tuple[Key, datetime]]:
        """Each instant at which an answer may change, and the microseconds beside it."""
        points = set()
        for event in self.events:
            key = self.key_of(event)
            if None in key or event[HAPPENED] is None or event[ARRIVED] is None:
                continue
            leaves = [event[HAPPENED] + window for window in self.windows()]
            for at in (event[HAPPENED], event[ARRIVED], *leaves):
                points |= {(key, at - MICROSECOND), (key, at), (key, at + MICROSECOND)}
        return points

    def counts(self, as_of: datetime) -> dict[str, int]:
        """Rows in, and what became of each."""
        arrived = [e for e in self.events if e[ARRIVED] is None or e[ARRIVED] <= as_of]
        accepted = [e for es in self.accepted.values() for e in es if e[ARRIVED] <= as_of]
        looked_at = [e for e in accepted if self.meets(e, self.declared.get("where", []))]
        kept = sum(len(self.states(key, as_of)) for key in self.accepted)
        return {
            "ingested": len(arrived),
            "kept": kept,
            "superseded": len(looked_at) - kept,
            "filtered": len(accepted) - len(looked_at),
            "quarantined": len(arrived) - len(accepted),
            "not_yet_arrived": len(self.events) - len(arrived),
        }
