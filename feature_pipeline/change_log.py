"""Events in, change log out: the whole of `aggregate.sql`, run by DuckDB, written atomically."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from feature_pipeline.atomic import replacing
from feature_pipeline.engine import copy_to, embedded_engine, one_row, this_file
from feature_pipeline.erased_customers import NOBODY, ErasedCustomers
from feature_pipeline.intake import IntakeCounts, stage_events
from feature_pipeline.refusal import RefusedError
from feature_pipeline.retention import beginning, kept_from

AGGREGATE_SQL = files("feature_pipeline").joinpath("aggregate.sql").read_text(encoding="utf-8")

# The SQL reckons in UTC without a zone; what is written names its zone.
_IN_UTC = f"""
    SELECT * REPLACE (make_timestamptz(epoch_us(event_timestamp)) AS event_timestamp)
    FROM ({AGGREGATE_SQL})
"""

# After a retention the first window of rows cannot be made again, and stays as it was served.
_CONTINUED = f"""
    FROM (
        FROM read_parquet($served) WHERE event_timestamp < $whole_again
        UNION ALL BY NAME
        FROM ({_IN_UTC}) WHERE event_timestamp >= $whole_again
    ) ORDER BY customer_id, event_timestamp
"""


@dataclass(frozen=True)
class Aggregated:
    """What one run of the aggregation did."""

    events: IntakeCounts
    history_rows: int
    customers: int
    newest: datetime | None
    """Stamp of the newest row; None where there is none."""
    left_out: int
    """Events of customers who were erased, and so never ingested again."""


def aggregate(
    events: Path,
    history: Path,
    quarantine: Path,
    *,
    as_of: datetime,
    lookback_window: timedelta,
    allowed_lateness: timedelta,
    served: Path | None = None,
    erased: ErasedCustomers = NOBODY,
    on_step: Callable[[str], None] = lambda step: None,
) -> Aggregated:
    """Write the change log of `events` as known at `as_of` to `history` (parquet).

    Both files appear whole or not at all. `lookback_window` and `allowed_lateness` are contract §3.
    `served` is a change log whose rows models may have read already: each must stand in the new one
    as well, for history is append-only (§10, served versions immutable). Where retention has let
    go of its beginning, the new one begins where it does. Events of `erased` customers are left
    out.

    Raises:
        RefusedError: see `stage_events`; also when a target cannot be written, or a row of `served`
            would be taken back.
        ValueError: `as_of` has no time zone.
    """
    if as_of.tzinfo is None:
        raise ValueError("as_of must carry a time zone: a naive time names no instant")
    as_of = as_of.astimezone(UTC)
    if len({path.resolve() for path in (events, history, quarantine)}) < 3:
        raise RefusedError(
            f"events ({events}), history ({history}) and quarantine ({quarantine}) must be three "
            "files: name another target"
        )
    with (
        replacing(history) as history_draft,
        replacing(quarantine) as quarantine_draft,
        embedded_engine(history.parent) as connection,
    ):
        on_step("checking and staging events")
        counts = stage_events(connection, events, as_of, allowed_lateness, erased)
        on_step("writing quarantined events")
        copy_to(connection, "FROM quarantined_events", quarantine_draft, {})
        on_step("aggregating")
        bounds = {"as_of": as_of.replace(tzinfo=None), "lookback_window": lookback_window}
        query, begins = _IN_UTC, None
        if served is not None and served.is_file() and (begins := kept_from(served)):
            bounds |= {"served": this_file(served), "whole_again": begins + lookback_window}
            query = _CONTINUED
        try:
            copy_to(connection, query, history_draft, bounds, beginning(begins))
        except (duckdb.ConversionException, duckdb.OutOfRangeException) as error:
            raise RefusedError(
                f"the sums of {events} grow beyond what a feature can hold ({error}): "
                "mend the amounts and run again; nothing was written"
            ) from error
        if served is not None and served.is_file():
            on_step("comparing with what was served")
            _refuse_to_take_back(connection, served, history_draft)
        rows, customers, newest = one_row(
            connection,
            """SELECT count(*), count(DISTINCT customer_id), max(event_timestamp)
            FROM read_parquet($history)""",
            {"history": this_file(history_draft)},
        )
    admitted = counts.ingested + counts.not_yet_arrived
    left_out = pq.read_metadata(events).num_rows - admitted
    return Aggregated(counts, rows, customers, newest, left_out)


def _refuse_to_take_back(
    connection: duckdb.DuckDBPyConnection, served: Path, new_log: Path
) -> None:
    gone, first = one_row(
        connection,
        """SELECT count(*), CAST(min(event_timestamp) AS VARCHAR) FROM (
            FROM read_parquet($served) EXCEPT ALL FROM read_parquet($new_log)
        )""",
        {"served": this_file(served), "new_log": this_file(new_log)},
    )
    if gone:
        raise RefusedError(
            f"{gone:,} rows of {served}, the first of {first}, would be taken back: the events "
            "are not a continuation of those it was made of. Mend them, or move that file away "
            "to begin anew; nothing was written"
        )
