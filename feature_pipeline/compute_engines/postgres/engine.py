"""The warehouse: events and change log lie in PostgreSQL, and a refresh is one transaction of it.

Let the log stand at W, and A be the new as-of time. A row stamped in (W, A] is there because an
event arrived in (W, A] or left its window then. So only the customers of such events are looked at,
and of those only the events that can still count: all of the day of W - window and later, since
states supersede each other within a day, and what lies before had left the window by W. The same
aggregation over them makes the rows of (W, A], which are appended.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial

from feature_pipeline.change_log.local_days import whole_days_from
from feature_pipeline.change_log.watermark import Watermark
from feature_pipeline.compute_engines.engine import (
    Accepted,
    Arrivals,
    EventCounts,
    Extent,
    Plan,
    Revisions,
    Run,
)
from feature_pipeline.compute_engines.postgres import sql as sql
from feature_pipeline.compute_engines.postgres.admission import (
    admit,
    left_out,
    refuse_unknown_zone,
    retained_since,
)
from feature_pipeline.compute_engines.postgres.warehouse import (
    EVENTS,
    HISTORY,
    refusals,
    session,
    writing_alone,
)
from feature_pipeline.refreshed import RefreshResult
from storage.one_row import one_row
from storage.postgres_session import Session

_EVER = "-infinity"
_MICROSECOND = timedelta(microseconds=1)


class PostgreSQLEngine:
    """`data_warehouse`'s tables, by a login with the role `feature_store_pipeline`."""

    events, log = EVENTS, HISTORY

    def __init__(self, address: str) -> None:
        """`address` is a libpq connection string."""
        self._address = address

    @contextmanager
    def alone(self, run: Run) -> Iterator[None]:
        """One transaction, of which nothing stays where it is killed.

        Raises:
            RefusedError: the warehouse cannot be reached or written to, another refresh is at it,
                or a sum grows beyond its column.
        """
        with (
            refusals("feature_store_pipeline"),
            session(self._address) as connection,
            writing_alone(connection),
            connection.transaction(),
        ):
            admit(connection, run.terms.erased)
            refuse_unknown_zone(connection, run.terms.zone)
            self._connection: Session = connection
            yield

    def digest(self, run: Run) -> str:
        """A digest of the aggregation, its window, its lateness and its zone."""
        terms = run.terms
        aggregation = sql.digest_of_aggregation(terms.zone)
        return _digest(aggregation, terms.lookback_window, terms.allowed_lateness)

    def last_refresh(self) -> Watermark | None:
        """The last one on record; the erased are not counted in what it ingested."""
        row = self._connection.execute(sql.LAST_REFRESH).fetchone()
        if row is None:
            return None
        as_of, *terms, ingested, kept, superseded, quarantined, rows, newest = row
        return Watermark(
            as_of,
            _digest(*terms),
            delivered=ingested,
            kept=kept,
            superseded=superseded,
            quarantined=quarantined,
            history_rows=rows,
            newest=newest,
            newest_arrival=as_of,  # not on record; `event_counts` meets the events' own
        )

    def event_counts(self, run: Run, last: Watermark | None) -> EventCounts:
        """Without those of the erased."""
        bounds = {"as_of": run.as_of, "last_as_of": last and last.as_of}
        there, by_now, by_last, self._first, self._newest = one_row(
            self._connection, sql.ARRIVALS, bounds
        )
        self._by_now, self._later = int(by_now), int(there) - int(by_now)
        return EventCounts(by_now, by_last if last else 0)

    def unlike(self, last: Watermark) -> str | None:
        """None: the pipeline's login may delete no row of either table."""
        return None

    def unchanged(self, run: Run, last: Watermark) -> RefreshResult:
        """As the last refresh has it on record, and the events as counted before."""
        there = replace(last, newest_arrival=self._newest or last.as_of)
        return there.refreshed_from(there, self._later, left_out=0)

    def stage(self, run: Run, plan: Plan) -> Arrivals:
        """The accepted events that rows are made of: all, or those that a row since may count."""
        terms, since = run.terms, plan.since
        self._bounds = bounds = {
            "as_of": run.as_of,
            "lookback_window": terms.lookback_window,
            "allowed_lateness": terms.allowed_lateness,
            "zone": terms.zone,
            "since": since or _EVER,
            "made_since": since or _EVER,
        }
        begins = retained_since(self._connection)
        if begins and since is None:
            # What was served of the first window is made of events that have left.
            bounds["made_since"] = begins + terms.lookback_window - _MICROSECOND
        if since is None:
            self._ask(sql.FORGET_QUARANTINE)
            self._ask(sql.ACCEPTED)
        else:
            bounds["left_since"] = since - terms.lookback_window
            bounds["left_until"] = run.as_of - terms.lookback_window
            # An event may be late beyond its window: it counts nowhere, but is counted.
            counting = since - max(terms.lookback_window, terms.allowed_lateness)
            bounds["whole_days_from"] = whole_days_from(counting, terms.zone)
            self._ask(sql.AFFECTED)
            self._connection.execute("ANALYZE affected")
            self._ask(f"{sql.ACCEPTED} {sql.OF_THE_AFFECTED}")
        self._connection.execute(sql.DOUBLED)
        self._connection.execute(sql.WITHOUT_DOUBLES)
        self._connection.execute("ANALYZE accepted_events")
        before = plan.last.delivered if plan.last and since else 0
        return Arrivals(self._by_now - before, self._later, self._first, self._newest)

    def _ask(self, query: str) -> int:
        """Rows that the statement was about."""
        return self._connection.execute(query, self._bounds).rowcount

    @contextmanager
    def writing(self, run: Run, plan: Plan) -> Iterator[None]:
        """The transaction sees to it."""
        yield

    def write_quarantine(self, run: Run, plan: Plan) -> int:
        """The quarantined of all events, or of those since."""
        return self._ask(sql.SET_NEW_ASIDE if plan.since else sql.SET_ALL_ASIDE)

    def aggregate(self, run: Run, plan: Plan) -> Accepted:
        """By the one statement, in times without a zone."""
        in_utc = {name: sql.without_zone(bound) for name, bound in self._bounds.items()}
        self._connection.execute(sql.made(), in_utc)
        rows, kept = one_row(self._connection, sql.COUNTED, in_utc)
        return Accepted(int(rows), kept)

    def revisions(self, run: Run, plan: Plan) -> Revisions | None:
        """A comparison of the table."""
        bounds = self._bounds | {"known_to": plan.last and plan.last.as_of}
        ask = partial(one_row, self._connection, parameters=bounds)
        return Revisions(ask, sql.TAKEN_BACK, "made", sql.ANOTHER_PAST, HISTORY)

    def left_out(self, run: Run, plan: Plan, ingested: int) -> int:
        """Counted by themselves."""
        return left_out(self._connection, run.terms.erased, plan.since, run.as_of)

    def commit(self, run: Run, plan: Plan, now: Watermark, mended: int) -> Extent:
        """Append what is new; the averages on record whose last bits are others now are mended."""
        run.on_step("appending rows")
        if mended:
            self._connection.execute(sql.MEND)
        appended = self._ask(sql.APPEND_NEWER if plan.since else sql.APPEND_MISSING)
        if plan.last and plan.since:
            rows = plan.last.history_rows + appended
        else:
            (rows,) = one_row(self._connection, f"SELECT count(*) FROM {HISTORY}")
        (newest,) = one_row(self._connection, f"SELECT max(event_timestamp) FROM {HISTORY}")
        counts = now.counts(not_yet_arrived=0)
        on_record = (
            self._bounds
            | vars(counts)
            | {
                "aggregation": sql.digest_of_aggregation(run.terms.zone),
                "history_rows": rows,
            }
        )
        self._connection.execute(sql.ON_RECORD, on_record)
        return Extent(rows, appended, newest)


def _digest(aggregation: str, lookback_window: timedelta, allowed_lateness: timedelta) -> str:
    return f"{aggregation} {lookback_window!r} {allowed_lateness!r}"
