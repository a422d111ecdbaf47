"""§7: has the data moved away from the baseline, and was it told?"""

import math
from collections.abc import Callable, Iterator

from contract_checks.checks.served_view import served_view
from contract_checks.evidence.evidence import Evidence
from contract_checks.evidence.facts import Distribution, Drift, MissingEvidence
from contract_checks.judge import Verdict, check
from contract_checks.language import values
from contract_checks.language.contract import Contract
from contract_checks.language.sentence import Unreadable, spell
from contract_checks.language.terms import AllowedValues, DriftThreshold
from contract_checks.measures.psi import reaches
from contract_checks.operations.incidents import is_settled, standing
from contract_checks.operations.log import Record

_MEASURED = "psi"
_WARN, _FAIL = "§7 warn", "§7 fail"
_SAMPLE_BINS = 3


@check("§7 baseline window", held_in="operations")
def baseline_spans_its_window(contract: Contract, evidence: Evidence) -> Iterator[Verdict]:
    """The baseline in use spans the window, ends by the as-of time, and is as it was frozen."""
    drift, window = evidence.drift, contract.drift.baseline_window
    start, end = drift.baseline_from.isoformat(), drift.baseline_to.isoformat()
    span = drift.baseline_to - drift.baseline_from
    yield Verdict(
        span == window,
        f"baseline over {spell(window)}",
        f"{span}, from {start}",
        int(span != window),
    )
    ended = drift.baseline_to <= evidence.as_of
    yield Verdict(ended, f"baseline ends by {evidence.as_of.isoformat()}", end, int(not ended))
    yield Verdict(
        drift.intact,
        "baseline as it was frozen",
        "its digest agrees" if drift.intact else "its figures were changed: freeze another",
        int(not drift.intact),
    )


@check("§7 drift metrics", held_in="offline, operations")
def metrics_are_measured(contract: Contract, evidence: Evidence) -> Iterator[Verdict]:
    """Every drift metric the document names is measured for every numeric feature."""
    numeric = tuple(
        feature
        for feature in contract.features
        if not isinstance(contract.definition.allowed.get(feature), AllowedValues)
    )
    without = tuple(feature for feature in numeric if feature not in evidence.drift.features)
    unknown = [name for name in contract.drift.metrics if name.casefold() != _MEASURED]
    if len(unknown) < len(contract.drift.metrics):
        yield Verdict(
            not without,
            "PSI of every numeric feature",
            f"measured for {len(numeric) - len(without)} of {len(numeric)}",
            len(without),
            without,
        )
    if unknown:
        raise MissingEvidence(f"{', '.join(unknown)} cannot be measured yet; PSI can")


@check("§7 warn", held_in="offline, operations")
def drift_was_told(contract: Contract, evidence: Evidence) -> Iterator[Verdict]:
    """A feature that drifted to the warn threshold is flagged, and an alert of it stands."""
    for feature, spread, drifted in _drifted(evidence, contract.warn_of):
        threshold = contract.warn_of(feature)
        told = drifted and _was_told(contract, evidence, feature, spread)
        news = (", told by an alert" if told else ", told to nobody") if drifted else ""
        yield Verdict(
            told or not drifted,
            f"{feature} {threshold.metric} < {threshold.minimum:g}, or an alert delivered",
            _spelt(spread) + news,
            int(drifted),
            _most_moved(spread) if drifted else (),
        )


@check("§7 fail", held_in="offline, operations")
def drift_stays_below_the_block(contract: Contract, evidence: Evidence) -> Iterator[Verdict]:
    """No feature has drifted to the threshold that blocks a promotion."""
    for feature, spread, drifted in _drifted(evidence, contract.fail_of):
        threshold = contract.fail_of(feature)
        yield Verdict(
            not drifted,
            f"{feature} {threshold.metric} < {threshold.minimum:g}",
            _spelt(spread),
            int(drifted),
            _most_moved(spread) if drifted else (),
        )


@check("§7 join drift checks", held_in="offline, events, operations")
def join_has_not_drifted(contract: Contract, evidence: Evidence) -> Iterator[Verdict]:
    """Since the baseline the join has lost no more matches, nor gained more rows, than has room."""
    drift, join = _frozen(evidence), evidence.join
    if not join.matched:
        raise MissingEvidence("no active entity has a feature row: there is no join to compare")
    rate, ratio = join.matched / join.entity_rows, join.joined_rows / join.matched
    least = drift.baseline_match_rate - (1 - contract.entity.expected_match_rate)
    most = drift.baseline_fanout_ratio + (contract.quality.cardinality.maximum_fanout_ratio - 1)
    yield Verdict(
        rate >= least or math.isclose(rate, least),
        f"match rate ≥ {least:.2%} ({drift.baseline_match_rate:.2%} in the baseline)",
        f"{rate:.2%} ({join.matched:,} of {join.entity_rows:,} active entities)",
        join.entity_rows - join.matched,
        join.unmatched_sample,
    )
    yield Verdict(
        ratio <= most or math.isclose(ratio, most),
        f"fan-out ratio ≤ {most:.4f} ({drift.baseline_fanout_ratio:.4f} in the baseline)",
        f"{ratio:.4f} ({join.joined_rows:,} rows for {join.matched:,} entities)",
        join.joined_rows - join.matched,
    )


