"""Contradictions about single features: their ranges, defaults, types, windows and thresholds."""

import re
from collections.abc import Callable, Iterator

from contract_checks.language.contract import Contract
from contract_checks.language.problems import Conflict
from contract_checks.language.sentence import Unreadable, spell
from contract_checks.language.terms import AllowedValues, Column, Range
from contract_checks.language.values import duration


def ranges_in_order(draft: Contract) -> Iterator[Conflict]:
    """A minimum is not above its maximum."""
    for feature, allowed in _ranges(draft):
        if allowed.is_empty:
            message = f"minimum {allowed.minimum:.15g} is above maximum {allowed.maximum:.15g}"
            yield _of_range(feature, message)


def default_in_range(draft: Contract) -> Iterator[Conflict]:
    """The default is a value the feature may take."""
    for feature, allowed in draft.definition.allowed.items():
        default = draft.default_of(feature)
        own = draft.own(feature).default is not None
        if isinstance(allowed, AllowedValues):
            if own and default is not None and default not in allowed.values:
                yield _of_range(feature, f"default {default} is none of its values")
        elif isinstance(default, str):
            yield _of_range(feature, f"default {default} is no number of its range")
        elif default is not None and not (allowed.is_empty or allowed.admits(default)):
            yield _of_range(feature, f"§5.2 default value {default:.15g} is outside the range")


def validity_leaves_room(draft: Contract) -> Iterator[Conflict]:
    """The least valid value is within reach of every range."""
    least = draft.quality.minimum_value
    for feature, allowed in _ranges(draft):
        if allowed.maximum is not None and least > allowed.maximum:
            message = f"maximum {allowed.maximum:.15g} is below §6 validity ≥ {least:.15g}"
            yield _of_range(feature, message)


def null_default_is_nullable(draft: Contract) -> Iterator[Conflict]:
    """A feature that is never null has no null default."""
    for feature, own in draft.definition.features.items():
        if own.default is None and own.nullable is None:
            continue
        if draft.default_of(feature) is None and not draft.is_nullable(feature):
            yield _of_range(feature, "its default is null, but it is not nullable")
    if draft.definition.default is None and draft.definition.nullable is False:
        yield Conflict("§5.2 default value", "null, but §5.2 nullable says no")


def own_types_fit_values(draft: Contract) -> Iterator[Conflict]:
    """A feature's type holds the values it may take."""
    for feature, own in draft.definition.features.items():
        allowed, is_text = draft.definition.allowed.get(feature), own.data_type == "string"
        if own.data_type and allowed and is_text != isinstance(allowed, AllowedValues):
            said = "a range of numbers" if is_text else "listed values"
            if own.data_type != "bool":
                yield _of_range(feature, f"its type is {own.data_type}, but it has {said}")


def own_windows_fit_lookback(draft: Contract) -> Iterator[Conflict]:
    """A feature's window is not longer than §3 allows."""
    lookback = draft.time.lookback
    for feature, own in draft.definition.features.items():
        if own.window and own.window > lookback:
            message = f"window of {spell(own.window)}, but §3 lookback window is {spell(lookback)}"
            yield _of_range(feature, message)


def own_thresholds_rise(draft: Contract) -> Iterator[Conflict]:
    """A feature's warning comes before its failure, both by a metric that is listed."""
    for feature, own in draft.definition.features.items():
        warn, fail = draft.warn_of(feature), draft.fail_of(feature)
        same = warn.metric.casefold() == fail.metric.casefold()
        if (own.warn or own.fail) and same and warn.minimum >= fail.minimum:
            at = f"warns at {warn.minimum:.15g}, not below its block at {fail.minimum:.15g}"
            yield _of_range(feature, at)
        metrics = {metric.casefold() for metric in draft.drift.metrics}
        for threshold in filter(None, (own.warn, own.fail)):
            if threshold.metric.casefold() not in metrics:
                listed = ", ".join(draft.drift.metrics)
                yield _of_range(
                    feature, f"on {threshold.metric}, but §7 drift metrics are {listed}"
                )


def feature_names_fit_lookback(draft: Contract) -> Iterator[Conflict]:
    """A feature named for a window (`orders_90d`) does not need more history than §3 allows."""
    for feature in draft.definition.allowed:
        suffix = re.search(r"_([0-9]+(?:d|h|w|min))$", feature)
        try:
            if suffix and duration(suffix[1]) > draft.time.lookback:
                message = (
                    f"needs {suffix[1]}, but §3 lookback window is {spell(draft.time.lookback)}"
                )
                yield _of_range(feature, message)
        except Unreadable as reason:
            yield _of_range(feature, f"its suffix is no window: {reason}")


def listed_fields_cover_ranges(draft: Contract) -> Iterator[Conflict]:
    """Where the data type lists its fields, only those have ranges."""
    fields = dict.fromkeys(draft.definition.data_type.fields)
    listed = ", ".join(fields)
    for feature in draft.definition.allowed:
        if fields and feature not in fields:
            yield _of_range(feature, f"not a field of §5.2 data type ({listed})")


FEATURE_RULES: tuple[Callable[[Contract], Iterator[Conflict]], ...] = (
    ranges_in_order,
    default_in_range,
    validity_leaves_room,
    null_default_is_nullable,
    own_types_fit_values,
    own_windows_fit_lookback,
    own_thresholds_rise,
    feature_names_fit_lookback,
    listed_fields_cover_ranges,
)


def _ranges(draft: Contract) -> list[tuple[Column, Range]]:
    allowed = draft.definition.allowed.items()
    return [(feature, values) for feature, values in allowed if isinstance(values, Range)]


def _of_range(feature: Column, message: str) -> Conflict:
    return Conflict("§5.2 allowed range", f"{feature}: {message}", feature)
