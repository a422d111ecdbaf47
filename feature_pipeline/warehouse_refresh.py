"""Bring the warehouse's change log up to an instant, inside the warehouse, by what is new alone.

Let the log stand at W, and A be the new as-of time. A row stamped in (W, A] is there because an
event arrived in (W, A] or left its window then. So only the customers of such events are looked at,
and of those only the events that can still count: all of the UTC day of W - window and later, since
states supersede each other within a day, and what lies before had left the window by W. The same
aggregation over them makes the rows of (W, A], which are appended.

That holds as long as the events that had arrived by W are those the log was made of. Where their
number is another, or the window, the lateness or the SQL is, the whole log is made again and
compared: a row that was served is never taken back.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from feature_pipeline import warehouse_sql as sql
from feature_pipeline.erased_customers import NOBODY, ErasedCustomers
from feature_pipeline.intake import IntakeCounts
from feature_pipeline.last_bits import beyond_last_bits, with_mended
from feature_pipeline.local_days import IN_UTC, whole_days_from
from feature_pipeline.refreshed import Refreshed
from feature_pipeline.refusal import A_LATER_TIME, THE_WAY_OUT, RefusedError
from feature_pipeline.warehouse import (
    EVENTS,
    HISTORY,
    REFRESHES,
    Session,
    one_row,
    refusals,
    session,
    writing_alone,
)
from feature_pipeline.warehouse_admission import admit, kept_from, left_out, refuse_unknown_zone

_EVER = "-infinity"
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class _Refresh:
    """One refresh, as the warehouse has it on record."""

    as_of: datetime
    lookback_window: timedelta
    allowed_lateness: timedelta
    aggregation: str
    ingested: int = 0
    kept: int = 0
    superseded: int = 0
    quarantined: int = 0
    history_rows: int = 0

    @property
    def counts(self) -> IntakeCounts:
        """Counts of all events that had arrived by then."""
        return IntakeCounts(self.ingested, self.kept, self.superseded, self.quarantined, 0)

    def differs_from(self, last: "_Refresh") -> str:
        """Why the log cannot be continued."""
        terms = ("aggregation", "lookback_window", "allowed_lateness")
        if any(getattr(self, term) != getattr(last, term) for term in terms):
            return "the aggregation or its terms are others now"
        return "the events that had arrived by the last refresh are not those it saw"

    def goes_on_from(self, last: "_Refresh", arrived_by_then: int) -> bool:
        """Whether the log of the last refresh is what these terms would have made of its events."""
        return (
            last.ingested == arrived_by_then
            and last.aggregation == self.aggregation
            and last.lookback_window == self.lookback_window
            and last.allowed_lateness == self.allowed_lateness
        )


def refresh_warehouse(
    address: str,
    *,
    as_of: datetime,
    lookback_window: timedelta,
    allowed_lateness: timedelta,
    erased: ErasedCustomers = NOBODY,
    zone: str = IN_UTC,
    on_step: Callable[[str], None] = lambda step: None,
) -> Refreshed:
    """Bring `data_warehouse.customer_features_offline` up to `as_of`, in one transaction.

    `address` is a libpq connection string of a login with the role `feature_store_pipeline`;
    window, lateness and zone are those of contract §3. A refresh that is killed has done
    nothing, and one as of the time of the last one adds nothing. Events of those `erased` are left
    out. After a retention the rows of the first look-back window stay as they were served.

    Raises:
        RefusedError: the warehouse cannot be reached or written to, another refresh is at it, the
            log stands at a later time, no event had arrived by `as_of`, a sum grows beyond its
            column, or a row that was served would be taken back.
        ValueError: `as_of` has no time zone.
    """
    if as_of.tzinfo is None:
        raise ValueError("as_of must carry a time zone: a naive time names no instant")
    this = _Refresh(
        as_of.astimezone(UTC), lookback_window, allowed_lateness, sql.digest_of_aggregation(zone)
    )
    with (
        refusals("feature_store_pipeline"),
        session(address) as connection,
        writing_alone(connection),
        connection.transaction(),
    ):
        return _refresh(connection, this, erased, zone, on_step)


def _refresh(
    connection: Session,
    this: _Refresh,
    erased: ErasedCustomers,
    zone: str,
    on_step: Callable[[str], None],
) -> Refreshed:
    on_step("counting events")
    admit(connection, erased)
    refuse_unknown_zone(connection, zone)
    last = _last_refresh(connection)
    if last and this.as_of < last.as_of:
        raise RefusedError(
            f"{HISTORY} stands at {last.as_of.isoformat()}, beyond {this.as_of.isoformat()}: "
            + A_LATER_TIME
        )
    bounds = {**vars(this), "zone": zone, "last_as_of": last and last.as_of}
    events, arrived, arrived_by_then, first = one_row(connection, sql.ARRIVALS, bounds)
    if not arrived:
        raise RefusedError(
            f"no event of {EVENTS} had arrived by {this.as_of.isoformat()}: "
            + (f"the first arrived at {first}, name a later time" if first else "load events first")
        )
    before, why = last, None if last else "no refresh has left a log"
    if last and not this.goes_on_from(last, arrived_by_then):
        why, last = this.differs_from(last), None
    bounds["since"] = bounds["made_since"] = last.as_of if last else _EVER
    begins = kept_from(connection)
    if begins and not last:
        # What was served of the first window is made of events that have left.
        bounds["made_since"] = begins + this.lookback_window - _MICROSECOND

    on_step("staging events")
    _stage(connection, bounds, last)
    set_aside = sql.SET_NEW_ASIDE if last else sql.SET_ALL_ASIDE
    quarantined = connection.execute(set_aside, bounds).rowcount
    on_step("aggregating")
    in_utc = {name: sql.without_zone(bound) for name, bound in bounds.items()}
    connection.execute(sql.made(), in_utc)
    if not last:
        on_step("comparing with what was served")
        made_otherwise = before is None or before.aggregation != this.aggregation
        mended = _refuse_to_take_back(connection, bounds, alike=made_otherwise)
        if before:
            _refuse_another_past(connection, before.as_of, alike=mended > 0)
        if mended:
            connection.execute(sql.MEND)
            why = with_mended(why or "", mended)
    on_step("appending rows")
    appended = connection.execute(sql.APPEND_NEWER if last else sql.APPEND_MISSING).rowcount

    so_far = last or this
    accepted, kept = one_row(connection, sql.COUNTED, in_utc)
    counts = IntakeCounts(
        ingested=so_far.ingested + int(accepted) + quarantined,
        kept=so_far.kept + kept,
        superseded=so_far.superseded + int(accepted) - kept,
        quarantined=so_far.quarantined + quarantined,
        not_yet_arrived=events - arrived,
    )
    if counts.ingested != arrived:
        raise AssertionError(f"rows were lost or doubled on the way in: {counts}, of {arrived}")
    (newest,) = one_row(connection, f"SELECT max(event_timestamp) FROM {HISTORY}")
    (newest_arrival,) = one_row(connection, sql.NEWEST_ARRIVAL, bounds)
    if last:
        rows = last.history_rows + appended
    else:
        (rows,) = one_row(connection, f"SELECT count(*) FROM {HISTORY}")
    connection.execute(sql.ON_RECORD, {**bounds, **vars(counts), "history_rows": rows})
    since = last.as_of if last else None
    gone = left_out(connection, erased, since, this.as_of)
    arrived_last = newest_arrival or this.as_of
    known_before = last.counts if last else None
    return Refreshed(counts, rows, appended, since, newest, arrived_last, gone, why, known_before)


def _last_refresh(connection: Session) -> _Refresh | None:
    columns = ", ".join(_Refresh.__dataclass_fields__)
    query = f"SELECT {columns} FROM {REFRESHES} ORDER BY refresh DESC LIMIT 1"
    row = connection.execute(query).fetchone()
    return _Refresh(*row) if row else None


def _stage(connection: Session, bounds: dict[str, Any], last: _Refresh | None) -> None:
    """The accepted events that rows are made of: all, or those that a row since then may count."""
    if last is None:
        connection.execute(sql.FORGET_QUARANTINE)
        connection.execute(sql.ACCEPTED, bounds)
    else:
        window, lateness = last.lookback_window, last.allowed_lateness
        bounds["left_since"] = last.as_of - window
        bounds["left_until"] = bounds["as_of"] - window
        # An event may be late beyond its window: it counts nowhere, but is counted.
        bounds["whole_days_from"] = whole_days_from(
            last.as_of - max(window, lateness), bounds["zone"]
        )
        connection.execute(sql.AFFECTED, bounds)
        connection.execute("ANALYZE affected")
        connection.execute(f"{sql.ACCEPTED} {sql.OF_THE_AFFECTED}", bounds)
    connection.execute(sql.DOUBLED)
    connection.execute(sql.WITHOUT_DOUBLES)
    connection.execute("ANALYZE accepted_events")


def _refuse_to_take_back(connection: Session, bounds: dict[str, Any], *, alike: bool) -> int:
    """Returns the rows whose average differs in its last bits, which is `alike` enough."""
    ask = partial(one_row, connection, parameters=bounds)
    query = sql.TAKEN_BACK
    gone, first, mended = beyond_last_bits(ask, query, "made") if alike else (*ask(query), 0)
    if gone:
        raise RefusedError(
            f"{gone:,} rows of {HISTORY}, the first of {first}, would be taken back: the events "
            "are not a continuation of those it was made of, or the window, the lateness or the "
            f"aggregation is another; nothing was written. {THE_WAY_OUT}"
        )
    return int(mended)


def _refuse_another_past(connection: Session, known_to: datetime, *, alike: bool) -> None:
    ask = partial(one_row, connection, parameters={"known_to": known_to})
    query = sql.ANOTHER_PAST
    more, first, *_ = beyond_last_bits(ask, query, HISTORY) if alike else ask(query)
    if more:
        raise RefusedError(
            f"{more:,} rows, the first of {first}, would be added to what {HISTORY} was by "
            f"{known_to.isoformat()}: events came since that say they had arrived before. Let "
            "created_timestamp say when an event reached the warehouse; nothing was written. "
            f"{THE_WAY_OUT}"
        )