@check("§7 alert routing", held_in="registry, operations")
def alerts_reach_their_channel(contract: Contract, evidence: Evidence) -> Iterator[Verdict]:
    """The view names the contract's channel, and the last alert of each kind arrived there.

    One that a person dropped, with a reason on record, awaits nothing.
    """
    channel = contract.drift.alert_channel
    text = served_view(contract, evidence).tags.get("alerts", "")
    named = _channel(text) == channel
    yield Verdict(named, f"tag alerts = {channel}", text or "no such tag", int(not named))
    # The last one of each kind: a delivery that failed is made good by the one that did not.
    last = {
        (alert.figures.get("clause"), alert.figures.get("feature")): alert
        for alert in evidence.operations.of("alert", contract.view_name)
    }
    astray = [alert for alert in last.values() if not _arrived(alert, channel)]
    yield Verdict(
        not astray,
        f"every alert delivered to {channel}",
        f"{len(last) - len(astray)} of {len(last)} were",
        len(astray),
        tuple(_told(alert) for alert in astray[:3]),
    )


def _frozen(evidence: Evidence) -> Drift:
    """The drift from a baseline that can be trusted."""
    if not evidence.drift.intact:
        raise MissingEvidence("the baseline on record was changed, see §7 baseline window")
    return evidence.drift


def _drifted(
    evidence: Evidence, threshold_of: Callable[[str], DriftThreshold]
) -> Iterator[tuple[str, Distribution, bool]]:
    """Every feature with whether it drifted to the threshold.

    Raises:
        MissingEvidence: nothing is measured; or, when all others were given, some features' PSI is
            at or above the threshold but no more than sampling noise.
    """
    features = _frozen(evidence).features
    if not features:
        raise MissingEvidence("PSI is measured for no feature")
    unclear: list[str] = []
    unmeasured: set[str] = set()
    for feature, spread in sorted(features.items()):
        threshold = threshold_of(feature)
        drifted = reaches(threshold.minimum, spread.psi, spread.noise)
        unmeasured |= {t.metric for t in threshold.each if t.metric.casefold() != _MEASURED}
        if threshold.metric.casefold() != _MEASURED:
            continue
        if drifted is None:
            at = f"{threshold.metric} ≥ {threshold.minimum:g}"
            unclear.append(f"{at} of {feature} {_spelt(spread)}")
        else:
            yield feature, spread, drifted
    if unmeasured:
        raise MissingEvidence(f"{', '.join(sorted(unmeasured))} cannot be measured yet; PSI can")
    if unclear:
        told = "; ".join(unclear)
        raise MissingEvidence(f"insufficient data to tell drift from sampling noise: {told}")


def _was_told(contract: Contract, evidence: Evidence, feature: str, spread: Distribution) -> bool:
    """Whether the feature's drift is an incident that was told since the baseline and lasts.

    A warning does not tell of drift that has since reached the block.
    """
    blocked = reaches(contract.fail_of(feature).minimum, spread.psi, spread.noise)
    clauses = (_FAIL,) if blocked else (_WARN, _FAIL)
    incidents = standing(evidence.operations.of("alert", contract.view_name)).open
    return any(
        incident.told and incident.begun.at >= evidence.drift.baseline_to
        for (clause, about), incident in incidents.items()
        if clause in clauses and about == feature
    )


def _spelt(spread: Distribution) -> str:
    n, m = sum(spread.baseline), sum(spread.current)
    return f"PSI {spread.psi:.4f} (n = {n:,}, m = {m:,}, noise {spread.noise:.4f})"


def _most_moved(spread: Distribution) -> tuple[str, ...]:
    """The bins whose share changed most, then and now."""
    n, m = sum(spread.baseline), sum(spread.current)
    bins = zip(spread.bins, spread.baseline, spread.current, strict=True)
    moved = sorted(
        ((name, then / n, now / m) for name, then, now in bins),
        key=lambda bin_: -abs(bin_[2] - bin_[1]),
    )
    return tuple(f"{name}: {then:.1%} → {now:.1%}" for name, then, now in moved[:_SAMPLE_BINS])


def _channel(text: str) -> str | None:
    """The channel that a tag names, read as the document is read."""
    try:
        return values.channel(text)
    except Unreadable:
        return None


def _arrived(alert: Record, channel: str) -> bool:
    return alert.figures.get("channel") == channel and is_settled(alert)


def _told(alert: Record) -> str:
    what = ("clause", "feature", "channel", "delivered")
    told = ", ".join(f"{name}={alert.figures[name]}" for name in what if name in alert.figures)
    return f"{alert.at.isoformat()}: {told}"
