"""What is an instant here, in SQL: a time of the years 1 to 9999, which every engine can tell.

Beyond them lie what engines take for infinite and what Python cannot name. An event that arrived at
no instant counts as arrived: it is there, and no refresh to come will meet it as new.
"""

from datetime import UTC, datetime

_FIRST = "TIMESTAMPTZ '0001-01-01 00:00:00+00'"
_BEYOND = "TIMESTAMPTZ '10000-01-01 00:00:00+00'"


def is_no_instant(column: str) -> str:
    """A condition that holds outside those years; of no time it is null."""
    return f"({column} < {_FIRST} OR {column} >= {_BEYOND})"


def arrives_after(bound: str) -> str:
    """A condition that holds for an event that arrives later than that; of no time it is null."""
    return f"(created_timestamp > {bound} AND created_timestamp < {_BEYOND})"


def arrived_by(bound: str) -> str:
    """A condition that holds for an event that arrived by then, at an instant."""
    return f"(created_timestamp <= {bound} AND created_timestamp >= {_FIRST})"


def iso(instant: str) -> str:
    """SQL that spells an instant as ISO 8601 has it."""
    # Spelled by the engine: Python's datetime ends at the year 9999, a column of events need not.
    return f"replace(CAST({instant} AS VARCHAR), ' ', 'T') || ':00'"


def in_utc(as_of: datetime) -> datetime:
    """An instant, told in UTC; raises ValueError where the time names none."""
    if as_of.tzinfo is None:
        raise ValueError("as_of must carry a time zone: a naive time names no instant")
    return as_of.astimezone(UTC)
