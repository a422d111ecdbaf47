"""Why a row on record is not the one its events make now.

An event that changed since moves every value from its arrival to its end, so the rows after it
differ as well; a row that was changed in the log differs alone. Where the next row cannot tell,
because there is none or because it takes the place of the same day's state, it may be either.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Any

import duckdb

ROW_DOUBLED = "a row stands twice in the log"
ROW_GONE, EVENT_CAME = "a row has gone from the log", "an event came since"
ROW_ADDED, EVENT_GONE = "a row was added to the log", "an event has gone since"
ROW_CHANGED, EVENT_CHANGED = "a row was changed in the log", "an event was changed since"
EITHER = "a row or an event was changed"
OTHER_TERMS = "the log was made by another aggregation or other terms"

_CUSTOMERS = 1_000
"""Customers whose causes are looked for; the rest is counted as `UNTOLD`."""
UNTOLD = f"not looked into: beyond {_CUSTOMERS:,} customers"

Key = tuple[Any, datetime]
_Rows = Mapping[Key, Sequence[tuple[Any, ...]]]


def causes_of_differences(
    connection: duckdb.DuckDBPyConnection, *, same_terms: bool
) -> dict[str, int]:
    """Keys that differ by cause, the most frequent first.

    The session holds `on_record` and `recomputed`, the rows of the stretch, and `accepted_events`.
    """
    differing = connection.execute(
        """
        SELECT DISTINCT customer_id, event_timestamp FROM (
            (FROM on_record EXCEPT ALL FROM recomputed)
            UNION ALL (FROM recomputed EXCEPT ALL FROM on_record)
        )
        """
    ).fetchall()
    if not same_terms:
        return {OTHER_TERMS: len(differing)} if differing else {}
    theirs = sorted({customer for customer, _ in differing})[:_CUSTOMERS]
    connection.execute(
        "CREATE TEMP TABLE theirs AS SELECT unnest($theirs) AS customer_id", {"theirs": theirs}
    )
    record, made = (_rows(connection, side) for side in ("on_record", "recomputed"))
    days = _days_of_arrivals(connection)
    causes: Counter[str] = Counter()
    for _, keys in groupby(sorted({*record, *made}), key=itemgetter(0)):
        causes.update(_causes_of(list(keys), record, made, days))
    if untold := len(differing) - sum(causes.values()):
        causes[UNTOLD] = untold
    return dict(sorted(causes.items(), key=lambda one: (-one[1], one[0])))


def _rows(connection: duckdb.DuckDBPyConnection, side: str) -> _Rows:
    found = connection.execute(f"FROM {side} SEMI JOIN theirs USING (customer_id)").fetchall()
    rows: dict[Key, list[tuple[Any, ...]]] = {}
    for customer, stamp, *features in found:
        rows.setdefault((customer, stamp), []).append(tuple(features))
    return rows


def _days_of_arrivals(connection: duckdb.DuckDBPyConnection) -> Mapping[Key, set[Any]]:
    """The days of whose state an event arrived, by customer and instant."""
    arrivals = connection.execute(
        """SELECT customer_id, make_timestamptz(epoch_us(created_timestamp)),
                  day
        FROM accepted_events SEMI JOIN theirs USING (customer_id)"""
    ).fetchall()
    days: dict[Key, set[Any]] = {}
    for customer, arrived, day in arrivals:
        days.setdefault((customer, arrived), set()).add(day)
    return days


def _causes_of(
    keys: Sequence[Key], record: _Rows, made: _Rows, days: Mapping[Key, set[Any]]
) -> list[str]:
    """A cause for each of one customer's keys that differs, oldest first."""
    causes: list[str] = []
    going_on: str | None = None
    for place, key in enumerate(keys):
        there, expected = record.get(key, ()), made.get(key, ())
        if sorted(there, key=repr) == sorted(expected, key=repr):
            going_on = None
            continue
        following = keys[place + 1] if place + 1 < len(keys) else None
        if len(there) > 1:
            cause = ROW_DOUBLED
        elif going_on is not None:
            cause = going_on  # what an event before it began
        else:
            row, event = _either_way(bool(there), bool(expected))
            if following is None or days.get(key, set()) & days.get(following, set()):
                cause = EITHER
            elif record.get(following) == made.get(following):
                cause = row
            else:
                cause = going_on = event
        causes.append(cause)
    return causes


def _either_way(on_record: bool, recomputed: bool) -> tuple[str, str]:
    """What it is called where the row alone differs, and where the rows after it do as well."""
    if not on_record:
        return ROW_GONE, EVENT_CAME
    if not recomputed:
        return ROW_ADDED, EVENT_GONE
    return ROW_CHANGED, EVENT_CHANGED
