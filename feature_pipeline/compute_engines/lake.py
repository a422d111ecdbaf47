"""A change log in the parquet lake, whichever engine writes it: what it is, and how it is left."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import datetime
from pathlib import Path

from feature_pipeline.change_log.aggregate import refuse_one_for_another
from feature_pipeline.change_log.events_table import refuse_wrong_schema
from feature_pipeline.change_log.watermark import Watermark, digest_of_terms, read_watermark
from feature_pipeline.compute_engines.engine import EventCounts, Extent, Plan, Run
from feature_pipeline.refreshed import RefreshResult, Tables, later_than
from storage.parquet_table import known_by, parts_of, rows_of
from storage.table_bounds import mark_retained_since, retained_since


class LakeEngine:
    """What DuckDB and Spark share: either goes on where the other stopped."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self.events, self.log = tables.events, tables.history

    def digest(self, run: Run) -> str:
        """A digest of the aggregation, its window, its lateness and its zone."""
        return digest_of_terms(
            run.terms.lookback_window, run.terms.allowed_lateness, run.terms.zone
        )

    def last_refresh(self) -> Watermark | None:
        """The log's own watermark.

        Raises:
            RefusedError: the tables take each other's place.
        """
        refuse_one_for_another(self.events, self.log, self.tables.quarantine)
        return read_watermark(self.log)

    def event_counts(self, run: Run, last: Watermark | None) -> EventCounts:
        """By the footers of the parts, as far as they tell.

        Raises:
            RefusedError: the events are no such table.
        """
        rows = refuse_wrong_schema(self.events)
        by_last = rows - later_than(last.as_of, self.events) if last else 0
        return EventCounts(rows - later_than(run.as_of, self.events), by_last)

    def unlike(self, last: Watermark) -> str | None:
        """By the rows that the footers tell of."""
        if rows_of(parts_of(self.log)) != last.history_rows:
            return "log"
        quarantined = known_by(parts_of(self.tables.quarantine), last.as_of)
        return None if rows_of(quarantined) == last.quarantined else "quarantine"

    def unchanged(self, run: Run, last: Watermark) -> RefreshResult:
        """As the watermark says."""
        later = later_than(run.as_of, self.events, run.terms.erased)
        return last.refreshed_from(last, later, left_out=0)

    def left_out(self, run: Run, plan: Plan, ingested: int) -> int:
        """What was delivered is counted with the erased, what was ingested without."""
        since = plan.last.delivered if plan.last and plan.since else 0
        return plan.events.by_now - since - ingested

    @contextmanager
    def writing(self, run: Run, plan: Plan) -> Iterator[None]:
        """The quarantine is put in place first: what goes on from the log before it passes over it.

        Raises:
            RefusedError: a table's folder cannot be written.
        """
        with self.version(self.log, run, plan) as self.new_log, ExitStack() as self._placing:
            self.new_quarantine = self._placing.enter_context(
                self.version(self.tables.quarantine, run, plan)
            )
            yield
            run.on_step("putting the log in place")

    def version(self, table: Path, run: Run, plan: Plan) -> AbstractContextManager[Path]:
        """A new version of a table, to write parts into: empty, or with the parts that stay."""
        raise NotImplementedError

    def extent(self) -> tuple[int, datetime | None]:
        """Rows that were written to the new log, and the newest one's stamp."""
        raise NotImplementedError

    def commit(self, run: Run, plan: Plan, now: Watermark, mended: int) -> Extent:
        """Leave the watermark with the new log, and where that begins since its last retention."""
        run.on_step("putting the quarantine in place")
        self._placing.close()
        written, newest = self.extent()
        if plan.last and plan.since:
            extent = Extent(plan.last.history_rows + written, written, newest)
        else:
            extent = Extent(written, written - rows_of(parts_of(self.log)), newest)
        now.with_rows(extent.rows, newest).write(self.new_log)
        mark_retained_since(self.new_log, retained_since(self.log))
        return extent
