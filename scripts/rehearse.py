"""Rehearse a version: every job that contract §11 asks for, before a promotion and every day."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import duckdb
import typer

from contract_checks.clock import instant
from contract_checks.evidence.facts import MissingEvidence
from contract_checks.findings import Outcome, worst_of
from contract_checks.language.contract import Contract
from contract_checks.language.loader import InvalidContract
from feature_access.offline_stores.offline_table import BeforeRetentionError, NotYetKnownError
from scripts import backfill, canary, load_test, shadow_compare, unit_tests
from scripts.alerting import News, alert
from scripts.command_line import CONTRACT, ROOT, DocumentOption, present, refusals_exit, run_job
from scripts.own_tables import contract_of_own_tables
from storage.errors import RefusedError

if TYPE_CHECKING:
    from feast import FeatureStore

REFUSALS = (
    *(RefusedError, MissingEvidence, BeforeRetentionError, NotYetKnownError),
    duckdb.Error,
)


@dataclass(frozen=True)
class Rehearsed:
    """What one job came to."""

    outcome: Outcome
    figure: str


@dataclass(frozen=True)
class Rehearsal:
    """One job of §11; it leaves the record that the clause is judged by."""

    name: str
    clause: str
    run: Callable[["FeatureStore", Contract, datetime], Rehearsed]


def main(
    as_of: Annotated[
        datetime | None,
        typer.Option(parser=instant, metavar="TIME", help="Rehearse as of this; default now."),
    ] = None,
    document: DocumentOption = CONTRACT,
) -> None:
    """Run unit tests, backfill, canary, shadow reads and load test, as a promotion does. Run daily.

    What each leaves on record counts for the days that §11 has validated. One that is refused keeps
    none of the others from running; one that breaks its clause is told to the alert channel.

    Exit code 0: all passed; 1: one did not; 2: one was refused, or was too small to tell.
    """
    with refusals_exit(*REFUSALS, InvalidContract):
        contract, moment = contract_of_own_tables(document), present(as_of)
        # Imported late: Feast takes seconds, which --help should not.
        from feature_access.registry import open_store

        store = open_store(ROOT)
    news: list[News] = []
    outcomes = []
    for rehearsal in REHEARSALS:
        done = _rehearsed(rehearsal, store, contract, moment)
        typer.echo(f"{done.outcome.name.lower():<8}{rehearsal.name}: {done.figure}")
        outcomes.append(done.outcome)
        news += _news(rehearsal, done)
    alert(contract, moment, *news)
    raise typer.Exit(worst_of(outcomes).value)


def rehearse(
    store: "FeatureStore", contract: Contract, as_of: datetime, on_step: Callable[[str], None]
) -> None:
    """Run every job; each leaves its record, whatever it came to.

    Raises:
        RefusedError, MissingEvidence: one had nothing to work on; those after it did not run.
    """
    for rehearsal in REHEARSALS:
        on_step(rehearsal.name)
        rehearsal.run(store, contract, as_of)


def _rehearsed(
    rehearsal: Rehearsal, store: "FeatureStore", contract: Contract, as_of: datetime
) -> Rehearsed:
    try:
        return rehearsal.run(store, contract, as_of)
    except REFUSALS as refusal:
        return Rehearsed(Outcome.UNKNOWN, f"refused: {refusal}")


def _news(rehearsal: Rehearsal, done: Rehearsed) -> Iterator[News]:
    """What could not be told begins and ends nothing."""
    if done.outcome is not Outcome.UNKNOWN:
        broken = done.outcome is Outcome.BROKEN
        said = "did not pass" if broken else "passed again"
        yield News(rehearsal.clause, "rehearsal", broken, f"{rehearsal.name} {said}", done.figure)


def _unit_tests(store: "FeatureStore", contract: Contract, as_of: datetime) -> Rehearsed:
    tested = unit_tests.unit_tests(contract, as_of)
    figure = f"{tested.tests} tests, {len(tested.not_passed)} of them did not pass"
    return Rehearsed(unit_tests.outcome(tested), figure)


def _backfill(store: "FeatureStore", contract: Contract, as_of: datetime) -> Rehearsed:
    compared = backfill.backfill(contract, as_of)
    figure = f"{compared.rows:,} rows recomputed, {compared.differing:,} differ"
    return Rehearsed(backfill.outcome(compared), figure)


def _canary(store: "FeatureStore", contract: Contract, as_of: datetime) -> Rehearsed:
    compared = canary.canary(store, contract, as_of)
    figure = f"{compared.rows:,} customers materialized, {compared.differing:,} differ"
    return Rehearsed(canary.outcome(compared), figure)


def _shadow_reads(store: "FeatureStore", contract: Contract, as_of: datetime) -> Rehearsed:
    compared = shadow_compare.shadow_compare(store, contract, as_of).compared
    figure = f"{compared.differing:,} of {compared.rows:,} reads differ"
    return Rehearsed(shadow_compare.outcome(compared, contract), figure)


def _load_test(store: "FeatureStore", contract: Contract, as_of: datetime) -> Rehearsed:
    measured = load_test.load_test(store, contract, as_of)
    percentile = contract.test_plan.performance.latency_percentile
    latency = f"p{percentile:g} {measured.latency(percentile):.2f} ms"
    figure = f"{latency}, {measured.errors:,} of {measured.requests:,} requests failed"
    return Rehearsed(load_test.outcome(measured, contract), figure)


REHEARSALS = (
    Rehearsal("unit tests", "§11 unit tests", _unit_tests),
    Rehearsal("backfill validation", "§11 backfill validation", _backfill),
    Rehearsal("canary materialization", "§11 canary materialization", _canary),
    Rehearsal("shadow reads", "§11 shadow reads", _shadow_reads),
    Rehearsal("load test", "§11 performance tests", _load_test),
)

if __name__ == "__main__":
    run_job(main)
