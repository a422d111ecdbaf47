"""Step back: take the stores back from a time that has not come, to now."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contract_checks.evidence.facts import MissingEvidence
from contract_checks.evidence.operations import read_operations
from contract_checks.language.contract import Contract
from contract_checks.operations.log import Record
from feature_access.online_stores.freshness import CLOCK_ALLOWANCE
from feature_pipeline.change_log.step_back import step_back_in_lake, step_back_in_warehouse
from jobs.privacy.row_deleting import row_deleting
from jobs.refreshing.refresh import aggregated
from jobs.reporting.recording import operations_log, recorded
from jobs.repository import EVENTS, HISTORY, ROOT, OnStep, warehouse_of, writing_alone
from jobs.versions import versions_of_log

if TYPE_CHECKING:
    from feast import FeatureStore

_NEVER = datetime(1970, 1, 1, tzinfo=UTC)
_ALWAYS = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Ahead:
    """What stands later than a time, by more than a clock may be fast."""

    known_to: datetime
    """The last materialization before: up to then the rest is to be believed."""
    log: datetime | None
    views: dict[str, datetime]
    records: int
    """Records to take back: refreshes that were none, and alerts that are yet to be told."""

    def __bool__(self) -> bool:
        return bool(self.log or self.views or self.records)

    @property
    def lines(self) -> list[str]:
        """What stands where."""
        log = [f"the offline table is known up to {self.log.isoformat()}"] if self.log else []
        views = [f"{view} is online up to {at.isoformat()}" for view, at in self.views.items()]
        told = f"of a later time in the operations log: {self.records}"
        return log + views + ([told] if self.records else [])


def standing_ahead(store: "FeatureStore", contract: Contract, at: datetime) -> Ahead:
    """What of the feature stands later than `at`.

    Raises:
        RefusedError: no version of the feature is registered.
    """
    from feature_access.training.known_times import how_far_known

    views = versions_of_log(store, contract)
    known = how_far_known(store, views)
    ends = {view.name: [end for _, end in view.materialization_intervals] for view in views}
    limit = at + CLOCK_ALLOWANCE
    return Ahead(
        known_to=max((end for each in ends.values() for end in each if end <= at), default=_NEVER),
        log=known.until if known and known.until > limit else None,
        views={name: max(each) for name, each in ends.items() if max(each, default=at) > limit},
        records=_records_ahead(set(ends), at),
    )


def _records_ahead(views: set[str], at: datetime) -> int:
    """How many are to be revised: the last thing that a step back does, so it may be left to do."""
    operations = read_operations(ROOT, _ALWAYS)
    if isinstance(operations, MissingEvidence):
        return 0
    return sum(_revised(record, views, at) != record for record in operations.records)


def step_back(
    store: "FeatureStore",
    contract: Contract,
    at: datetime,
    events: Path = EVENTS,
    on_step: OnStep = lambda step: None,
) -> Ahead:
    """Take what stands later than `at` back to it, and leave a record; says what did.

    A run that was killed is completed by the next one: something is ahead until all is done.

    Raises:
        RefusedError: nothing is registered, another job is writing, or the events do not make what
            was known before again; see `bring_up_to`.
    """
    from feature_pipeline.online.materialize import materialize_again

    with writing_alone():
        ahead = standing_ahead(store, contract, at)
        with recorded("step_back", contract.view_name, at) as figures:
            figures |= _told(ahead)
            if ahead.log:
                on_step("taking rows back")
                figures["rows_gone"] = _taken_back(store, ahead.known_to)
            if ahead.log or ahead.views:
                done = aggregated(store, contract, at, events, on_step)
                figures["history_rows"] = done.history_rows
            for view in ahead.views:
                on_step(f"materializing {view} again")
                row_deleting(store).forget_view(store.config, store.get_feature_view(view))
                materialize_again(store, view, at)
            views = {view.name for view in versions_of_log(store, contract)}
            figures["records"] = operations_log().revise(lambda r: _revised(r, views, at))
    return ahead


def _told(ahead: Ahead) -> dict[str, Any]:
    told: dict[str, Any] = {"known_to": ahead.known_to.isoformat()}
    told["log"] = ahead.log.isoformat() if ahead.log else None
    return told | {"views": {view: end.isoformat() for view, end in ahead.views.items()}}


def _taken_back(store: "FeatureStore", known_to: datetime) -> int:
    if address := warehouse_of(store):
        return step_back_in_warehouse(address, known_to)
    return step_back_in_lake(HISTORY, known_to)


def _revised(record: Record, views: set[str], at: datetime) -> Record | None:
    """A refresh of a time to come was none; an alert of it was told, and may still have to end."""
    if record.subject not in views or record.at <= at:
        return record
    if record.job == "alert":
        return replace(record, at=at)
    return None if record.job == "refresh" else record
