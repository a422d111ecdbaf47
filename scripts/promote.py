"""Promote a version: rehearse it (contract §11), ask the gate, move the pointer (§10)."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from contract_checks.console import console
from jobs.own_tables import contract_of_own_tables
from jobs.release.pointer_moves import to_declare
from jobs.release.promote import news_of, promote
from jobs.reporting.alerting import alert
from jobs.reporting.webhook import configured
from jobs.repository import CONTRACT, feature_store
from scripts.command_line import present, refusals_exit, run_job, steps, time_option


def main(
    contract: Annotated[
        Path, typer.Option(help="Document of the version to promote.", metavar="FILE")
    ] = CONTRACT,
    as_of: Annotated[datetime | None, time_option("Promote as of this time; default now.")] = None,
) -> None:
    """Rehearse a version, judge every clause, and let the feature's service serve it.

    Anything that is broken or unknown leaves the service as it is. Safe to run again. Where a
    webhook for alerts is set, a promotion that is blocked is told, and so is its success.

    Exit code 0: promoted; 1: a clause is broken; 2: refused, or a clause could not be judged.
    """
    from contract_checks.report.text import show

    with (
        refusals_exit(),
        steps(lines=True) as on_step,
    ):
        terms, moment = contract_of_own_tables(contract), present(as_of)
        if configured():
            alert(terms, moment)  # or the gate would find what did not arrive
        result = promote(feature_store(), terms, moment, on_step)
    if configured():
        alert(terms, moment, *news_of(terms, result))
    if result.receipt is None:
        show(result.report, console())
        typer.echo(f"not promoted: {result.refusal}", err=True)
        raise typer.Exit(result.exit_code)
    typer.echo(f"{terms.view_name} is promoted; receipt: {result.receipt}")
    typer.echo(to_declare(terms.overview.feature_name, terms.view_name))


if __name__ == "__main__":
    run_job(main)
