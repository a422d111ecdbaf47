"""`[features]`: each a function of a column, or a ratio of two, over a window."""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from feature_pipeline.aggregation.conditions import conditions_of
from feature_pipeline.aggregation.declaration import (
    ADDED,
    FUNCTIONS,
    Column,
    Condition,
    Feature,
    Literal,
    Measure,
)
from feature_pipeline.aggregation.faults import Faults, Place, meant, one_of
from feature_pipeline.aggregation.literals import UnreadableError, duration, literal, shown, span

_FORMS = (*FUNCTIONS, "ratio")
_BOUNDS = ("at_least", "at_most")
_ABOVE = ("view", "keys", "columns", "dedup", "where")
_SUMMABLE = ("int64", "decimal")
_BOUNDED = ("int64", "decimal", "double", "timestamp")
_NO_TABLE = 'is no table, such as orders_30d = { sum = "orders", window = "30d" }'


@dataclass(frozen=True)
class FeatureReader:
    """Reads features of the columns that were declared; what is wrong in one is noted."""

    faults: Faults
    columns: dict[str, Column]
    taken: tuple[str, ...]
    """Names that no feature may have."""
    lookback: timedelta | None

    def all_of(self, written: Any) -> tuple[Feature, ...]:
        """The features that can be meant."""
        if not isinstance(written, dict) or not written:
            self.faults.at(("features",), _NO_TABLE)
            return ()
        met = {name.lower() for name in self.taken}
        features = []
        for name, body in written.items():
            place = ("features", name)
            if name.lower() in met or not name.strip():
                self.faults.at(place, "is the name of a key, a time or another feature")
            met.add(name.lower())
            if name in _ABOVE and not (isinstance(body, dict) and any(f in body for f in _FORMS)):
                self.faults.at(place, "stands below [features]: move it above that line")
            elif isinstance(body, dict):
                features.append(self._feature(name, body, place))
            else:
                self.faults.at(place, _NO_TABLE)
        return tuple(feature for feature in features if feature)

    def _feature(self, name: str, body: dict[str, Any], place: Place) -> Feature | None:
        before = len(self.faults.met)
        known = (*_FORMS, "where", "window", "empty", *_BOUNDS)
        misspelled, forms = self.faults.unknown(place, body, known), sum(f in body for f in _FORMS)
        if misspelled and forms == 0:
            return None
        if forms != 1:
            self.faults.at(place, f"has one of {one_of(_FORMS)}, and not more")
            return None
        measure, divisor = (
            self._ratio(body, place)
            if "ratio" in body
            else (
                self._measure(body, place),
                None,
            )
        )
        if measure is None or ("ratio" in body and divisor is None):
            return None
        of_value = "double" if divisor else self._kind(measure)
        at_least, at_most = (self._bound(body, key, of_value, place) for key in _BOUNDS)
        kind = "bool" if any(key in body for key in _BOUNDS) else of_value
        empty = self._literal(body, "empty", kind, place)
        if len(self.faults.met) > before:
            return None
        return Feature(name, kind, measure, divisor, at_least, at_most, empty)

    def _kind(self, measure: Measure) -> str:
        """What the measure's value is."""
        if measure.column is None or measure.function == "distinct":
            return "int64"
        return self.columns[measure.column].kind

    def _ratio(self, body: dict[str, Any], place: Place) -> tuple[Measure | None, Measure | None]:
        """What is divided, and by what; the ratio's `where` and window are those of both."""
        shared = conditions_of(body.get("where", []), (*place, "where"), self.columns, self.faults)
        place, parts = (*place, "ratio"), body["ratio"]
        if not isinstance(parts, list) or [type(part) for part in parts] != [dict, dict]:
            self.faults.at(place, 'is two, such as [{ sum = "order_value" }, { sum = "orders" }]')
            return None, None
        window = {"window": body.get("window")}
        dividend, divisor = (self._part(window | part, shared, place) for part in parts)
        return dividend, divisor

    def _part(
        self, part: dict[str, Any], shared: tuple[Condition, ...], place: Place
    ) -> Measure | None:
        if self.faults.unknown(place, part, (*ADDED, "where", "window")):
            return None
        if sum(key in part for key in ADDED) != 1:
            self.faults.at(place, f"each of the two has one of {one_of(ADDED)}, and not more")
            return None
        measure = self._measure(part, place)
        return measure and replace(measure, where=shared + measure.where)

    def _measure(self, body: dict[str, Any], place: Place) -> Measure | None:
        before = len(self.faults.met)
        (function,) = (key for key in FUNCTIONS if key in body)
        column = self._column(function, body[function], place)
        where = conditions_of(body.get("where", []), (*place, "where"), self.columns, self.faults)
        window = self._window(body.get("window"), (*place, "window"))
        if window is None or len(self.faults.met) > before:
            return None
        return Measure(function, column, where, window)

    def _column(self, function: str, named: Any, place: Place) -> str | None:
        place = (*place, function)
        if function == "count":
            if named is not True:
                self.faults.at(place, "states are counted by count = true, and which by where")
            return None
        column = self.columns.get(named) if isinstance(named, str) else None
        if column is None:
            hint = meant(named, self.columns)
            self.faults.at(place, f"{shown(named)} is no column that is declared{hint}")
            return None
        if function == "sum" and column.kind not in _SUMMABLE:
            drift = "; doubles add up by their order: declare it decimal"
            why = drift if column.kind == "double" else ""
            self.faults.at(place, f"{named} is {column.kind}, a sum is of {one_of(_SUMMABLE)}{why}")
        return column.name

    def _window(self, written: Any, place: Place) -> timedelta | None:
        if written is None:
            self.faults.at(place, 'is missing; a window is written "30d"')
            return None
        try:
            window = duration(written)
        except UnreadableError as error:
            self.faults.at(place, str(error))
            return None
        if self.lookback and window > self.lookback:
            self.faults.at(place, f"{written} is longer than the look-back, {span(self.lookback)}")
        return window

    def _bound(self, body: dict[str, Any], key: str, kind: str, place: Place) -> Literal | None:
        if key in body and kind not in _BOUNDED:
            self.faults.at((*place, key), f"the value is {kind}, a bound is of {one_of(_BOUNDED)}")
            return None
        return self._literal(body, key, kind, place)

    def _literal(self, body: dict[str, Any], key: str, kind: str, place: Place) -> Literal | None:
        if key not in body:
            return None
        try:
            return literal(kind, body[key])
        except UnreadableError as error:
            self.faults.at((*place, key), f"the value is {kind}, and {error}")
            return None
