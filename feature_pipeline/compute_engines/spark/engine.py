"""Spark over the parquet lake: beyond what one machine holds.

What it does, and what it leaves, is what the embedded engine does and leaves: the same aggregation,
the same lake with the same watermark, so that either goes on where the other stopped.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from pyspark.sql import SparkSession

from feature_pipeline.change_log.event_columns import KEYS
from feature_pipeline.change_log.local_days import whole_days_from
from feature_pipeline.compute_engines.engine import Accepted, Arrivals, Plan, Revisions, Run
from feature_pipeline.compute_engines.lake import LakeEngine
from feature_pipeline.compute_engines.spark import sql as sql
from feature_pipeline.compute_engines.spark.intake import (
    Statements,
    set_doubles_aside,
    stage,
    write_set_aside,
)
from feature_pipeline.compute_engines.spark.lake import adding_parts_to, write_parts
from feature_pipeline.refreshed import Tables
from storage.errors import RefusedError
from storage.parquet_table import is_table, new_version, parts_of, rows_of
from storage.spark_parquet import read_parts
from storage.spark_session import failures_refused
from storage.table_bounds import retained_since

_ORDER = ("customer_id", "event_timestamp")
_EVER = datetime(1, 1, 1, tzinfo=UTC)
_EXTENT = "SELECT count(*), max(event_timestamp) FROM written"


class SparkEngine(LakeEngine):
    """The lake's tables, by a session of Spark's."""

    def __init__(self, session: SparkSession, tables: Tables) -> None:
        super().__init__(tables)
        self._session = session

    @contextmanager
    def alone(self, run: Run) -> Iterator[None]:
        """In a session of its own; the lock is the job's.

        Raises:
            RefusedError: Spark fails.
        """
        what = f"Spark did not bring {self.log} up to date"
        with failures_refused(lambda why: RefusedError(f"{why}; nothing was written"), what):
            self._run = Statements.of(self._session, run.as_of, run.terms)
            yield

    def stage(self, run: Run, plan: Plan) -> Arrivals:
        """Create `accepted_events`, of what a row after the plan's `since` may count.

        Raises:
            RefusedError: the events hold nanoseconds; see also `spark_intake.stage`.
        """
        spark, since = self._run, plan.since
        spark.bounds["since"] = since or _EVER
        if since:
            window = run.terms.lookback_window
            counting = since - max(window, run.terms.allowed_lateness)
            spark.bounds |= {
                "leave_from": since - window,
                "leave_by": run.as_of - window,
                "counting": whole_days_from(counting, run.terms.zone),
            }
        delivered = sql.DELIVERED if since else "SELECT * FROM events_file"
        arrivals = stage(spark, self.tables, run.terms, delivered)
        if since:
            spark.view("touched", sql.TOUCHED)
        set_doubles_aside(spark)
        spark.view("accepted_events", sql.ACCEPTED + (sql.OF_THE_TOUCHED if since else ""))
        return arrivals

    def version(self, table: Path, run: Run, plan: Plan) -> AbstractContextManager[Path]:
        """See `new_version` and `adding_parts_to`."""
        if plan.since is None:
            return new_version(table)
        order = _ORDER if table == self.log else KEYS
        return adding_parts_to(table, plan.since, run.as_of, self._run.session, order)

    def write_quarantine(self, run: Run, plan: Plan) -> int:
        """In a part a share of the customers."""
        query = sql.QUARANTINED_SINCE if plan.since else sql.QUARANTINED
        whole = plan.since is None
        return rows_of(
            write_set_aside(self._run, query, self.new_quarantine, run.as_of, whole=whole)
        )

    def aggregate(self, run: Run, plan: Plan) -> Accepted:
        """As the warehouse's statement does."""
        spark = self._run
        accepted = Accepted(*spark.row(sql.COUNTED))
        rows = spark.view("made", sql.aggregation())
        if plan.since:
            rows = spark.view("new", sql.NEW)
        elif is_table(self.log):
            read_parts(spark.session, parts_of(self.log)).createOrReplaceTempView("served")
            if begins := retained_since(self.log):
                spark.bounds["whole_again"] = begins + run.terms.lookback_window
                rows = spark.view("continued", sql.CONTINUED)
        written = write_parts(
            rows, self.new_log, run.as_of, _ORDER, spark.stored, whole=plan.since is None
        )
        read_parts(spark.session, written).createOrReplaceTempView("written")
        return accepted

    def revisions(self, run: Run, plan: Plan) -> Revisions | None:
        """A comparison of the log's files; None where there are none."""
        if not is_table(self.log):
            return None
        if plan.last:
            self._run.bounds["known_to"] = plan.last.as_of
        return Revisions(self._run.row, sql.TAKEN_BACK, "written", sql.ANOTHER_PAST, "served")

    def extent(self) -> tuple[int, datetime | None]:
        """The extent of the parts that were written."""
        rows, newest = self._run.row(_EXTENT)
        return rows, newest
