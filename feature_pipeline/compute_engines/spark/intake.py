"""Take in `customer_events` on Spark: what change_log/intake.py refuses and sets aside."""

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from feature_pipeline.change_log.event_columns import COLUMNS, KEYS
from feature_pipeline.change_log.event_parts import event_parts
from feature_pipeline.change_log.intake import MICROSECOND
from feature_pipeline.change_log.local_days import unknown_zone
from feature_pipeline.compute_engines.engine import Arrivals
from feature_pipeline.compute_engines.spark import sql as sql
from feature_pipeline.compute_engines.spark.lake import read_events, write_parts
from feature_pipeline.refreshed import Tables, Terms
from storage.errors import RefusedError
from storage.parquet_table import rows_of
from storage.spark_parquet import unsigned_columns
from storage.spark_session import FAILURES, is_of_a_file, own_session


@dataclass
class Statements:
    """A session of Spark's, and what its statements are bound to."""

    session: SparkSession
    bounds: dict[str, Any] = field(default_factory=dict)
    stored: pa.Schema = field(default_factory=lambda: pa.schema([]))
    """The columns of the staged events that are stored as unsigned numbers."""

    @classmethod
    def of(cls, session: SparkSession, as_of: datetime, terms: Terms) -> "Statements":
        """In a session of their own."""
        bounds = {
            "as_of": as_of,
            "lookback_window": terms.lookback_window,
            "lateness_us": terms.allowed_lateness // MICROSECOND,
            "zone": terms.zone,
        }
        return cls(own_session(session), bounds)

    def view(self, name: str, query: str) -> DataFrame:
        """The query's rows, under a name for the queries to come."""
        rows = self.session.sql(query, args=self.bounds)
        rows.createOrReplaceTempView(name)
        return rows

    def row(self, query: str) -> list[Any]:
        """The single row of a query that always has one; its instants are in UTC."""
        # Not collect(), which gives instants in the zone of this process and does not say so.
        table = self.session.sql(query, args=self.bounds).toArrow()
        return [column[0].as_py() for column in table.columns]


def stage(run: Statements, tables: Tables, terms: Terms, delivered: str) -> Arrivals:
    """Create `events_file`, what was `delivered` of it, and `judged`; the erased are left out.

    Raises:
        RefusedError: the zone is not known, Spark reads other rows than the footers tell of, or see
            `read_events`.
    """
    _refuse_unknown_zone(run, terms.zone)
    parts = event_parts(tables.events)
    run.stored = unsigned_columns(parts)
    events = read_events(run.session, parts)
    _refuse_lost_rows(events, rows_of(parts), tables)
    if terms.erased:
        events = _without_erased(run, events, terms)
    events.createOrReplaceTempView("events_file")
    run.view("delivered", delivered)
    run.view("judged", sql.JUDGED)
    ingested, not_yet_arrived, newest, first = run.row(sql.ARRIVED)
    return Arrivals(ingested, not_yet_arrived, first, newest)


def _refuse_lost_rows(events: DataFrame, told: int, tables: Tables) -> None:
    """Spark passes over a group of rows that its footer places beyond the end of the file."""
    if (read := events.count()) != told:
        raise RefusedError(
            f"the footers of {tables.events} tell of {told:,} rows, but {read:,} can be read: "
            "write it anew from where its events came; nothing was written"
        )


def write_set_aside(
    run: Statements, query: str, version: Path, as_of: datetime, *, whole: bool = False
) -> list[Path]:
    """Write the quarantined events with all that they hold; without it where that is unreadable."""
    set_aside = run.view("quarantined_events", query)
    try:
        return write_parts(set_aside, version, as_of, KEYS, run.stored, whole=whole)
    except FAILURES as error:
        if not is_of_a_file(error):
            raise
    events_alone = set_aside.select(*COLUMNS, "reason")
    return write_parts(events_alone, version, as_of, KEYS, run.stored, whole=whole)


def set_doubles_aside(run: Statements) -> None:
    """Give events in `judged` that stand there more than once their reason."""
    if run.view("doubled", sql.DOUBLED).isEmpty():
        return
    run.view("judged_alone", "SELECT * FROM judged")
    run.view("judged", sql.JUDGED_WITH_DOUBLES)


def _refuse_unknown_zone(run: Statements, zone: str) -> None:
    try:
        run.row("SELECT from_utc_timestamp(TIMESTAMP '2024-01-01', :zone)")
    except PySparkException as error:
        raise unknown_zone(zone, "Spark") from error


def _without_erased(run: Statements, events: DataFrame, terms: Terms) -> DataFrame:
    """Events of other customers, and those of none, for the rule on keys to find.

    Here, one customer at a time, since no worker is to know the key; as rows and not as a list in
    the query, since Spark shows its queries.
    """
    customers = events.select("customer_id").distinct().toLocalIterator()
    gone = [customer for (customer,) in customers if customer in terms.erased]
    if not gone:
        return events
    erased = run.session.createDataFrame(pa.table({"customer_id": gone}))
    return events.join(erased, "customer_id", "left_anti")
