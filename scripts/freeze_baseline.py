"""Freeze the baseline that drift is measured from (contract §7)."""

from datetime import datetime
from typing import Annotated, Any

import duckdb
import typer
from rich.table import Table

from contract_checks.console import console
from contract_checks.measures.psi import Bins
from jobs.own_tables import contract_of_own_tables
from jobs.reporting.freeze_baseline import freeze_baseline, promoted_at
from jobs.repository import CONTRACT
from scripts.command_line import DocumentOption, present, refusals_exit, run_job, time_option


def main(
    as_of: Annotated[datetime | None, time_option("Freeze as of this time; default now.")] = None,
    document: DocumentOption = CONTRACT,
) -> None:
    """Freeze the features' distributions over the baseline window, before a promotion.

    A promoted version keeps the baseline it was promoted with: a later one counts from the next
    promotion.

    Exit code 0: frozen and on record; 2: refused.
    """
    with refusals_exit(duckdb.Error):
        contract, moment = contract_of_own_tables(document), present(as_of)
        figures = freeze_baseline(contract, moment)
        promoted = promoted_at(contract)
    console().print(_table(figures))
    typer.echo(f"{figures['rows']:,} entities, {figures['from']} to {figures['to']}")
    typer.echo(f"match rate {figures['match_rate']:.2%}, fan-out {figures['fanout_ratio']:.4f}")
    if promoted:
        typer.echo(
            f"{contract.view_name}, promoted at {promoted.isoformat()}, keeps the baseline it was "
            "promoted with; this one counts from the next promotion."
        )


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
