"""Measure how far the features have drifted from the baseline, and tell of it (contract §7)."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from enum import StrEnum

from contract_checks.evidence.drift import read_drift
from contract_checks.evidence.facts import Distribution, Drift, MissingEvidence, there
from contract_checks.evidence.operations import read_operations
from contract_checks.evidence.tables import offline_sessions
from contract_checks.findings import Outcome
from contract_checks.language.contract import Contract
from contract_checks.measures.psi import reaches
from contract_checks.operations.incidents import Standing, standing
from jobs.reporting.alerting import News, alerts_on_record
from jobs.reporting.freeze_baseline import registered
from jobs.reporting.recording import recorded
from jobs.repository import ROOT
from storage.errors import RefusedError

WARN_CLAUSE, BLOCK_CLAUSE = "§7 warn", "§7 fail"


class Verdict(StrEnum):
    """What a feature's PSI says."""

    KEPT = "kept"
    WARN = "warn"
    BLOCK = "block"
    INSUFFICIENT = "insufficient data"


def drift(contract: Contract, as_of: datetime) -> Drift:
    """Measure the drift, and leave a record of it.

    Raises:
        MissingEvidence: there is nothing to measure, or nothing to measure it from.
    """
    with recorded("drift", contract.view_name, as_of) as figures:
        measured = measure(contract, as_of)
        verdicts = verdicts_of(contract, measured)
        figures["baseline_to"] = measured.baseline_to.isoformat()
        figures["features"] = {
            feature: {"psi": spread.psi, "noise": spread.noise, "outcome": verdicts[feature].value}
            for feature, spread in measured.features.items()
        }
        figures["passed"] = outcome(verdicts) is Outcome.KEPT
    return measured


def measure(contract: Contract, as_of: datetime) -> Drift:
    """The drift at `as_of` from the baseline in use.

    Raises:
        MissingEvidence: there is nothing to measure, or nothing to measure it from.
    """
    thresholds = [(contract.warn_of(f), contract.fail_of(f)) for f in contract.features]
    metrics = {threshold.metric for both in thresholds for threshold in both}
    if {metric.casefold() for metric in metrics} != {"psi"}:
        raise MissingEvidence(f"{' and '.join(sorted(metrics))} cannot be measured yet; PSI can")
    operations = there(read_operations(ROOT, as_of))
    view = registered(contract.view_name)
    measured = read_drift(contract, view, operations, offline_sessions(contract, view), as_of)
    if not measured.intact:
        raise MissingEvidence("the baseline on record was changed: freeze another")
    if not measured.features:
        raise MissingEvidence("the baseline has no feature that is still there")
    return measured


def verdicts_of(contract: Contract, measured: Drift) -> dict[str, Verdict]:
    """What is to be said of each feature."""
    return {
        feature: verdict(contract, feature, spread)
        for feature, spread in sorted(measured.features.items())
    }


def verdict(contract: Contract, feature: str, spread: Distribution) -> Verdict:
    """A PSI at or above a threshold says nothing while it is within its sampling noise."""
    for threshold, reached in (
        (contract.fail_of(feature), Verdict.BLOCK),
        (contract.warn_of(feature), Verdict.WARN),
    ):
        drifted = reaches(threshold.minimum, spread.psi, spread.noise)
        if drifted is not False:
            return reached if drifted else Verdict.INSUFFICIENT
    return Verdict.KEPT


def outcome(verdicts: Mapping[str, Verdict]) -> Outcome:
    """Broken where anything drifted, else unknown where the data did not suffice."""
    said = set(verdicts.values())
    if said & {Verdict.WARN, Verdict.BLOCK}:
        return Outcome.BROKEN
    return Outcome.UNKNOWN if Verdict.INSUFFICIENT in said else Outcome.KEPT


def news_of(
    contract: Contract, measured: Drift, verdicts: Mapping[str, Verdict], before: Standing
) -> Iterator[News]:
    """What begins and what ends; too little data does neither."""
    for (clause, feature), incident in before.open.items():
        if clause in (WARN_CLAUSE, BLOCK_CLAUSE) and incident.begun.at < measured.baseline_to:
            since = f"frozen at {measured.baseline_to.isoformat()}"
            yield News(clause, feature, False, "a new baseline is in use", since)
    for feature, said in verdicts.items():
        spread, block = measured.features[feature], contract.fail_of(feature).minimum
        if said is Verdict.BLOCK:
            # A warning that was told lasts: the feature has passed that threshold, too.
            yield _news(BLOCK_CLAUSE, feature, True, spread, block)
        elif said is not Verdict.INSUFFICIENT:
            warned = said is Verdict.WARN
            yield _news(BLOCK_CLAUSE, feature, False, spread, block)
            yield _news(WARN_CLAUSE, feature, warned, spread, contract.warn_of(feature).minimum)


def incidents_until(contract: Contract, as_of: datetime) -> Standing:
    """The incidents that have begun, and what is still to be told."""
    alerts = alerts_on_record(contract)
    if alerts and alerts[-1].at > as_of:
        raise RefusedError(
            f"{contract.view_name} has alerts as of {alerts[-1].at.isoformat()}: drift of an "
            "earlier time begins and ends nothing any more"
        )
    return standing(alerts)


def _news(clause: str, feature: str, broken: bool, spread: Distribution, threshold: float) -> News:
    n, m = sum(spread.baseline), sum(spread.current)
    message = "drifted from the baseline" if broken else "back below the threshold"
    against = f"{'≥' if broken else '<'} {threshold:g}"
    figure = f"PSI {spread.psi:.4f} {against} (noise {spread.noise:.4f}, n = {n:,}, m = {m:,})"
    return News(clause, feature, broken, message, figure)
