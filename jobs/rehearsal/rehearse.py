"""Rehearse a version: every job that contract §11 asks for, before a promotion and every day."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import duckdb

from contract_checks.evidence.facts import MissingEvidence
from contract_checks.findings import Outcome, worst_of
from contract_checks.language.contract import Contract
from feature_access.offline_stores.offline_table import BeforeRetentionError, NotYetKnownError
from jobs.rehearsal import backfill, canary, load_test, shadow_compare, unit_tests
from jobs.reporting.alerting import News, alert
from jobs.repository import OnStep
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


def rehearse(store: "FeatureStore", contract: Contract, as_of: datetime, on_step: OnStep) -> None:
    """Run every job; each leaves its record, whatever it came to.

    Raises:
        RefusedError, MissingEvidence: one had nothing to work on; those after it did not run.
    """
    for rehearsal in REHEARSALS:
        on_step(rehearsal.name)
        rehearsal.run(store, contract, as_of)


def rehearse_and_tell(
    store: "FeatureStore",
    contract: Contract,
    as_of: datetime,
    on_outcome: Callable[[str, Rehearsed], None],
) -> Outcome:
    """Run every job, whatever becomes of those before it, and tell the alert channel at the end.

    `on_outcome` is given the name of each that has run, and what it came to.
    """
    outcomes: list[Outcome] = []
    news: list[News] = []
    for rehearsal in REHEARSALS:
        done = _rehearsed(rehearsal, store, contract, as_of)
        on_outcome(rehearsal.name, done)
        outcomes.append(done.outcome)
        news += _news(rehearsal, done)
    alert(contract, as_of, *news)
    return worst_of(outcomes)


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
