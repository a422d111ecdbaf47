"""The kinds of value a contract is made of, beyond plain numbers, names and dates.

Durations are `timedelta`, shares and rates are fractions of one (98% is 0.98), percentiles stay
on their scale of 100.
"""

from datetime import date, timedelta
from operator import ge, gt, le, lt
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    WrapSerializer,
    model_serializer,
    model_validator,
)


def _iso(length: timedelta, default: SerializerFunctionWrapHandler) -> str:
    """ISO 8601, whole days as days: 365 days are `P365D`, not a year of `P1Y`."""
    whole_days = length == timedelta(length.days)
    return f"P{length.days}D" if whole_days else str(default(length))


Duration = Annotated[timedelta, WrapSerializer(_iso, when_used="json")]
Said = Annotated[str, Field(min_length=1)]
Version = str
Column = str
Keep = Literal["latest", "earliest"]
Operator = Literal["≥", "≤", ">", "<", "="]
SQL = {"≥": ">=", "≤": "<=", ">": ">", "<": "<", "=": "="}
"""The operators as SQL has them."""
_HOLDS = {"≥": ge, "≤": le, ">": gt, "<": lt}


class Terms(BaseModel):
    """A frozen group of machine-checked terms; those with a default need not be said."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_serializer(mode="wrap")
    def _only_what_is_said(self, default: SerializerFunctionWrapHandler) -> dict[str, Any]:
        told: dict[str, Any] = default(self)
        fields = type(self).model_fields
        unsaid = {
            name
            for name, field in fields.items()
            if field.get_default(call_default_factory=True) == getattr(self, name)
        }
        return {name: value for name, value in told.items() if name not in unsaid}


class Range(Terms):
    """Numbers from `minimum` to `maximum`; `None` leaves that side open.

    Both are allowed unless they are excluded. The `unit` is that of the stored values.
    """

    minimum: float | None
    maximum: float | None
    minimum_excluded: bool = False
    maximum_excluded: bool = False
    unit: Said | None = None

    @property
    def bounds(self) -> tuple[tuple[Operator, float], ...]:
        """The sides that are not open, the least first: what every value compares with, and how."""
        sides: tuple[tuple[Operator, float | None], ...] = (
            (">" if self.minimum_excluded else "≥", self.minimum),
            ("<" if self.maximum_excluded else "≤", self.maximum),
        )
        return tuple((operator, bound) for operator, bound in sides if bound is not None)

    @property
    def is_empty(self) -> bool:
        """Whether the bounds cross, so that no number lies between them."""
        if self.minimum is None or self.maximum is None:
            return False
        open_ended = self.minimum_excluded or self.maximum_excluded
        return self.minimum >= self.maximum if open_ended else self.minimum > self.maximum

    def admits(self, value: float) -> bool:
        """Whether the value lies in the range."""
        return all(_HOLDS[operator](value, bound) for operator, bound in self.bounds)


class AllowedValues(Terms):
    """A closed set of texts, in the document's order."""

    values: tuple[str, ...]

    def admits(self, value: str) -> bool:
        """Whether the value is one of the set."""
        return value in self.values


class Cadence(Terms):
    """At least once `every` so long; `at` is a time of the day such as 04:00, in the `zone`."""

    every: Duration
    at: Said | None = None
    zone: Said | None = None
    weekday: Said | None = None

    @model_validator(mode="before")
    @classmethod
    def _of_a_length(cls, said: Any) -> Any:
        return {"every": said} if isinstance(said, str | timedelta) else said

    @model_serializer(mode="wrap")
    def _as_a_length(self, default: SerializerFunctionWrapHandler) -> Any:
        told = {name: value for name, value in default(self).items() if value is not None}
        return told["every"] if len(told) == 1 else told


class FanOut(Terms):
    """Which of several records of a key is kept; `key` is empty when the policy names none."""

    keep: Keep
    by: Column
    key: tuple[Column, ...]


class ActivityFilter(Terms):
    """At least `minimum_events` events within the last `window`."""

    minimum_events: int
    window: Duration


class Dedup(Terms):
    """One event is kept per key and calendar period."""

    keep: Keep
    key: tuple[Column, ...]
    period: Literal["minute", "hour", "day", "week", "month"]


class DataType(Terms):
    """The type's name; `fields` only where the document lists them, as in `struct(a, b)`."""

    name: str
    fields: tuple[Column, ...]


class ConsistencyRule(Terms):
    """A relation between two features that holds in every row."""

    left: Column
    operator: Operator
    right: Column


class Outliers(Terms):
    """What is done to values above a percentile (0 to 100, both excluded)."""

    percentile: float
    action: Literal["flag", "drop", "clip"]


class Cardinality(Terms):
    """Least match rate of the join, and most records per key it may return."""

    minimum_match_rate: float
    maximum_fanout_ratio: float


class Threshold(Terms):
    """A drift metric at or above which the threshold is crossed."""

    metric: str
    minimum: float


class DriftThreshold(Threshold):
    """A threshold, and those on other metrics that are there `also`."""

    also: tuple[Threshold, ...] = ()

    @property
    def each(self) -> tuple[Threshold, ...]:
        """All of them: it is enough that one is crossed."""
        return (self, *self.also)


class PersonalData(Terms):
    """Whether personal data is present, and the columns that hold it where they are named."""

    present: bool
    columns: tuple[Column, ...]


class Masking(Terms):
    """How columns are made unreadable, and where."""

    columns: tuple[Column, ...]
    method: Literal["hashed", "tokenized", "masked", "encrypted", "redacted", "pseudonymized"]
    scope: str


class Deprecation(Terms):
    """`version` is supported for `support` after `successor` is released."""

    version: Version
    support: Duration
    successor: Version


class Latency(Terms):
    """The longest that reads take at a percentile (0 to 100, both excluded)."""

    percentile: float
    maximum: Duration


class Performance(Terms):
    """Latency at a percentile, or at several, and error rate, that serving stays under."""

    latency_percentile: float
    maximum_latency: Duration
    maximum_error_rate: float
    also: tuple[Latency, ...] = ()

    @property
    def latencies(self) -> tuple[Latency, ...]:
        """All of them, by percentile."""
        highest = Latency(percentile=self.latency_percentile, maximum=self.maximum_latency)
        return (*self.also, highest)


class Approval(Terms):
    """Who signed, and when."""

    name: str
    date: date
