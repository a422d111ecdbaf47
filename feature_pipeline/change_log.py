"""Events in, change log out: the whole of `aggregate.sql`, run by DuckDB, written atomically."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path

import duckdb

from feature_pipeline.atomic import replacing, scratch_folder
from feature_pipeline.engine import copy_to, embedded_engine, join, one_row, parquet_at
from feature_pipeline.erased_customers import NOBODY, ErasedCustomers
from feature_pipeline.intake import IntakeCounts, stage_events
from feature_pipeline.refusal import RefusedError

AGGREGATE_SQL = files("feature_pipeline").joinpath("aggregate.sql").read_text(encoding="utf-8")

# The SQL reckons in UTC without a zone; what is written names its zone.
IN_UTC = f"""
    SELECT * REPLACE (make_timestamptz(epoch_us(event_timestamp)) AS event_timestamp)
    FROM ({AGGREGATE_SQL})
"""


SHARE = 5_000_000  # events whose sums are made at once: windows over them take about 2 GB

IN_SHARE = """
    ($above IS NULL OR customer_id > $above) AND ($up_to IS NULL OR customer_id <= $up_to)
"""


@dataclass(frozen=True)
class Aggregated:
    """What one run of the aggregation did."""

    events: IntakeCounts
    history_rows: int
    customers: int


def aggregate(
    events: Path,
    history: Path,
    quarantine: Path,
    *,
    as_of: datetime,
    lookback_window: timedelta,
    allowed_lateness: timedelta,
    erased: ErasedCustomers = NOBODY,
    on_step: Callable[[str], None] = lambda step: None,
) -> Aggregated:
    """Write the change log of `events` as known at `as_of` to `history` (parquet).

    Both files appear whole or not at all. `lookback_window` and `allowed_lateness` are contract §3.
    Events of `erased` customers are left out.

    Raises:
        RefusedError: see `stage_events`; also when a target cannot be written.
        ValueError: `as_of` has no time zone.
    """
    as_of = in_utc(as_of)
    refuse_one_for_another(events, history, quarantine)
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
        write_sums(connection, IN_UTC, history_draft, bounds, events)
        rows, customers = one_row(
            connection,
            "SELECT count(*), count(DISTINCT customer_id) FROM read_parquet($history)",
            {"history": parquet_at(history_draft)},
        )
    return Aggregated(counts, rows, customers)


def in_utc(as_of: datetime) -> datetime:
    """The same instant in UTC; raises ValueError where it names none."""
    if as_of.tzinfo is None:
        raise ValueError("as_of must carry a time zone: a naive time names no instant")
    return as_of.astimezone(UTC)


def refuse_one_for_another(events: Path, history: Path, quarantine: Path) -> None:
    """Make sure that no target takes the place of what is read; raises RefusedError."""
    if len({path.resolve() for path in (events, history, quarantine)}) < 3:
        raise RefusedError(
            f"events ({events}), history ({history}) and quarantine ({quarantine}) must be three "
            "files: name another target"
        )


def write_sums(
    connection: duckdb.DuckDBPyConnection,
    query: str,
    target: Path,
    bounds: dict[str, object],
    events: Path,
) -> None:
    """Write what the aggregation of `accepted_events` makes: `query`, which may ask for `IN_SHARE`.

    It is made of some customers after the others, or its windows would hold all events in memory.

    Raises:
        RefusedError: a sum is too large.
    """
    query = f"WITH accepted_events AS (FROM temp.accepted_events WHERE {IN_SHARE}) {query}"
    shares = _shares(connection)
    try:
        if len(shares) == 1:
            copy_to(connection, query, target, bounds | shares[0])
            return
        with scratch_folder(target.parent, "shares") as folder:
            parts = [folder / f"{n:05}.parquet" for n in range(len(shares))]
            for share, part in zip(shares, parts, strict=True):
                copy_to(connection, query, part, bounds | share)
            join(connection, parts, target)
    except (duckdb.ConversionException, duckdb.OutOfRangeException) as error:
        raise RefusedError(
            f"the sums of {events} grow beyond what a feature can hold ({error}): "
            "mend the amounts and run again; nothing was written"
        ) from error


def _shares(connection: duckdb.DuckDBPyConnection) -> list[dict[str, object]]:
    """The customers of each share, in their order: those `$above` one and up to another."""
    (rows,) = one_row(connection, "SELECT count(*) FROM accepted_events")
    shares = -(-rows // SHARE)
    ends = _ends(connection, shares) if shares > 1 else []
    return [
        {"above": above, "up_to": up_to}
        for above, up_to in zip([None, *ends], [*ends, None], strict=True)
    ]


def _ends(connection: duckdb.DuckDBPyConnection, shares: int) -> list[object]:
    """The last customers of all shares but the last; fewer, where one customer fills several."""
    # Where exactly they end changes no row of the log: a part of the events tells well enough.
    (ends,) = one_row(
        connection,
        """SELECT quantile_disc(customer_id, $points)
        FROM (SELECT customer_id FROM accepted_events USING SAMPLE 1000000 ROWS)""",
        {"points": [n / shares for n in range(1, shares)]},
    )
    return sorted(set(ends))
