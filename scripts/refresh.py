"""Refresh the feature store: events to change log to online store, up to an instant."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from contract_checks.clock import instant
from contract_checks.evidence.facts import MissingEvidence
from contract_checks.language.contract import Contract
from contract_checks.language.loader import InvalidContract
from feature_pipeline.change_log.outliers import flag_outliers
from feature_pipeline.compute_engines.duckdb.engine import DuckDBEngine
from feature_pipeline.compute_engines.engine import Engine
from feature_pipeline.compute_engines.postgres.engine import PostgreSQLEngine
from feature_pipeline.compute_engines.postgres.outliers import flag_outliers_in_warehouse
from feature_pipeline.refresh import refresh as bring_up_to
from feature_pipeline.refreshed import Refreshed, Tables
from scripts.command_line import (
    CONTRACT,
    EVENTS,
    HISTORY,
    QUARANTINE,
    ROOT,
    DocumentOption,
    NotBegunError,
    present,
    refusals_exit,
    run_job,
    writing_alone,
)
from scripts.erased import erased_customers_of_all_hosts
from scripts.lineage import refresh_flow
from scripts.own_tables import contract_of_own_tables
from scripts.progress import steps
from scripts.recording import recorded
from scripts.refresh_verdict import Verdict, judged, told
from scripts.terms import terms_of
from scripts.versions import versions_of_log
from storage.errors import RefusedError
from storage.parquet_table import is_table

if TYPE_CHECKING:
    from feast import FeatureStore, FeatureView


def main(
    as_of: Annotated[
        datetime | None,
        typer.Option(parser=instant, metavar="TIME", help="Refresh up to this time; default now."),
    ] = None,
    events: Annotated[
        Path, typer.Option(help="customer_events: a parquet file, or a folder of them.")
    ] = EVENTS,
    document: DocumentOption = CONTRACT,
) -> None:
    """Bring the offline and the online store up to a time. Run it hourly, after `feast apply`.

    Every registered version of the feature that reads this offline table comes along, and no other
    view of the project. What arrived is added to the table; only where that is impossible is all
    computed anew, and the reason told.
    A failure, rows that break the contract and a source that has gone silent are told to the alert
    channel, and the figures are left for Prometheus in data/metrics/.

    Exit code 0: done and on record; 1: done, and something is broken; 2: refused, nothing written.
    """
    with refusals_exit(RefusedError, InvalidContract, MissingEvidence), steps() as on_step:
        contract, moment = contract_of_own_tables(document), present(as_of)
        on_step("opening the feature store")
        # Imported late: Feast takes seconds, which --help should not.
        from feature_access.registry import open_store

        with told(contract, moment) as verdicts:
            store = open_store(ROOT)
            _refuse_what_was_given(store, contract, as_of, events)
            done = refresh(store, contract, moment, events, on_step)
            on_step("judging the new rows")
            verdict = judged(contract, done, moment)
            verdicts.append(verdict)
    _show(done, moment, verdict)
    if untold := store._get_provider().online_store.untold(store.config):
        typer.echo(f"not judged: {untold}: ask its operator for maxmemory-policy noeviction")
    raise typer.Exit(verdict.exit_code)


def _refuse_what_was_given(
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


def _show(done: Refreshed, moment: datetime, verdict: Verdict) -> None:
    typer.echo(str(done.events))
    if done.left_out:
        typer.echo(f"{done.left_out:,} events of erased customers were delivered and left out")
    if done.made_anew:
        typer.echo(f"everything was computed anew: {done.made_anew}")
    typer.echo(
        f"{done.new_rows:,} rows added, {done.history_rows:,} rows offline, online up to "
        f"{moment.isoformat()}"
    )
    for line in verdict.lines:
        typer.echo(line)


def refresh(
    store: "FeatureStore",
    contract: Contract,
    as_of: datetime,
    events: Path = EVENTS,
    on_step: Callable[[str], None] = lambda step: None,
) -> Refreshed:
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


def _figures(done: Refreshed) -> dict[str, Any]:
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
    on_step: Callable[[str], None],
) -> Refreshed:
    """Bring the offline table up to `as_of`, where the profile keeps it.

    Raises:
        RefusedError: see `feature_pipeline.refresh.refresh`.
    """
    terms = terms_of(contract, erased_customers_of_all_hosts())
    return bring_up_to(engine_of(store, events), as_of, terms, on_step)


def engine_of(store: "FeatureStore", events: Path) -> Engine:
    """The engine of the profile's offline store; `events` are a lake's."""
    from feature_access.offline_stores.postgres_address import warehouse_address
    from feature_access.offline_stores.spark_session import lake_session

    if address := warehouse_address(store.config):
        return PostgreSQLEngine(address)
    tables = Tables(events, HISTORY, QUARANTINE)
    if session := lake_session(store.config):
        # Imported late: it asks for pyspark, which no other profile does.
        from feature_pipeline.compute_engines.spark.engine import SparkEngine

        return SparkEngine(session, tables)
    return DuckDBEngine(tables)


def outliers(store: "FeatureStore", contract: Contract, as_of: datetime) -> dict[str, int]:
    """Those of the last look-back window, by feature, where the profile keeps them."""
    from feature_access.offline_stores.postgres_address import warehouse_address

    stretch = {"after": as_of - contract.time.lookback, "until": as_of}
    percentile = contract.quality.outliers.percentile
    if address := warehouse_address(store.config):
        return flag_outliers_in_warehouse(address, percentile, **stretch)
    return flag_outliers(HISTORY, percentile, **stretch)


def _online_up_to(view: "FeatureView") -> datetime | None:
    """How far a version is materialized; None where it never was."""
    return max((end for _, end in view.materialization_intervals), default=None)


if __name__ == "__main__":
    run_job(main)
