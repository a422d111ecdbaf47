"""What was measured, as charts in the order of the contract: age, drift, parity, latency.

Beside each chart stands what it shows in words; where evidence is missing, the words alone stand
there and say why.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate
from math import isfinite
from typing import Any

from contract_checks.evidence.evidence import Evidence
from contract_checks.evidence.facts import (
    Distribution,
    Drift,
    MissingEvidence,
    Operations,
    Parity,
)
from contract_checks.language.contract import Contract
from contract_checks.language.sentence import spell
from contract_checks.language.terms import DriftThreshold
from contract_checks.measures.psi import reaches
from contract_checks.report import drawing

# Over more days the teeth of an hourly refresh run together on a phone.
_AGES_OVER = timedelta(days=3)


@dataclass(frozen=True)
class Chart:
    """A drawing and what it shows in words; the words alone where nothing could be drawn."""

    title: str
    told: str
    figure: Any = None
    """A plotly Figure."""
    height: int = 300
    """Pixels."""


@dataclass(frozen=True)
class Measurement:
    """The charts of one promise, side by side where there are several."""

    heading: str
    charts: tuple[Chart, ...]


def measured(contract: Contract, evidence: Evidence) -> tuple[Measurement, ...]:
    """Every measurement that has charts; what could not be drawn says why."""
    drawn: dict[str, _Draw] = {
        "§6 Age of the features": _ages,
        "§7 Drift, in the bins of the PSI": _drift,
        "§8 Online against offline": _parity,
        "§11 Latency": _latency,
    }
    return tuple(
        Measurement(heading, _attempt(draw, contract, evidence)) for heading, draw in drawn.items()
    )


_Draw = Callable[[Contract, Evidence], Iterator[Chart]]


def _attempt(draw: _Draw, contract: Contract, evidence: Evidence) -> tuple[Chart, ...]:
    """As with a check: evidence of a kind nobody foresaw costs its charts, never the report."""
    try:
        return tuple(draw(contract, evidence)) or (Chart("Not known", "no feature was measured"),)
    except MissingEvidence as missing:
        return (Chart("Not known", str(missing)),)
    except Exception as error:
        reason = (str(error) or "no reason given").splitlines()[0]
        return (Chart("Not known", f"could not be drawn: {type(error).__name__}: {reason}"),)


def _ages(contract: Contract, evidence: Evidence) -> Iterator[Chart]:
    """The features' age where models read them: it grows until a refresh takes it back."""
    limit, until = contract.quality.freshness, evidence.as_of
    points = _ages_of(contract.view_name, evidence.operations, until)
    (since, _), (at_worst, worst) = points[0], max(points, key=lambda point: point[1])
    failed = [
        run
        for run in evidence.operations.of("refresh", contract.view_name)
        if not run.passed and run.at >= since
    ]
    told = (
        f"Oldest: {_readable(worst)} at {_minute(at_worst)}; limit: {spell(limit)}. "
        f"Now: {_readable(points[-1][1])}. Refreshes that failed: {len(failed)}."
    )
    hour = timedelta(hours=1)
    ages = [(at, age / hour) for at, age in points]
    figure = drawing.saw_tooth(ages, limit / hour, f"limit {spell(limit)}")
    # A first refresh at the as-of time spans no time yet.
    drawn = figure if since < until else None
    yield Chart(f"From {_minute(since)} to {_minute(until)}", told, drawn)


def _ages_of(view: str, log: Operations, until: datetime) -> list[tuple[datetime, timedelta]]:
    """Instants and ages: just before and just after every refresh of the last days, and now."""
    done = [run for run in log.of("refresh", view) if run.passed]
    if not done:
        raise MissingEvidence(f"no refresh of {view} is on record: run scripts/refresh.py")
    # The online store only moves forward.
    reached = accumulate((datetime.fromisoformat(run.figures["to"]) for run in done), max)
    renewed = [(run.at, to) for run, to in zip(done, reached, strict=True)]
    since = max(until - _AGES_OVER, done[0].at)
    held = [to for at, to in renewed if at <= since][-1]
    points = [(since, since - held)]
    for at, to in renewed:
        if at > since:
            points += [(at, at - held), (at, at - to)]
            held = to
    return [*points, (until, until - held)]


