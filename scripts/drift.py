"""Measure how far the features have drifted from the baseline, and tell of it (contract §7)."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

import duckdb
import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from contract_checks.console import console
from contract_checks.evidence.facts import Drift
from jobs.own_tables import contract_of_own_tables
from jobs.reporting.alerting import alert, changes, text_of
from jobs.reporting.drift import (
    Verdict,
    drift,
    incidents_until,
    measure,
    news_of,
    outcome,
    verdicts_of,
)
from jobs.repository import CONTRACT
from scripts.command_line import DocumentOption, present, refusals_exit, run_job, time_option

_STYLE = {
    Verdict.KEPT: "green",
    Verdict.WARN: "yellow",
    Verdict.BLOCK: "bold red",
    Verdict.INSUFFICIENT: "yellow",
}


def main(
    as_of: Annotated[datetime | None, time_option("Measure at this time; default now.")] = None,
    document: DocumentOption = CONTRACT,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be sent; send and record nothing.")
    ] = False,
) -> None:
    """Measure every feature's PSI against the frozen baseline, and tell the alert channel.

    An incident is told when it begins and when it ends, and not in between.

    Exit code 0: no drift; 1: a feature is warned of or blocked; 2: refused, or too little data.
    """
    with refusals_exit(duckdb.Error):
        contract, moment = contract_of_own_tables(document), present(as_of)
        before = incidents_until(contract, moment)
        measured = measure(contract, moment) if dry_run else drift(contract, moment)
        verdicts = verdicts_of(contract, measured)
        _show(measured, verdicts, console())
        news = tuple(news_of(contract, measured, verdicts, before))
        if dry_run:
            for waiting in (*before.undelivered, *changes(contract, moment, news, before)):
                typer.echo(f"would send: {text_of(waiting)}")
        else:
            alert(contract, moment, *news)
    raise typer.Exit(outcome(verdicts).value)


def _show(measured: Drift, verdicts: Mapping[str, Verdict], printed: Console) -> None:
    """Coloured within lines on a terminal, plain columns elsewhere."""
    lines = box.HEAVY_HEAD if printed.is_terminal else None
    table = Table("feature", box=lines, title="Drift", title_justify="left")
    for column in ("PSI", "noise", "n", "m"):
        table.add_column(column, justify="right")
    table.add_column("outcome")
    for feature, said in verdicts.items():
        spread = measured.features[feature]
        figures = (f"{spread.psi:.4f}", f"{spread.noise:.4f}")
        sizes = (f"{sum(counts):,}" for counts in (spread.baseline, spread.current))
        table.add_row(feature, *figures, *sizes, Text(said, style=_STYLE[said]))
    printed.print(table)
    start, end = (at.isoformat() for at in (measured.baseline_from, measured.baseline_to))
    printed.print(f"baseline {start} to {end}", soft_wrap=True, highlight=False)


if __name__ == "__main__":
    run_job(main)
