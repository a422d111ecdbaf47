"""Bring a change log up to an instant, at a cost that follows what arrived and not the history.

What is on record stays, and the rows since then are added: those of the customers of whom an event
arrived or left the window. Their sums need the events of one look-back window alone, for whatever
came before has left it and adds nothing. Where the log was not left by such a run, or is not what
that run left, or the events are not those it saw, the whole log is made again and compared with
what may have been served: no row of that is ever taken back, and none is added to a known past.

Every decision is here, once; how each engine does its part is its own.
"""

from collections.abc import Callable
from datetime import datetime

from feature_pipeline.change_log.instants import in_utc
from feature_pipeline.change_log.intake import IntakeCounts, nothing_arrived
from feature_pipeline.change_log.last_bits import beyond_last_bits, with_mended
from feature_pipeline.change_log.watermark import Watermark
from feature_pipeline.compute_engines.engine import Engine, EventCounts, Plan, Revisions, Run
from feature_pipeline.refreshed import RefreshResult, Terms
from feature_pipeline.remedies import A_LATER_TIME, THE_WAY_OUT
from storage.errors import RefusedError


def refresh(
    engine: Engine,
    as_of: datetime,
    terms: Terms,
    on_step: Callable[[str], None] = lambda step: None,
) -> RefreshResult:
    """Bring the engine's log up to `as_of`. Safe to run again after being killed.

    A second run up to the same instant adds nothing.

    Raises:
        RefusedError: the log is known beyond `as_of`, no event had arrived by then, or a rebuilt
            log tells the past in another way; the engine says the rest.
        ValueError: `as_of` has no time zone.
    """
    run = Run(in_utc(as_of), terms, on_step)
    with engine.alone(run):
        on_step("checking what is there")
        plan = _planned(engine, run)
        if plan.last and plan.since == run.as_of:
            return engine.unchanged(run, plan.last)
        return _carried_out(engine, run, plan)


def _planned(engine: Engine, run: Run) -> Plan:
    last = engine.last_refresh()
    if last and last.as_of > run.as_of:
        raise RefusedError(
            f"{engine.log} is known up to {last.as_of.isoformat()}, beyond "
            f"{run.as_of.isoformat()}: {A_LATER_TIME}"
        )
    events = engine.event_counts(run, last)
    return Plan(last, events, _reason_to_rebuild(engine, run, last, events))


def _reason_to_rebuild(
    engine: Engine, run: Run, last: Watermark | None, events: EventCounts
) -> str | None:
    """Why the log cannot be continued; None where it can."""
    if last is None:
        return "no refresh has left a log"
    if last.terms != engine.digest(run):
        return "the aggregation or its terms are others now"
    if last.delivered != events.by_last:
        return "the events that had arrived by the last refresh are not those it saw"
    unlike = engine.unlike(last)
    return f"the {unlike} is not as the last refresh left it" if unlike else None


def _carried_out(engine: Engine, run: Run, plan: Plan) -> RefreshResult:
    run.on_step("checking and staging events")
    arrivals = engine.stage(run, plan)
    if plan.since is None and not arrivals.ingested:
        raise nothing_arrived(engine.events, run.as_of, arrivals.first)
    with engine.writing(run, plan):
        run.on_step("writing quarantined events")
        quarantined = engine.write_quarantine(run, plan)
        run.on_step("aggregating")
        accepted = engine.aggregate(run, plan)
        counts = IntakeCounts(
            ingested=arrivals.ingested,
            kept=accepted.kept,
            superseded=accepted.rows - accepted.kept,
            quarantined=quarantined,
            not_yet_arrived=arrivals.not_yet_arrived,
        )
        if counts.ingested != accepted.rows + quarantined:
            raise AssertionError(f"rows were lost or doubled on the way in: {counts}")
        mended = 0 if plan.rebuild is None else _compared_with_what_was_served(engine, run, plan)
        now = _watermark(engine, run, plan, counts, arrivals.newest)
        extent = engine.commit(run, plan, now, mended)
        now = now.with_rows(extent.rows, extent.newest)
        left_out = engine.left_out(run, plan, counts.ingested)
    if plan.last and plan.since:
        return now.refreshed_from(plan.last, counts.not_yet_arrived, left_out)
    return RefreshResult(
        counts,
        extent.rows,
        extent.new_rows,
        None,
        now.newest,
        now.newest_arrival,
        left_out=left_out,
        made_anew=with_mended(plan.rebuild or "", mended),
    )


def _watermark(
    engine: Engine, run: Run, plan: Plan, counts: IntakeCounts, newest_arrival: datetime | None
) -> Watermark:
    """What this run leaves, but for the rows of the log."""
    if plan.last and plan.since:
        return plan.last.continued(run.as_of, plan.events.by_now, counts, newest_arrival)
    return Watermark(
        run.as_of,
        engine.digest(run),
        delivered=plan.events.by_now,
        kept=counts.kept,
        superseded=counts.superseded,
        quarantined=counts.quarantined,
        history_rows=0,
        newest=None,
        newest_arrival=newest_arrival or run.as_of,
    )


def _compared_with_what_was_served(engine: Engine, run: Run, plan: Plan) -> int:
    """Make sure that a rebuilt log says of the past what was said before.

    Returns the rows whose average differs in its last bits alone, which is alike enough where
    another aggregation, or nobody knows which, made the log that is there.

    Raises:
        RefusedError: a row that may have been served is missing, or there is one more of a time by
            which the log was known.
    """
    revisions = engine.revisions(run, plan)
    if revisions is None:
        return 0
    run.on_step("comparing with what was served")
    ask, made_alike = revisions.ask, plan.last and plan.last.terms == engine.digest(run)
    gone, first, mended = (
        (*ask(revisions.gone), 0)
        if made_alike
        else beyond_last_bits(ask, revisions.gone, revisions.rebuilt)
    )
    if gone:
        raise RefusedError(
            f"{gone:,} rows of {engine.log}, the first of {first}, would be taken back: the events "
            "are not a continuation of those it was made of, or the window, the lateness or the "
            f"aggregation is another; nothing was written. {THE_WAY_OUT}"
        )
    if plan.last and engine.unlike(plan.last) != "log":
        _refuse_another_past(engine, plan.last.as_of, revisions, alike=mended > 0)
    return int(mended)


def _refuse_another_past(
    engine: Engine, known_to: datetime, revisions: Revisions, *, alike: bool
) -> None:
    """Make sure that none was added to what was known: whoever asked was given the row before."""
    ask, added = revisions.ask, revisions.added
    more, first, *_ = beyond_last_bits(ask, added, revisions.served) if alike else ask(added)
    if more:
        raise RefusedError(
            f"{more:,} rows, the first of {first}, would be added to what {engine.log} was by "
            f"{known_to.isoformat()}: events came since that say they had arrived before. Let "
            "created_timestamp say when an event reached the warehouse; nothing was written. "
            f"{THE_WAY_OUT}"
        )
