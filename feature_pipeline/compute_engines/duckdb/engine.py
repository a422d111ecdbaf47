"""The embedded engine: events and change log are parquet, and DuckDB reads and writes them."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from feature_pipeline.change_log.aggregate import write_log
from feature_pipeline.change_log.arrivals import stage_arrivals
from feature_pipeline.change_log.intake import stage_events
from feature_pipeline.compute_engines.engine import Accepted, Arrivals, Plan, Revisions, Run
from feature_pipeline.compute_engines.lake import LakeEngine
from feature_pipeline.refreshed import extent, newest_arrival
from storage.duckdb_session import copy_to, embedded_engine, parquet_at
from storage.one_row import one_row
from storage.parquet_table import adding_to, is_table, new_version, part_up_to, rows_of
from storage.table_bounds import retained_since

_ORDER = "customer_id, event_timestamp"


class DuckDBEngine(LakeEngine):
    """The lake's tables, by DuckDB."""

    @contextmanager
    def alone(self, run: Run) -> Iterator[None]:
        """The lock is the job's; DuckDB is started once there is something to do."""
        with ExitStack() as self._started:
            yield

    def stage(self, run: Run, plan: Plan) -> Arrivals:
        """Create the views `accepted_events` and `quarantined_events`; see `stage_events`."""
        self._duckdb = self._started.enter_context(embedded_engine(self.log.parent))
        lateness, erased, zone = run.terms.allowed_lateness, run.terms.erased, run.terms.zone
        if plan.since is None:
            staged = stage_events(self._duckdb, self.events, run.as_of, lateness, erased, zone)
            self._accepted, delivered = Accepted(staged.accepted, 0), "events_file"
            ingested, not_yet_arrived = staged.ingested, staged.not_yet_arrived
        else:
            counts = stage_arrivals(
                self._duckdb,
                self.events,
                plan.since,
                run.as_of,
                lookback_window=run.terms.lookback_window,
                lateness=lateness,
                erased=erased,
                zone=zone,
            )
            self._accepted = Accepted(counts.kept + counts.superseded, counts.kept)
            delivered = "delivered"
            ingested, not_yet_arrived = counts.ingested, counts.not_yet_arrived
        newest = newest_arrival(self._duckdb, delivered, run.as_of)
        return Arrivals(ingested, not_yet_arrived, None, newest)

    def version(self, table: Path, run: Run, plan: Plan) -> AbstractContextManager[Path]:
        """See `new_version` and `adding_to`."""
        if plan.since is None:
            return new_version(table)
        return adding_to(table, plan.since, run.as_of, self._duckdb, _ORDER)

    def write_quarantine(self, run: Run, plan: Plan) -> int:
        """In one part."""
        part = self.new_quarantine / _part(run, plan)
        copy_to(self._duckdb, "FROM quarantined_events", part, {})
        return rows_of([part])

    def aggregate(self, run: Run, plan: Plan) -> Accepted:
        """In one pass, as `write_log` does."""
        query, bounds = self._rows_of_the_log(run, plan)
        self._written = self.new_log / _part(run, plan)
        kept = write_log(
            self._duckdb,
            query,
            self._written,
            bounds,
            events=self.events,
            as_of=run.as_of,
            lookback_window=run.terms.lookback_window,
            zone=run.terms.zone,
        )
        return self._accepted if plan.since else self._accepted._replace(kept=kept)

    def _rows_of_the_log(self, run: Run, plan: Plan) -> tuple[str, dict[str, Any]]:
        if plan.since:
            return "FROM change_log WHERE event_timestamp > $since", {"since": plan.since}
        if begins := retained_since(self.log):
            whole_again = begins + run.terms.lookback_window
            return _CONTINUED, {"served": parquet_at(self.log), "whole_again": whole_again}
        return "FROM change_log", {}

    def revisions(self, run: Run, plan: Plan) -> Revisions | None:
        """A comparison of the log's files; None where there are none."""
        if not is_table(self.log):
            return None
        bounds: dict[str, Any] = {
            "served": parquet_at(self.log),
            "rebuilt": parquet_at(self._written),
        }
        if plan.last:
            bounds["known_to"] = plan.last.as_of

        def ask(query: str) -> Sequence[Any]:
            asked = {name: bound for name, bound in bounds.items() if f"${name}" in query}
            return one_row(self._duckdb, query, asked)

        return Revisions(ask, _GONE, "read_parquet($rebuilt)", _ADDED, "read_parquet($served)")

    def extent(self) -> tuple[int, datetime | None]:
        """The extent of the part that was written."""
        return extent(self._duckdb, self._written)


def _part(run: Run, plan: Plan) -> str:
    return part_up_to(run.as_of, whole=plan.since is None)


# After a retention the first window of rows cannot be made again, and stays as it was served.
_CONTINUED = """
    FROM (
        FROM read_parquet($served) WHERE event_timestamp < $whole_again
        UNION ALL BY NAME
        FROM change_log WHERE event_timestamp >= $whole_again
    ) ORDER BY customer_id, event_timestamp
"""

_GONE = """
    SELECT count(*), CAST(min(event_timestamp) AS VARCHAR) FROM (
        FROM read_parquet($served) EXCEPT ALL FROM read_parquet($rebuilt)
    ) AS differing
"""
_ADDED = """
    SELECT count(*), CAST(min(event_timestamp) AS VARCHAR) FROM (
        FROM read_parquet($rebuilt) WHERE event_timestamp <= $known_to
        EXCEPT ALL FROM read_parquet($served)
    ) AS differing
"""
