"""The main job, end to end, on real customers: `make demo`."""

import time
from datetime import datetime
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer
from rich.table import Table

from contract_checks.commands.judging import judged as judged_with_evidence
from contract_checks.console import console
from contract_checks.findings import Outcome, Report
from contract_checks.report import text
from contract_checks.report.html import page
from jobs.demonstration.demo import (
    PRESENT,
    Summary,
    from_nothing,
    look_up,
    promoted,
    refreshed,
    training_set,
)
from jobs.own_tables import contract_of_own_tables
from jobs.refreshing.refresh import refresh
from jobs.repository import CONTRACT, ROOT, feature_store
from scripts.command_line import answers_table, present, refusals_exit, run_job, steps, time_option
from storage.atomic import replacing


def main(
    as_of: Annotated[datetime | None, time_option("The present; default 2017-12-01.")] = None,
    predictions: Annotated[int, typer.Option(help="Rows of the training set.", min=1)] = 10_000,
    report: Annotated[Path, typer.Option(help="Where the report goes.")] = ROOT / "report.html",
) -> None:
    """Run the demonstration from nothing: its registry, stores, log and report are made anew.

    Exit code 0: the contract is kept; 1: broken; 2: refused, or it could not be judged.
    """
    started = time.monotonic()
    with (
        refusals_exit(),
        steps(lines=True) as on_step,
    ):
        contract, moment = contract_of_own_tables(CONTRACT), present(as_of or PRESENT)
        before = moment - contract.source.refresh_cadence.every
        summary = from_nothing(contract, before, on_step)
        store = feature_store()
        on_step(f"3 refresh up to {before:%Y-%m-%d %H:%M} UTC")
        summary.append(("first refresh", refreshed(refresh(store, contract, before))))
        on_step(f"4 training set of {predictions:,} prediction times")
        summary.append(("training set", training_set(contract, before, predictions)))
        on_step("5 promote: rehearsal, gate, pointer")
        summary.append(("promotion", promoted(store, contract, before)))
        on_step(f"6 refresh up to {moment:%Y-%m-%d %H:%M} UTC")
        summary.append(("second refresh", refreshed(refresh(store, contract, moment))))
        on_step("7 check the contract")
        judged, evidence = judged_with_evidence(contract, ROOT, moment)
        summary.append(("contract", text.summary(judged)))
        on_step("8 online look-up, plain and over HTTP")
        answers = look_up(store, moment)
        on_step("9 report")
        with replacing(report) as draft:
            draft.write_text(page(judged, evidence, contract), encoding="utf-8")
    _show(summary, answers, judged, report, time.monotonic() - started)
    raise typer.Exit(judged.outcome.value)


def _show(
    summary: Summary, answers: pd.DataFrame, judged: Report, report: Path, seconds: float
) -> None:
    printed = console()
    did = Table("step", "result", title="What was done", title_justify="left")
    for row in summary:
        did.add_row(*row)
    printed.print(did)
    title = "Read online: plain, over HTTP and offline agree"
    printed.print(answers_table(answers.to_dict("list"), title))
    if judged.outcome is not Outcome.KEPT:
        text.show(judged, printed)
    printed.print(
        f"Every clause: {report}. Done in {seconds:.0f} s.", highlight=False, soft_wrap=True
    )


if __name__ == "__main__":
    run_job(main)
