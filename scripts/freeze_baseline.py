"""Freeze the baseline that drift is measured from (contract §7)."""

from datetime import UTC, datetime
from typing import Annotated, Any

import duckdb
import typer
from rich.table import Table

from contract_checks.clock import instant
from contract_checks.console import console
from contract_checks.evidence.declared import RegisteredView
from contract_checks.evidence.drift import freeze
from contract_checks.evidence.facts import MissingEvidence
from contract_checks.evidence.operations import read_operations
from contract_checks.evidence.registry import read_registry
from contract_checks.language.contract import Contract
from contract_checks.language.loader import InvalidContract
from contract_checks.measures.psi import Bins
from scripts.command_line import CONTRACT, ROOT, DocumentOption, present, refusals_exit, run_job
from scripts.own_tables import contract_of_own_tables
from scripts.recording import recorded

_ALWAYS = datetime.max.replace(tzinfo=UTC)


def main(
    as_of: Annotated[
        datetime | None,
        typer.Option(parser=instant, metavar="TIME", help="Freeze as of this time; default now."),
    ] = None,
    document: DocumentOption = CONTRACT,
) -> None:
    """Freeze the features' distributions over the baseline window, before a promotion.

    A promoted version keeps the baseline it was promoted with: a later one counts from the next
    promotion.

    Exit code 0: frozen and on record; 2: refused.
    """
    with refusals_exit(MissingEvidence, InvalidContract, duckdb.Error):
        contract, moment = contract_of_own_tables(document), present(as_of)
        figures = freeze_baseline(contract, moment)
        promoted = _promoted_at(contract)
    console().print(_table(figures))
    typer.echo(f"{figures['rows']:,} entities, {figures['from']} to {figures['to']}")
    typer.echo(f"match rate {figures['match_rate']:.2%}, fan-out {figures['fanout_ratio']:.4f}")
    if promoted:
        typer.echo(
            f"{contract.view_name}, promoted at {promoted.isoformat()}, keeps the baseline it was "
            "promoted with; this one counts from the next promotion."
        )


def freeze_baseline(contract: Contract, as_of: datetime) -> dict[str, Any]:
    """Freeze the baseline, and leave its figures on record.

    Raises:
        MissingEvidence: there is nothing to freeze, or the version was promoted since `as_of`.
    """
    view = registered(contract.view_name)
    promoted = _promoted_at(contract)
    if promoted and as_of < promoted:
        raise MissingEvidence(
            f"{view.name} was promoted at {promoted.isoformat()}: a baseline of an earlier time "
            "would take the place of the one it was promoted with"
        )
    with recorded("baseline", view.name, as_of) as figures:
        figures |= freeze(contract, view, as_of)
    return figures


def is_frozen(contract: Contract, as_of: datetime) -> bool:
    """Whether a baseline of the contract's version is on record."""
    operations = read_operations(ROOT, as_of)
    if isinstance(operations, MissingEvidence):
        return False  # no job has run yet
    return any(record.passed for record in operations.of("baseline", contract.view_name))


def registered(name: str) -> RegisteredView:
    """The feature view as it is registered.

    Raises:
        MissingEvidence: there is no registry, or no such view in it.
    """
    registry = read_registry(ROOT)
    if isinstance(registry, MissingEvidence):
        raise registry
    if name not in registry.views:
        raise MissingEvidence(f"feature view {name} is not registered: run `feast apply`")
    return registry.views[name]


def _promoted_at(contract: Contract) -> datetime | None:
    """When the version was last promoted."""
    operations = read_operations(ROOT, _ALWAYS)
    if isinstance(operations, MissingEvidence):
        return None  # no job has run yet
    promotions = operations.of("promotion", contract.view_name)
    return max((record.at for record in promotions if record.passed), default=None)


def _table(figures: dict[str, Any]) -> Table:
    """Entities per bin; bins that hold none are not shown."""
    table = Table("feature", "bin", title="Baseline", title_justify="left")
    for column in ("entities", "share"):
        table.add_column(column, justify="right")
    for feature, frozen in sorted(figures["features"].items()):
        labels = Bins(tuple(frozen["edges"]), tuple(frozen["alone"])).labels
        held = [(b, count) for b, count in zip(labels, frozen["counts"], strict=True) if count]
        for place, (label, count) in enumerate(held):
            name = "" if place else feature
            table.add_row(name, label, f"{count:,}", f"{count / figures['rows']:.1%}")
        table.add_section()
    return table


if __name__ == "__main__":
    run_job(main)
