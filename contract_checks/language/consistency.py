"""Clauses that contradict each other: each readable on its own, impossible to keep together.

A rule reads a draft of the contract. In a document with unreadable clauses the draft has gaps, and
a rule that runs into one says nothing: the gap has its own problem already.
"""

from collections.abc import Callable, Iterator

from contract_checks.language.contract import Contract
from contract_checks.language.feature_consistency import FEATURE_RULES
from contract_checks.language.problems import Conflict
from contract_checks.language.sentence import spell
from contract_checks.language.terms import Column


def conflicts(draft: Contract) -> Iterator[Conflict]:
    """Every contradiction between the clauses the draft has."""
    for rule in RULES:
        try:
            yield from rule(draft)
        except AttributeError:  # a gap in the draft
            continue


def windows_agree(draft: Contract) -> Iterator[Conflict]:
    """The aggregation looks back as far as §3 says."""
    lookback, window = draft.time.lookback, draft.definition.window
    if window != lookback:
        message = f"window of {spell(window)}, but §3 lookback window is {spell(lookback)}"
        yield Conflict("§5.1 aggregation", message)


def filter_window_agrees(draft: Contract) -> Iterator[Conflict]:
    """The filter looks back as far as §3 says."""
    lookback, activity = draft.time.lookback, draft.definition.filters
    if activity and activity.window != lookback:
        message = f"window of {spell(activity.window)}, but §3 lookback window is {spell(lookback)}"
        yield Conflict("§5.1 filters", message)


def match_rates_agree(draft: Contract) -> Iterator[Conflict]:
    """§2 and §6 promise the same match rate."""
    expected = draft.entity.expected_match_rate
    checked = draft.quality.cardinality.minimum_match_rate
    if expected != checked:
        promises = f"match rate ≥ {100 * checked:.10g}%, but §2 promises ≥ {100 * expected:.10g}%"
        yield Conflict("§6 cardinality checks", promises)


def fanout_follows_event_time(draft: Contract) -> Iterator[Conflict]:
    """Which record is kept is decided by the event timestamp."""
    by, timestamp = draft.entity.fanout.by, draft.time.event_timestamp
    if by != timestamp:
        yield Conflict("§2 fanout", f"by {by}, but §3 event timestamp field is {timestamp}")


def fanout_key_is_join_key(draft: Contract) -> Iterator[Conflict]:
    """A fan-out policy that names its key names the join keys."""
    if draft.entity.fanout.key:
        yield from _same_key(draft, "§2 fanout", draft.entity.fanout.key)


def dedup_key_is_join_key(draft: Contract) -> Iterator[Conflict]:
    """Events are deduplicated per entity."""
    if draft.definition.dedup:
        yield from _same_key(draft, "§5.1 dedup rules", draft.definition.dedup.key)


def records_unique_per_join_key(draft: Contract) -> Iterator[Conflict]:
    """Uniqueness is promised for the join keys."""
    yield from _same_key(draft, "§6 uniqueness", draft.quality.unique_per)


def rules_are_about_features(draft: Contract) -> Iterator[Conflict]:
    """A consistency rule mentions at least one feature with a range."""
    for rule in draft.quality.consistency:
        if not {rule.left, rule.right} & draft.definition.allowed.keys():
            names = f"{rule.left} nor {rule.right}"
            yield Conflict("§6 consistency", f"neither {names} has a §5.2 allowed range")


def thresholds_rise(draft: Contract) -> Iterator[Conflict]:
    """A warning comes before a failure."""
    warn, fail = draft.drift.warn, draft.drift.fail
    blocks = {threshold.metric.casefold(): threshold.minimum for threshold in fail.each}
    for threshold in warn.each:
        block = blocks.get(threshold.metric.casefold())
        if block is not None and threshold.minimum >= block:
            at = f"at {threshold.minimum:.15g}, not below §7 fail at {block:.15g}"
            yield Conflict("§7 warn", f"{at}: it would never warn")


def thresholds_use_listed_metrics(draft: Contract) -> Iterator[Conflict]:
    """Thresholds are set on the drift metrics."""
    metrics = {metric.casefold() for metric in draft.drift.metrics}
    both = (("§7 warn", draft.drift.warn), ("§7 fail", draft.drift.fail))
    for clause, threshold in ((clause, each) for clause, told in both for each in told.each):
        if threshold.metric.casefold() not in metrics:
            listed = ", ".join(draft.drift.metrics)
            yield Conflict(clause, f"on {threshold.metric}, but §7 drift metrics are {listed}")


def masked_columns_are_personal(draft: Contract) -> Iterator[Conflict]:
    """Only columns declared personal are masked."""
    personal = dict.fromkeys(draft.privacy.personal_data.columns)
    declared = ", ".join(personal) or "no columns"
    for column in draft.privacy.masking.columns if draft.privacy.masking else ():
        if column not in personal:
            yield Conflict("§9 masking", f"masks {column}, but §9 pii names {declared}")


def version_is_in_changelog(draft: Contract) -> Iterator[Conflict]:
    """The version at hand has a changelog entry."""
    version = draft.overview.version
    if version not in draft.versioning.changelog:
        message = f"no entry for the §1 version: add '{version} — YYYY-MM-DD: what changed'"
        yield Conflict("§10 changelog", message)


def successor_is_newer(draft: Contract) -> Iterator[Conflict]:
    """A version is deprecated by a later one."""
    plan = draft.versioning.deprecation
    if int(plan.successor[1:]) <= int(plan.version[1:]):
        message = f"{plan.successor} does not come after {plan.version}"
        yield Conflict("§10 deprecation plan", message)


RULES: tuple[Callable[[Contract], Iterator[Conflict]], ...] = (
    *FEATURE_RULES,
    windows_agree,
    filter_window_agrees,
    match_rates_agree,
    fanout_follows_event_time,
    fanout_key_is_join_key,
    dedup_key_is_join_key,
    records_unique_per_join_key,
    rules_are_about_features,
    thresholds_rise,
    thresholds_use_listed_metrics,
    masked_columns_are_personal,
    version_is_in_changelog,
    successor_is_newer,
)


def _same_key(draft: Contract, clause: str, key: tuple[Column, ...]) -> Iterator[Conflict]:
    if set(key) != set(draft.entity.join_keys):
        joined = ", ".join(draft.entity.join_keys)
        yield Conflict(clause, f"per {', '.join(key)}, but §2 join keys are {joined}")