def _drift(contract: Contract, evidence: Evidence) -> Iterator[Chart]:
    """How each feature's values spread, in the baseline and now."""
    if not evidence.drift.intact:
        raise MissingEvidence("the baseline on record was changed, see §7 baseline window")
    for feature, spread in sorted(evidence.drift.features.items()):
        yield _spread(contract, evidence.drift, feature, spread)


def _spread(contract: Contract, drift: Drift, feature: str, spread: Distribution) -> Chart:
    warn, fail = contract.warn_of(feature), contract.fail_of(feature)
    told = (
        f"PSI {spread.psi:.4f}; {warn.metric} ≥ {warn.minimum:g} warns, {fail.metric} ≥ "
        f"{fail.minimum:g} fails, chance alone stays below {spread.noise:.4f}. Entities: "
        f"{sum(spread.baseline):,} in the baseline ({drift.baseline_from:%Y-%m-%d} to "
        f"{drift.baseline_to:%Y-%m-%d}), {sum(spread.current):,} now."
    )
    counted = zip(spread.bins, spread.baseline, spread.current, strict=True)
    used = [(name, then, now) for name, then, now in counted if then or now]  # as the PSI does
    figure = drawing.two_histograms(used, _color(warn, fail, spread))
    return Chart(feature, told, figure, height=100 + 34 * len(used))


def _color(warn: DriftThreshold, fail: DriftThreshold, spread: Distribution) -> str:
    """As §7 judges: past a threshold only where the drift is more than sampling noise."""
    fails, warns = (
        reaches(threshold.minimum, spread.psi, spread.noise) for threshold in (fail, warn)
    )
    if fails:
        return drawing.BROKEN
    return drawing.KEPT if warns is False else drawing.WARNED


def _parity(contract: Contract, evidence: Evidence) -> Iterator[Chart]:
    """Each entity's online value over its offline one."""
    if evidence.parity.compared == 0:
        raise MissingEvidence("the offline table holds no entity to look up online")
    for feature in sorted(evidence.parity.differing):
        yield _pairs(contract, evidence.parity, feature)


def _pairs(contract: Contract, parity: Parity, feature: str) -> Chart:
    differing, pairs = parity.differing[feature], parity.pairs.get(feature, ())
    counted = Counter(pair for pair in pairs if all(map(isfinite, pair)))
    told = (
        f"{differing:,} of {parity.compared:,} entities differ "
        f"({differing / parity.compared:.2%}; limit: {contract.parity.maximum_delta:.2%}). "
        f"Drawn: {counted.total():,}."
    )
    return Chart(feature, told, drawing.pairs_of_values(counted) if counted else None)


def _latency(contract: Contract, evidence: Evidence) -> Iterator[Chart]:
    """The share of the last load test's requests that were answered within each time."""
    test = evidence.operations.last("load_test", contract.view_name)
    promised, did, at = contract.test_plan.performance, test.figures, _minute(test.at)
    if not did.get("histogram"):
        raise MissingEvidence(f"the load test of {at} left no histogram: run scripts/load_test.py")
    limit = promised.maximum_latency / timedelta(milliseconds=1)
    judged = f"p{promised.latency_percentile:g}"
    times = {name: did[f"{name}_ms"] for name in ("p50", "p95", "p99", judged)}
    told = (
        f"{', '.join(f'{name} {time:.3g} ms' for name, time in times.items())}; limit: {judged} ≤ "
        f"{limit:g} ms. {did['errors']:,} of {did['requests']:,} requests failed (limit: "
        f"{promised.maximum_error_rate:.2%})."
    )
    marked = (judged, promised.latency_percentile, times[judged])
    figure = drawing.latencies(did["histogram"], marked, limit)
    yield Chart(f"Load test of {at}", told, figure)


def _minute(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M} UTC"


def _readable(length: timedelta) -> str:
    """To the second, such as 1 day, 2:30:00."""
    return str(timedelta(seconds=round(length.total_seconds())))
