"""Rebuild: make the served history anew where it has to be another, with the reason on record."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from contract_checks.language.contract import Contract
from feature_pipeline.change_log.backfill import Backfill
from feature_pipeline.change_log.step_back import step_back_in_lake, step_back_in_warehouse
from feature_pipeline.compute_engines.postgres.admission import (
    retained_since as retained_since_in_warehouse,
)
from feature_pipeline.compute_engines.postgres.warehouse import session
from jobs.privacy.row_deleting import row_deleting
from jobs.refreshing.refresh import aggregated
from jobs.rehearsal.backfill import recomputed
from jobs.reporting.recording import digests_of, recorded
from jobs.repository import EVENTS, HISTORY, OnStep, warehouse_of, writing_alone
from jobs.versions import versions_of_log
from storage.errors import RefusedError
from storage.table_bounds import retained_since

if TYPE_CHECKING:
    from feast import FeatureStore

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class Difference:
    """The history on record beside the one that the events make now."""

    views: tuple[str, ...]
    """The versions that read it."""
    begins: datetime
    """What is stamped before stays as it was served: its events have left, or there is none."""
    known_to: datetime
    compared: Backfill

    @property
    def unfinished(self) -> bool:
        """Whether a rebuild was killed when it had withdrawn the rows."""
        return self.known_to <= self.begins

    def __bool__(self) -> bool:
        return self.unfinished or bool(self.compared.differing)

    @property
    def lines(self) -> list[str]:
        """What would change, and why it differs."""
        if self.unfinished:
            return ["a rebuild was killed when it had withdrawn the rows"]
        withdrawn, added = self.compared.only_on_record, self.compared.only_recomputed
        causes = [f"{keys:,} × {cause}" for cause, keys in self.compared.causes.items()]
        return [
            f"of what is known up to {self.known_to.isoformat()}, {withdrawn:,} rows differ from "
            f"what the events make now, which is {added:,} other rows",
            *causes,
        ]


def difference_of(
    store: "FeatureStore",
    contract: Contract,
    events: Path = EVENTS,
    on_step: OnStep = lambda step: None,
) -> Difference:
    """Compare all history that can be made again with what the events make of it now.

    Raises:
        RefusedError: no refresh has left a log, or see `recomputed`.
    """
    from feature_access.training.known_times import how_far_known

    views, address = versions_of_log(store, contract), warehouse_of(store)
    known = how_far_known(store, views)
    if known is None:
        raise RefusedError("no refresh has left a log: run scripts/refresh.py, which makes one")
    names, begins = tuple(view.name for view in views), _begins(contract, address)
    if known.until <= begins:
        return Difference(names, begins, known.until, Backfill(0, 0, 0, ()))
    stretch = known.until - begins
    compared = recomputed(contract, known.until, stretch, address, events, on_step)
    return Difference(names, begins, known.until, compared)


def _begins(contract: Contract, address: str | None) -> datetime:
    """From when on rows can be made again; after a retention the first window's stay."""
    if address:
        with session(address) as warehouse:
            kept = retained_since_in_warehouse(warehouse)
    else:
        kept = retained_since(HISTORY)
    return kept + contract.time.lookback if kept else _EPOCH


def rebuild(
    store: "FeatureStore",
    contract: Contract,
    at: datetime,
    reason: str,
    events: Path = EVENTS,
    on_step: OnStep = lambda step: None,
) -> Difference:
    """Make history what the events make of it now, and leave a record; says what differed.

    Online goes first: a view of which nothing is online any more is materialized whole by whatever
    refresh comes next, so that a run which is killed leaves no old value.

    Raises:
        RefusedError: no reason is given, another job is writing; see also `difference_of`.
    """
    from feature_pipeline.online.materialize import materialize_again

    if not reason:
        raise RefusedError('why history is to be another goes on record: give --reason "..."')
    with writing_alone(), recorded("rebuild", contract.view_name, at) as figures:
        figures |= {"reason": reason, "files": digests_of("feature_pipeline", "storage")}
        difference = difference_of(store, contract, events, on_step)
        compared = difference.compared
        figures |= {"known_to": difference.known_to.isoformat(), "causes": dict(compared.causes)}
        figures |= {"withdrawn": compared.only_on_record, "added": compared.only_recomputed}
        if not difference:
            return difference
        for view in difference.views:
            on_step(f"emptying the online store of {view}")
            row_deleting(store).forget_view(store.config, store.get_feature_view(view))
        on_step("withdrawing rows")
        before, address = difference.begins - _MICROSECOND, warehouse_of(store)
        if address:
            step_back_in_warehouse(address, before)
        else:
            step_back_in_lake(HISTORY, before)
        figures["history_rows"] = aggregated(store, contract, at, events, on_step).history_rows
        for view in difference.views:
            on_step(f"materializing {view} again")
            materialize_again(store, view, at)
    return difference
