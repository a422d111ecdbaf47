"""Retention: what is older than contract §9 allows leaves every store, and stays gone."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from contract_checks.language.contract import Contract
from feature_pipeline.change_log.reset_watermark import reset_watermark
from feature_pipeline.change_log.retention import (
    delete_expired_events,
    delete_expired_history,
    old_events,
    old_history,
    refuse_to_begin,
    refuse_unless_known,
)
from feature_pipeline.compute_engines.postgres.row_deletion import (
    TABLES,
    delete_expired_rows,
    old_rows,
)
from feature_pipeline.refreshed import Tables
from jobs.privacy.erased import erased_customers_of_all_hosts, terms_of
from jobs.privacy.old_records import OldRecords, OldTrainingSets
from jobs.privacy.row_deleting import row_deleting
from jobs.reporting.recording import recorded
from jobs.repository import EVENTS, HISTORY, QUARANTINE, chosen_warehouse, writing_alone
from jobs.versions import versions_of_log
from storage.errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from feast import FeatureStore, FeatureView


@dataclass(frozen=True)
class Store:
    """What one store holds that is too old."""

    name: str
    rows: int
    let_go: Callable[[], object]


@dataclass(frozen=True)
class Retention:
    """What goes, store by store in that order, and what has to stay for now."""

    cutoff: datetime
    stores: tuple[Store, ...]
    staying: tuple[str, ...] = field(default=())


def retain(
    store: "FeatureStore", contract: Contract, as_of: datetime, ahead: timedelta = timedelta(0)
) -> Retention:
    """Let go of it, and leave a record; a refusal leaves none.

    Each step leaves stores that refresh and answer, and none undoes another: a run that was killed
    is completed by the next one.

    Raises:
        RefusedError: another job is writing; see `planned`.
    """
    with writing_alone():
        plan = planned(store, contract, as_of, ahead)
        terms = terms_of(contract, erased_customers_of_all_hosts())
        with recorded("retention", contract.view_name, as_of) as figures:
            figures["cutoff"] = plan.cutoff.isoformat()
            for held in plan.stores:
                held.let_go()
            reset_watermark(Tables(EVENTS, HISTORY, QUARANTINE), terms)
            figures["removed"] = {held.name: held.rows for held in plan.stores}
            figures["staying"] = list(plan.staying)
    return plan


def planned(
    store: "FeatureStore", contract: Contract, as_of: datetime, ahead: timedelta = timedelta(0)
) -> Retention:
    """What is to go; nothing does.

    Raises:
        RefusedError: nothing is registered, or values yet to come are made of what would go.
    """
    cutoff = as_of - contract.privacy.retention + ahead
    known_to = _known_to(versions_of_log(store, contract))
    window = contract.time.lookback
    if address := chosen_warehouse():
        refuse_unless_known(cutoff, known_to=known_to, lookback_window=window)
        offline = _in_warehouse(address, cutoff)
    else:
        refuse_to_begin(HISTORY, cutoff, known_to=known_to, lookback_window=window)
        offline = _in_files(cutoff)
    online = row_deleting(store)
    records, sets = OldRecords.of(cutoff), OldTrainingSets.of(contract, cutoff)
    return Retention(
        cutoff,
        (
            *offline,
            Store(
                "online",
                online.older(store.config, contract.has_version, cutoff),
                lambda: online.forget_older(
                    store.config, store.list_all_feature_views(), contract.has_version, cutoff
                ),
            ),
            Store("training sets", sets.rows, lambda: sets.delete(as_of)),
            Store("operations log", records.count, records.delete),
        ),
        (*sets.staying, *records.staying),
    )


def _in_files(cutoff: datetime) -> tuple[Store, ...]:
    history, events = old_history(HISTORY, cutoff), old_events(EVENTS, cutoff)
    set_aside = old_events(QUARANTINE, cutoff)
    return (
        # First of all: it says from where on the events are whole, before any of them leaves.
        Store("offline", history, lambda: _begin(cutoff, due=history + events > 0)),
        Store("events", events, lambda: delete_expired_events(EVENTS, cutoff)),
        Store("quarantine", set_aside, lambda: delete_expired_events(QUARANTINE, cutoff)),
    )


def _begin(cutoff: datetime, *, due: bool) -> None:
    if due:
        delete_expired_history(HISTORY, cutoff)


def _in_warehouse(address: str, cutoff: datetime) -> tuple[Store, ...]:
    """The tables of a warehouse, the change log first."""
    rows = {name: old_rows(address, table, cutoff) for name, table in TABLES.items()}
    due = rows["offline"] + rows["events"] > 0

    def let_go(name: str) -> None:
        if name != "offline" or due:
            delete_expired_rows(address, TABLES[name], cutoff)

    return tuple(Store(name, rows[name], partial(let_go, name)) for name in TABLES)


def _known_to(views: "Sequence[FeatureView]") -> datetime:
    """How far all versions are refreshed."""
    ends = [[end for _, end in view.materialization_intervals] for view in views]
    if not all(ends) or not ends:
        raise RefusedError("a version is not materialized: run `feast apply`, scripts/refresh.py")
    known_to: datetime = min(map(max, ends))
    return known_to
