"""Rebuild: make the served history anew where it has to be another, with the reason on record."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from contract_checks.clock import now
from contract_checks.language.contract import Contract
from contract_checks.language.loader import InvalidContract
from feature_pipeline.change_log.backfill import Backfill, compare_with_rebuild
from feature_pipeline.change_log.step_back import step_back_in_lake, step_back_in_warehouse
from feature_pipeline.compute_engines.postgres.admission import (
    retained_since as retained_since_in_warehouse,
)
from feature_pipeline.compute_engines.postgres.backfill import compare_in_warehouse
from feature_pipeline.compute_engines.postgres.warehouse import session
from scripts.command_line import (
    CONTRACT,
    EVENTS,
    HISTORY,
    ROOT,
    DocumentOption,
    refusals_exit,
    run_job,
    writing_alone,
)
from scripts.erased import erased_customers
from scripts.forgetful import forgetful
from scripts.own_tables import contract_of_own_tables
from scripts.progress import steps
from scripts.recording import digests_of, recorded
from scripts.refresh import aggregated
from scripts.versions import versions_of_log
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


def main(
    reason: Annotated[
        str, typer.Option(metavar="TEXT", help="Why history is to be another; goes on record.")
    ] = "",
    confirm: Annotated[
        bool, typer.Option("--confirm", help="Do it; else it is only told what would change.")
    ] = False,
    events: Annotated[
        Path, typer.Option(help="customer_events: a parquet file, or a folder of them.")
    ] = EVENTS,
    document: DocumentOption = CONTRACT,
) -> None:
    """Make the served history anew from the events, where a refresh refuses to: values change.

    For a corrected aggregation or corrected events. The offline table is made anew, and the online
    store emptied of the feature's views and materialized again; until then their reads fail.
    Safe to run again; where it was killed, the next refresh completes it as well.

    Exit code 0: history is what the events make, or it is told what is not; 2: refused.
    """
    with refusals_exit(RefusedError, InvalidContract), steps() as on_step:
        contract, moment = contract_of_own_tables(document), now()
        # Imported late: Feast takes seconds, which --help should not.
        from feature_access.registry import open_store

        store = open_store(ROOT)
        if confirm:
            difference = rebuild(store, contract, moment, reason.strip(), events, on_step)
        else:
            difference = difference_of(store, contract, events, on_step)
    for line in difference.lines:
        typer.echo(line)
    if not difference:
        typer.echo("nothing to do")
    elif confirm:
        typer.echo(f"history is made anew up to {moment.isoformat()}, on record as rebuild")
        typer.echo("next: scripts/refresh.py, and scripts/backfill.py where it was validated")
    else:
        views = " and ".join(difference.views)
        typer.echo(f'--confirm --reason "..." makes it anew; reads of {views} fail meanwhile')


def difference_of(
    store: "FeatureStore",
    contract: Contract,
    events: Path = EVENTS,
    on_step: Callable[[str], None] = lambda step: None,
) -> Difference:
    """Compare all history that can be made again with what the events make of it now.

    Raises:
        RefusedError: no refresh has left a log, or see `compare_with_rebuild`.
    """
    from feature_access.offline_stores.postgres_address import warehouse_address
    from feature_access.training.known_times import how_far_known

    views, address = versions_of_log(store, contract), warehouse_address(store.config)
    known = how_far_known(store, views)
    if known is None:
        raise RefusedError("no refresh has left a log: run scripts/refresh.py, which makes one")
    names, begins = tuple(view.name for view in views), _begins(contract, address)
    if known.until <= begins:
        return Difference(names, begins, known.until, Backfill(0, 0, 0, ()))
    compare = (
        partial(compare_in_warehouse, address, ROOT / "data")
        if address
        else partial(compare_with_rebuild, events, HISTORY)
    )
    compared = compare(
        as_of=known.until,
        stretch=known.until - begins,
        lookback_window=contract.time.lookback,
        allowed_lateness=contract.time.allowed_lateness,
        zone=contract.time.timezone,
        erased=erased_customers(),
        on_step=on_step,
    )
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
    on_step: Callable[[str], None] = lambda step: None,
) -> Difference:
    """Make history what the events make of it now, and leave a record; says what differed.

    Online goes first: a view of which nothing is online any more is materialized whole by whatever
    refresh comes next, so that a run which is killed leaves no old value.

    Raises:
        RefusedError: no reason is given, another job is writing; see also `difference_of`.
    """
    from feature_access.offline_stores.postgres_address import warehouse_address
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
            forgetful(store).forget_view(store.config, store.get_feature_view(view))
        on_step("withdrawing rows")
        before, address = difference.begins - _MICROSECOND, warehouse_address(store.config)
        if address:
            step_back_in_warehouse(address, before)
        else:
            step_back_in_lake(HISTORY, before)
        figures["history_rows"] = aggregated(store, contract, at, events, on_step).history_rows
        for view in difference.views:
            on_step(f"materializing {view} again")
            materialize_again(store, view, at)
    return difference


if __name__ == "__main__":
    run_job(main)
