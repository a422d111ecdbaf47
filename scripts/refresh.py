"""Refresh the feature store: events to change log to online store, up to an instant."""

from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from contract_checks.clock import instant, now
from contract_checks.language.contract import Contract
from contract_checks.language.loader import InvalidContract, load
from feature_pipeline.atomic import clear_drafts
from feature_pipeline.change_log import Aggregated, aggregate
from feature_pipeline.outliers import flag_outliers
from feature_pipeline.refusal import RefusedError
from feature_pipeline.warehouse_outliers import flag_outliers_in_warehouse
from feature_pipeline.warehouse_refresh import Refreshed, refresh_warehouse
from scripts.command_line import (
    CONTRACT,
    EVENTS,
    HISTORY,
    QUARANTINE,
    ROOT,
    DocumentOption,
    refusals_exit,
    writing_alone,
)
from scripts.erased import erased_customers
from scripts.progress import steps
from scripts.recording import recorded

if TYPE_CHECKING:
    from feast import FeatureStore


def main(
    as_of: Annotated[
        datetime | None,
        typer.Option(parser=instant, metavar="TIME", help="Refresh up to this time; default now."),
    ] = None,
    events: Annotated[Path, typer.Option(help="customer_events, parquet.")] = EVENTS,
    document: DocumentOption = CONTRACT,
) -> None:
    """Bring the offline and the online store up to a time. Run it hourly, after `feast apply`.

    Every registered version of the feature comes along: they are read from one offline table.

    Exit code 0: done and on record; 2: refused, nothing written.
    """
    moment = as_of or now()
    with refusals_exit(RefusedError, InvalidContract), steps() as on_step:
        contract = load(document)
        on_step("opening the feature store")
        # Imported late: Feast takes seconds, which --help should not.
        from feature_access.registry import open_store

        done = refresh(open_store(ROOT), contract, moment, events, on_step)
    typer.echo(str(done.events))
    if done.left_out:
        typer.echo(f"{done.left_out:,} events of erased customers were delivered and left out")
    typer.echo(f"{done.history_rows:,} rows offline, online up to {moment.isoformat()}")


def refresh(
    store: "FeatureStore",
    contract: Contract,
    as_of: datetime,
    events: Path = EVENTS,
    on_step: Callable[[str], None] = lambda step: None,
) -> Aggregated | Refreshed:
    """Bring both stores up to `as_of`, and leave a record for each version of the feature.

    Raises:
        RefusedError: the contract's view is not registered, or another job is writing, which leaves
            no record; the online store is past `as_of` already; see `aggregate` for the rest.
    """
    from feature_pipeline.materialize import materialize_up_to, refuse_to_go_back

    versions = _versions(store, contract)
    with writing_alone(), ExitStack() as records:
        clear_drafts(ROOT / "data")  # of jobs that were killed
        ran = [records.enter_context(recorded("refresh", view, as_of)) for view in versions]
        for figures, before in zip(ran, versions.values(), strict=True):
            figures |= {"from": before and before.isoformat(), "to": as_of.isoformat()}
        refuse_to_go_back(store, as_of)  # before anything is written
        done, outliers = aggregated(store, contract, as_of, events, on_step)
        counted = {
            "events": done.events.ingested,
            "kept": done.events.kept,
            "superseded": done.events.superseded,
            "quarantined": done.events.quarantined,
            "history_rows": done.history_rows,
            "newest": done.newest and done.newest.isoformat(),
            "outliers": outliers,
        }
        if done.left_out:
            counted["left_out"] = done.left_out
        for figures in ran:
            figures |= counted
        on_step("materializing")
        materialize_up_to(store, as_of)
    return done


def aggregated(
    store: "FeatureStore",
    contract: Contract,
    as_of: datetime,
    events: Path,
    on_step: Callable[[str], None],
) -> tuple[Aggregated | Refreshed, dict[str, int]]:
    """Bring the offline table up to `as_of`, where the profile keeps it; and its outliers.

    Raises:
        RefusedError: see `aggregate` and `refresh_in_warehouse`.
    """
    from feature_access.warehouse_address import warehouse_address

    percentile = contract.quality.outliers.percentile
    if address := warehouse_address(store.config):
        done = refresh_in_warehouse(address, contract, as_of, on_step)
        on_step("flagging outliers")
        return done, flag_outliers_in_warehouse(address, percentile)
    in_files = aggregate(
        events,
        HISTORY,
        QUARANTINE,
        as_of=as_of,
        lookback_window=contract.time.lookback,
        allowed_lateness=contract.time.allowed_lateness,
        served=HISTORY,
        erased=erased_customers(),
        on_step=on_step,
    )
    on_step("flagging outliers")
    return in_files, flag_outliers(HISTORY, percentile)


def refresh_in_warehouse(
    address: str, contract: Contract, as_of: datetime, on_step: Callable[[str], None]
) -> Refreshed:
    """The same inside the PostgreSQL warehouse, of the events that were loaded there.

    Raises:
        RefusedError: see `refresh_warehouse`; also when customers were erased, whom the warehouse
            could not leave out.
    """
    if erased_customers():
        raise RefusedError(
            "customers were erased, and a refresh in the warehouse does not leave them out yet: "
            "delete their events there and move data/data_warehouse/erased_customers.txt away"
        )
    return refresh_warehouse(
        address,
        as_of=as_of,
        lookback_window=contract.time.lookback,
        allowed_lateness=contract.time.allowed_lateness,
        on_step=on_step,
    )


def _versions(store: "FeatureStore", contract: Contract) -> dict[str, datetime | None]:
    """How far each registered version of the feature is materialized; None where it never was."""
    views = [v for v in store.list_batch_feature_views() if contract.has_version(v.name)]
    versions = {
        view.name: max((end for _, end in view.materialization_intervals), default=None)
        for view in views
    }
    if contract.view_name not in versions:
        raise RefusedError(
            f"no feature view {contract.view_name} is registered: run `feast apply` first"
        )
    return versions


if __name__ == "__main__":
    typer.run(main)
