"""Backfill validation (contract §11): recompute a stretch of history and compare it, row by row."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import duckdb

from feature_pipeline.change_log.aggregate import aggregate
from feature_pipeline.change_log.backfill_causes import causes_of_differences
from feature_pipeline.change_log.intake import stage_events
from feature_pipeline.change_log.local_days import IN_UTC
from feature_pipeline.change_log.watermark import digest_of_terms, read_watermark
from feature_pipeline.erasure.erased_customers import NO_ERASURES, ErasedCustomers
from storage.atomic import scratch_folder
from storage.duckdb_session import embedded_engine, parquet_at
from storage.errors import RefusedError
from storage.one_row import one_row
from storage.parquet_table import is_table
from storage.table_bounds import retained_since

_SAMPLE_ROWS = 4


@dataclass(frozen=True)
class Backfill:
    """A stretch of history on record beside the same stretch, recomputed."""

    rows: int
    """Rows that the events make in the stretch."""
    only_on_record: int
    only_recomputed: int
    sample: tuple[str, ...]
    """A few rows of either kind; they name customers."""
    causes: Mapping[str, int] = field(default_factory=dict)
    """Customers and instants that differ, by cause."""

    @property
    def differing(self) -> int:
        """Rows without their equal on the other side: a changed row counts on both."""
        return self.only_on_record + self.only_recomputed


def compare_with_rebuild(
    events: Path,
    history: Path,
    *,
    as_of: datetime,
    stretch: timedelta,
    lookback_window: timedelta,
    allowed_lateness: timedelta,
    erased: ErasedCustomers = NO_ERASURES,
    zone: str = IN_UTC,
    on_step: Callable[[str], None] = lambda step: None,
) -> Backfill:
    """Compare the rows of `history` stamped in (as_of - stretch, as_of] with those of the events.

    The same aggregation makes the whole change log again, in a temporary folder beside `history`.
    Every column counts, and how often a row stands there. After a retention the change log begins
    later than the events' window: only rows a look-back window after that can be made again.

    Raises:
        RefusedError: see `aggregate`; also when there is no history, its columns are not those the
            aggregation writes, the stretch reaches back to rows that retention has left as they
            were, or there is nothing in it to compare.
        ValueError: `as_of` has no time zone.
    """
    if not is_table(history):
        raise RefusedError(f"no change log at {history}: run scripts/refresh.py first")
    refuse_what_has_gone(retained_since(history), as_of - stretch, lookback_window)
    with scratch_folder(history.parent, "backfill") as folder:
        rebuild = folder / "rebuild.parquet"
        aggregate(
            events,
            rebuild,
            rebuild.with_name("quarantine.parquet"),
            as_of=as_of,
            lookback_window=lookback_window,
            allowed_lateness=allowed_lateness,
            erased=erased,
            zone=zone,
            on_step=on_step,
        )
        on_step("comparing with the history on record")
        with embedded_engine(rebuild.parent) as connection:
            _refuse_other_columns(connection, history, rebuild)
            for name, log in (("on_record", history), ("recomputed", rebuild)):
                _stage(connection, name, log, as_of - stretch, as_of)
            compared = compared_here(connection)
            if compared.differing:
                on_step("looking for causes")
                stage_events(connection, events, as_of, allowed_lateness, erased, zone)
                terms = digest_of_terms(lookback_window, allowed_lateness, zone)
                written = read_watermark(history)
                compared = replace(
                    compared,
                    causes=causes_of_differences(
                        connection, same_terms=written is None or written.terms == terms
                    ),
                )
    refuse_nothing(compared, history, as_of - stretch, as_of)
    return compared


def refuse_nothing(compared: Backfill, history: object, after: datetime, until: datetime) -> None:
    """Make sure that there was something to compare.

    Raises:
        RefusedError: there was not.
    """
    if not compared.rows and not compared.differing:
        raise RefusedError(
            f"no row of {history} is stamped in ({after.isoformat()}, {until.isoformat()}], and "
            "none belongs there: name another time"
        )


def refuse_what_has_gone(
    begins: datetime | None, after: datetime, lookback_window: timedelta
) -> None:
    """Make sure that every event is there that the rows after that time are made of.

    Raises:
        RefusedError: retention has let go of some.
    """
    if begins and after < begins + lookback_window:
        raise RefusedError(
            f"the stretch from {after.isoformat()} is made of events of before "
            f"{begins.isoformat()}, which retention has let go of: name a later time"
        )


def _refuse_other_columns(
    connection: duckdb.DuckDBPyConnection, history: Path, rebuild: Path
) -> None:
    """`EXCEPT` sets columns beside each other by their place, whatever they are called."""

    def columns(log: Path) -> str:
        query = "DESCRIBE FROM read_parquet($log)"
        described = connection.execute(query, {"log": parquet_at(log)}).fetchall()
        return ", ".join(f"{name} {kind}" for name, kind, *_ in described)

    stored, written = columns(history), columns(rebuild)
    if stored != written:
        raise RefusedError(
            f"{history} has the columns {stored}, but the aggregation writes {written}: another "
            "aggregation made it, so the two cannot be compared"
        )


def _stage(
    connection: duckdb.DuckDBPyConnection, name: str, log: Path, after: datetime, until: datetime
) -> None:
    connection.execute(
        f"""CREATE TEMP TABLE {name} AS FROM read_parquet($log)
        WHERE event_timestamp > $after AND event_timestamp <= $until""",
        {"log": parquet_at(log), "after": after, "until": until},
    )


def compared_here(connection: duckdb.DuckDBPyConnection) -> Backfill:
    """The tables `on_record` and `recomputed` of the session, without causes."""
    connection.execute(
        """
        CREATE TEMP TABLE differences AS
        SELECT 'only on record' AS side, * FROM (FROM on_record EXCEPT ALL FROM recomputed)
        UNION ALL
        SELECT 'only recomputed', * FROM (FROM recomputed EXCEPT ALL FROM on_record)
        """
    )
    rows, only_on_record, only_recomputed = one_row(
        connection,
        """
        SELECT (SELECT count(*) FROM recomputed),
               count(*) FILTER (WHERE side = 'only on record'),
               count(*) FILTER (WHERE side = 'only recomputed')
        FROM differences
        """,
    )
    few = connection.execute(
        f"FROM differences ORDER BY customer_id, event_timestamp, side LIMIT {_SAMPLE_ROWS}"
    )
    names = [name for name, *_ in few.description]
    sample = tuple(_readable(dict(zip(names, row, strict=True))) for row in few.fetchall())
    return Backfill(rows, only_on_record, only_recomputed, sample)


def _readable(row: dict[str, object]) -> str:
    side = row.pop("side")
    shown = (f"{k}={v.isoformat() if isinstance(v, datetime) else v}" for k, v in row.items())
    return f"{side}: {', '.join(shown)}"
