"""Events in, change log out: the whole of `aggregate.sql`, run by DuckDB, written atomically."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path

import duckdb

from feature_pipeline.atomic import replacing
from feature_pipeline.engine import copy_to, embedded_engine, one_row, this_file
from feature_pipeline.intake import IntakeCounts, stage_events
from feature_pipeline.refusal import RefusedError

AGGREGATE_SQL = files("feature_pipeline").joinpath("aggregate.sql").read_text(encoding="utf-8")

# The SQL reckons in UTC without a zone; what is written names its zone.
_IN_UTC = f"""
    SELECT * REPLACE (make_timestamptz(epoch_us(event_timestamp)) AS event_timestamp)
    FROM ({AGGREGATE_SQL})
"""


@dataclass(frozen=True)
class Aggregated:
    """What one run of the aggregation did."""

    events: IntakeCounts
    history_rows: int
    customers: int
    newest: datetime | None
    """Stamp of the newest row; None where there is none."""


def aggregate(
    events: Path,
    history: Path,
    quarantine: Path,
    *,
    as_of: datetime,
    lookback_window: timedelta,
    allowed_lateness: timedelta,
    served: Path | None = None,
    on_step: Callable[[str], None] = lambda step: None,
) -> Aggregated:
    """Write the change log of `events` as known at `as_of` to `history` (parquet).

    Both files appear whole or not at all. `lookback_window` and `allowed_lateness` are contract §3.
    `served` is a change log whose rows models may have read already: each must stand in the new one
    as well, for history is append-only (§10, served versions immutable).

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
        counts = stage_events(connection, events, as_of, allowed_lateness)
        on_step("writing quarantined events")
        copy_to(connection, "FROM quarantined_events", quarantine_draft, {})
        on_step("aggregating")
        bounds = {"as_of": as_of.replace(tzinfo=None), "lookback_window": lookback_window}
        try:
            copy_to(connection, _IN_UTC, history_draft, bounds)
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
    return Aggregated(counts, history_rows=rows, customers=customers, newest=newest)


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
