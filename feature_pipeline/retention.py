"""Retention (contract §9): let go what is too old, and keep every value since exactly as it was.

A value of the change log is made of the events of one look-back window, so the rows stamped in the
first window after the cutoff are made of events that have left. They can never be made again: they
stay as they were served, and a refresh makes those after them only. The change log carries its own
beginning, in its parquet metadata, so that no refresh can miss it.

At the cutoff itself a customer who is active has the values of the last row before it. That row
leaves, and its values are carried to the cutoff. A customer whose values are all zeros there needs
no row: the default says the same (§5.2).
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq

from feature_pipeline.atomic import replacing
from feature_pipeline.engine import copy_to, embedded_engine, this_file
from feature_pipeline.refusal import RefusedError
from feature_pipeline.removal import before, remove, rows_to_go

EVENT_TIMES = ("event_timestamp", "created_timestamp")
_BEGINNING = "kept_from"
_KEYS = ("customer_id", "event_timestamp")


def kept_from(history: Path) -> datetime | None:
    """Where the change log begins since its last retention; None where it holds all there was."""
    written = (pq.read_metadata(history).metadata or {}).get(_BEGINNING.encode())
    return None if written is None else datetime.fromisoformat(written.decode())


def beginning(kept: datetime | None) -> dict[str, str]:
    """The same as metadata, for whoever writes the change log anew."""
    return {} if kept is None else {_BEGINNING: kept.astimezone(UTC).isoformat()}


def old_history(history: Path, cutoff: datetime) -> int:
    """Rows of the change log that are stamped before the cutoff."""
    return rows_to_go(history, before(cutoff, "event_timestamp"))


def old_events(events: Path, cutoff: datetime) -> int:
    """Events, or quarantined events, that happened or arrived before the cutoff."""
    return rows_to_go(events, before(cutoff, *EVENT_TIMES))


def let_go_of_events(events: Path, cutoff: datetime) -> int:
    """Take them out. The change log must begin at the cutoff before its events may go."""
    return remove(events, before(cutoff, *EVENT_TIMES))


def let_go_of_history(history: Path, cutoff: datetime) -> None:
    """Begin the change log at the cutoff. Safe to run again, and with a later cutoff.

    The change log must be known up to a look-back window after the cutoff.
    """
    begins = max(cutoff, kept_from(history) or cutoff)
    features = [c for c in pq.read_schema(history).names if c not in _KEYS]
    active = " OR ".join(f'"{feature}" <> 0' for feature in features)
    kept = f"""
        FROM read_parquet($history) WHERE event_timestamp >= $cutoff
        UNION ALL
        SELECT * REPLACE (CAST($cutoff AS TIMESTAMPTZ) AS event_timestamp) FROM (
            FROM read_parquet($history) WHERE event_timestamp <= $cutoff
            QUALIFY event_timestamp = max(event_timestamp) OVER (PARTITION BY customer_id)
        ) WHERE event_timestamp < $cutoff AND ({active})
    """
    with replacing(history) as draft, embedded_engine(history.parent) as connection:
        copy_to(
            connection,
            f"FROM ({kept}) ORDER BY customer_id, event_timestamp",
            draft,
            {"history": this_file(history), "cutoff": cutoff},
            beginning(begins),
        )


def refuse_to_begin(
    history: Path, cutoff: datetime, *, known_to: datetime, lookback_window: timedelta
) -> None:
    """Make sure that no value after the cutoff is still to be made of what would go.

    Raises:
        RefusedError: there is no change log, or it ends within a look-back window of the cutoff.
    """
    if not history.is_file():
        raise RefusedError(f"no change log at {history}: run scripts/refresh.py first")
    if known_to - cutoff < lookback_window:
        raise RefusedError(
            f"the stores are refreshed up to {known_to.isoformat()}, less than a look-back window "
            f"after {cutoff.isoformat()}: values yet to come are made of events before that. Run "
            "scripts/refresh.py first"
        )
