"""Readers of limits that may be several: thresholds of drift (§7), latencies of reads (§11)."""

import re

from contract_checks.language.numbers import NUMBER, UNIT
from contract_checks.language.people import MEASURE
from contract_checks.language.plain_words import SERVING
from contract_checks.language.sentence import (
    FLAGS,
    UNDER,
    Sentence,
    Unreadable,
    number_in,
    quote,
    tidy,
)
from contract_checks.language.terms import DriftThreshold, Latency, Performance, Threshold
from contract_checks.language.values import duration

_OR = r"\s*[,;](?![0-9])\s*(?:or\s+)?|\s+or\s+"
_PERCENTILE = r"([1-9][0-9]?(?:\.[0-9]{1,6})?)"
_READ = "(?:(?:read|serving|online|lookup|look-up) )?"
_LATENCY_PERCENTILE = (
    rf"\bp{_PERCENTILE}(?= {_READ}latency\b)|(?<=\blatency )p{_PERCENTILE}(?= )"
    rf"|\b{_PERCENTILE}(?:st|nd|rd|th) percentile(?= {_READ}latency\b)"
)
_PARTS = r"\s*[,;](?![0-9])\s*(?:and\s+)?|\s+and\s+"
_AT = rf"p{_PERCENTILE}|{_PERCENTILE}(?:st|nd|rd|th) percentile|(median)"
_ONE = rf"(?:{_READ}latency )?{_READ}(?:{_AT})(?: {_READ}latency)?:? ?[≤<] ?({NUMBER} ?(?:{UNIT}))"
_ERRORS = rf"(?:errors?|{_READ}error rate):? ?([≤<] ?{NUMBER} ?(?:%|per ?cent))"
_SLASHED = rf"((?:p{_PERCENTILE}/)+p{_PERCENTILE}):? ?[≤<] ?((?:[0-9.]+ ?/ ?)+[0-9.]+) ?({UNIT})"


def drift_threshold(text: str) -> DriftThreshold:
    """A metric and the value from which it counts as drift; several by `or`, each on its own."""
    thresholds = [_threshold(part) for part in re.split(_OR, tidy(text)) if part]
    metrics = [threshold.metric.casefold() for threshold in thresholds]
    if len({*metrics}) < len(metrics) or not metrics:
        raise Unreadable(f"expected one threshold for each metric: keep one; got {quote(text)}")
    first, *others = sorted(thresholds, key=lambda t: (t.metric.casefold() != "psi", t.metric))
    return DriftThreshold(**dict(first), also=tuple(others))


def _threshold(text: str) -> Threshold:
    with Sentence(text, "a threshold such as 'PSI ≥ 0.1'") as words:
        metric = words.take(r"^([a-z][a-z -]*?)(?: (?:of|is|above|over))*\s*(?=[≥≤<>=0-9])")[1]
        if not re.fullmatch(MEASURE, metric, FLAGS):
            raise words.unreadable(f" (no measure of drift is called {quote(metric)})")
        words.one_decimal_mark()
        minimum = words.number("[≥>]?")
        if minimum <= 0:
            raise words.unreadable(", above zero")
        return Threshold(metric=metric, minimum=minimum)


def performance(text: str) -> Performance:
    """Latency at a percentile, or at several, and error rate."""
    if several := _latencies(text):
        return several
    expected = "limits such as 'p95 latency ≤ 50ms, error rate ≤ 0.1%'"
    with Sentence(text, expected, SERVING) as words:
        found = words.take(_LATENCY_PERCENTILE)
        percentile = number_in(found[1] or found[2] or found[3])
        return Performance(
            latency_percentile=percentile,
            maximum_latency=words.duration(UNDER, about=r"\blatency\b"),
            maximum_error_rate=words.percent(UNDER, about=r"\berror rate\b"),
        )


def _latencies(text: str) -> Performance | None:
    """The limits where there are several latencies, and nothing else beside the error rate."""
    line = re.sub(_SLASHED, _unslashed, tidy(text), flags=FLAGS)
    parts = [part for part in re.split(_PARTS, line) if part]
    latencies = [found for part in parts if (found := re.fullmatch(_ONE, part, FLAGS))]
    errors = [found for part in parts if (found := re.fullmatch(_ERRORS, part, FLAGS))]
    if len(latencies) < 2 or len(errors) != 1 or len(latencies) + 1 != len(parts):
        return None
    read = sorted(map(_latency, latencies), key=lambda latency: latency.percentile)
    if len({latency.percentile for latency in read}) < len(read):
        raise Unreadable(f"two latencies at one percentile: keep one; got {quote(text)}")
    *others, highest = read
    with Sentence(errors[0][1], "an error rate such as '≤ 0.1%'") as words:
        rate = words.percent(UNDER)
    return Performance(
        latency_percentile=highest.percentile,
        maximum_latency=highest.maximum,
        maximum_error_rate=rate,
        also=tuple(others),
    )


def _latency(found: re.Match[str]) -> Latency:
    rank = "50" if found[3] else found[1] or found[2]
    return Latency(percentile=number_in(rank), maximum=duration(found[4]))


def _unslashed(found: re.Match[str]) -> str:
    """`p50/p95 ≤ 5/20 ms` as `p50 ≤ 5 ms, p95 ≤ 20 ms`."""
    ranks, limits = found[1].split("/"), [limit.strip() for limit in found[4].split("/")]
    if len(ranks) != len(limits):
        return found[0]
    return ", ".join(f"{r} ≤ {n} {found[5]}" for r, n in zip(ranks, limits, strict=True))
