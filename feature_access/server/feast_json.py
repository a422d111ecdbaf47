"""An answer in the format of Feast's feature server: a column for each name, its rows in order.

Feast makes it by way of a protobuf message, with a message for every value, which takes several
times as long as the read. A test holds the two to the same answer.
"""

import json
import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from feature_access.online_stores.online_rows import Row, Scalar

_NO_TIME = "1970-01-01T00:00:00Z"


def answer(
    entities: Mapping[str, Sequence[Any]], names: Sequence[str], rows: Sequence[Row]
) -> bytes:
    """The join keys as they were asked for, then the features by those names."""
    present = ["PRESENT"] * len(rows)
    keys = [
        {"values": values, "statuses": present, "event_timestamps": [_NO_TIME] * len(rows)}
        for values in entities.values()
    ]
    stamps = [_NO_TIME if row.stamp is None else _spelt(row.stamp) for row in rows]
    known = [row.known for row in rows]
    features = [
        {
            "values": [*map(_number, column)],
            "statuses": _statuses(column, known) if None in column else present,
            "event_timestamps": stamps,
        }
        for column in zip(*(row.values for row in rows), strict=True)
    ]
    whole = {"metadata": {"feature_names": [*entities, *names]}, "results": [*keys, *features]}
    return json.dumps(whole, separators=(",", ":"), ensure_ascii=False).encode()


def _statuses(column: Sequence[Scalar], known: Sequence[bool]) -> list[str]:
    """A null that the store holds is there; one of an entity it does not know is not."""
    there = zip(column, known, strict=True)
    return ["PRESENT" if held or value is not None else "NOT_FOUND" for value, held in there]


def _number(value: Scalar) -> Scalar:
    """JSON has no NaN and no infinity; protobuf's mapping has texts for them."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def _spelt(stamp: datetime) -> str:
    """In UTC, with no more places than it needs: none, three or six."""
    places = "microseconds" if stamp.microsecond % 1_000 else "milliseconds"
    if not stamp.microsecond:
        places = "seconds"
    return stamp.replace(tzinfo=None).isoformat(timespec=places) + "Z"
