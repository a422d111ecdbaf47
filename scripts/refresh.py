"""Refresh the feature store: events to change log to online store, up to an instant."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from contract_checks.clock import instant, now
from contract_checks.language.contract import Contract
from contract_checks.language.loader import InvalidContract, load
from feature_pipeline.change_log import Aggregated, aggregate
from feature_pipeline.outliers import flag_outliers
from feature_pipeline.refusal import RefusedError
from scripts.command_line import CONTRACT, EVENTS, HISTORY, QUARANTINE, ROOT, refusals_exit
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
) -> None:
    """Bring the offline and the online store up to a time. Run it hourly, after `feast apply`.

    Exit code 0: done and on record; 2: refused, nothing written.
    """
    moment = as_of or now()
    with refusals_exit(RefusedError, InvalidContract), steps() as on_step:
        contract = load(CONTRACT)
        on_step("opening the feature store")
        # Imported late: Feast takes seconds, which --help should not.
        from feature_access.registry import open_store

        done = refresh(open_store(ROOT), contract, moment, events, on_step)
    typer.echo(str(done.events))
    typer.echo(f"{done.history_rows:,} rows offline, online up to {moment.isoformat()}")


def refresh(
    store: "FeatureStore",
    contract: Contract,
    as_of: datetime,
    events: Path = EVENTS,
    on_step: Callable[[str], None] = lambda step: None,
) -> Aggregated:
    """Bring both stores up to `as_of`, and leave a record.

    Raises:
        RefusedError: the contract's view is not registered, which leaves no record; the online
            store is past `as_of` already; see `aggregate` for the rest.
    """
    from feature_pipeline.materialize import materialize_up_to, refuse_to_go_back

    before = _materialized_to(store, contract.view_name)
    with recorded("refresh", contract.view_name, as_of) as figures:
        figures |= {"from": before and before.isoformat(), "to": as_of.isoformat()}
        refuse_to_go_back(store, as_of)  # before anything is written
        done = aggregate(
            events,
            HISTORY,
            QUARANTINE,
            as_of=as_of,
            lookback_window=contract.time.lookback,
            allowed_lateness=contract.time.allowed_lateness,
            served=HISTORY,
            on_step=on_step,
        )
        on_step("flagging outliers")
        figures |= {
            "events": done.events.ingested,
            "kept": done.events.kept,
            "superseded": done.events.superseded,
            "quarantined": done.events.quarantined,
            "history_rows": done.history_rows,
            "outliers": flag_outliers(HISTORY, contract.quality.outliers.percentile),
        }
        on_step("materializing")
        materialize_up_to(store, as_of)
    return done


def _materialized_to(store: "FeatureStore", view: str) -> datetime | None:
    """How far the view is materialized; None where it never was."""
    from feast.errors import FeatureViewNotFoundException

    try:
        intervals = store.get_feature_view(view).materialization_intervals
    except FeatureViewNotFoundException as error:
        raise RefusedError(
            f"no feature view {view} is registered: run `feast apply` first"
        ) from error
    return max((end for _, end in intervals), default=None)


if __name__ == "__main__":
    typer.run(main)
