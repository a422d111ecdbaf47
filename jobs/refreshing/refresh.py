"""Refresh the feature store: events to change log to online store, up to an instant."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contract_checks.language.contract import Contract
from feature_pipeline.change_log.outliers import flag_outliers
from feature_pipeline.compute_engines.duckdb.engine import DuckDBEngine
from feature_pipeline.compute_engines.engine import Engine
from feature_pipeline.compute_engines.postgres.engine import PostgreSQLEngine
from feature_pipeline.compute_engines.postgres.outliers import flag_outliers_in_warehouse
from feature_pipeline.refresh import refresh as bring_up_to
from feature_pipeline.refreshed import RefreshResult, Tables
from jobs.privacy.erased import erased_customers_of_all_hosts, terms_of
from jobs.reporting.lineage import refresh_flow
from jobs.reporting.recording import recorded
from jobs.repository import (
    EVENTS,
    HISTORY,
    QUARANTINE,
    NotBegunError,
    OnStep,
    warehouse_of,
    writing_alone,
)
from jobs.versions import versions_of_log
from storage.errors import RefusedError
from storage.parquet_table import is_table

if TYPE_CHECKING:
    from feast import FeatureStore, FeatureView


def refuse_what_was_given(
    store: "FeatureStore", contract: Contract, as_of: datetime | None, events: Path
) -> None:
    """Let a caller's mistake be no failure of the job, which would alert others.

    Raises:
        NotBegunError: there are no such events, or the stores are past that time already.
    """
    from feature_pipeline.online.materialize import refuse_to_go_back

    if events != EVENTS and not is_table(events):
        raise NotBegunError(f"no parquet file or folder of them at {events}: name another")
    try:
        if as_of is not None:
            versions = [view.name for view in versions_of_log(store, contract)]
            refuse_to_go_back(store, as_of, versions)
    except RefusedError as refusal:
        raise NotBegunError(str(refusal)) from refusal


def refresh(
    store: "FeatureStore",
    contract: Contract,
    as_of: datetime,
    events: Path = EVENTS,
    on_step: OnStep = lambda step: None,
) -> RefreshResult:
    """Bring both stores up to `as_of`, and leave a record for each version of the feature.

    Raises:
        NotBegunError: the contract's view is not registered, or another job is writing.
        RefusedError: the online store is past `as_of` already; the log refuses the rest.
    """
    from feature_pipeline.online.materialize import materialize_up_to, refuse_to_go_back

    versions = {v.name: _online_up_to(v) for v in versions_of_log(store, contract)}
    with writing_alone(), ExitStack() as records:
        ran = [
            records.enter_context(recorded("refresh", view, as_of, refresh_flow(contract, view)))
            for view in versions
        ]
        for figures, before in zip(ran, versions.values(), strict=True):
            figures |= {"from": before and before.isoformat(), "to": as_of.isoformat()}
        refuse_to_go_back(store, as_of, versions)  # before anything is written
        done = aggregated(store, contract, as_of, events, on_step)
        for figures in ran:
            figures |= _figures(done)
        on_step("materializing")
        with ThreadPoolExecutor(1) as beside:  # both only read what is offline
            flagged = beside.submit(outliers, store, contract, as_of)
            materialize_up_to(store, as_of, versions)
        for figures in ran:
            figures |= {"outliers": flagged.result()}
    return done


def _figures(done: RefreshResult) -> dict[str, Any]:
    """What the record tells of it; `left_out` and `made_anew` where there is something to tell."""
    told = {
        "events": done.events.ingested,
        "kept": done.events.kept,
        "superseded": done.events.superseded,
        "quarantined": done.events.quarantined,
        "history_rows": done.history_rows,
        "new_rows": done.new_rows,
        "newest": done.newest and done.newest.isoformat(),
        "newest_arrival": done.newest_arrival.isoformat(),
    }
    exceptions = {"left_out": done.left_out, "made_anew": done.made_anew}
    return told | {name: value for name, value in exceptions.items() if value}


def aggregated(
    store: "FeatureStore",
    contract: Contract,
    as_of: datetime,
    events: Path,
    on_step: OnStep,
) -> RefreshResult:
    """Bring the offline table up to `as_of`, where the profile keeps it.

    Raises:
        RefusedError: see `feature_pipeline.refresh.refresh`.
    """
    terms = terms_of(contract, erased_customers_of_all_hosts())
    return bring_up_to(engine_of(store, events), as_of, terms, on_step)


def engine_of(store: "FeatureStore", events: Path) -> Engine:
    """The engine of the profile's offline store; `events` are a lake's."""
    from feature_access.offline_stores.spark_session import lake_session

    if address := warehouse_of(store):
        return PostgreSQLEngine(address)
    tables = Tables(events, HISTORY, QUARANTINE)
    if session := lake_session(store.config):
        # Imported late: it asks for pyspark, which no other profile does.
        from feature_pipeline.compute_engines.spark.engine import SparkEngine

        return SparkEngine(session, tables)
    return DuckDBEngine(tables)


def outliers(store: "FeatureStore", contract: Contract, as_of: datetime) -> dict[str, int]:
    """Outliers of the last look-back window, by feature, where the profile keeps them."""
    stretch = {"after": as_of - contract.time.lookback, "until": as_of}
    percentile = contract.quality.outliers.percentile
    if address := warehouse_of(store):
        return flag_outliers_in_warehouse(address, percentile, **stretch)
    return flag_outliers(HISTORY, percentile, **stretch)


def _online_up_to(view: "FeatureView") -> datetime | None:
    """How far a version is materialized; None where it never was."""
    return max((end for _, end in view.materialization_intervals), default=None)
