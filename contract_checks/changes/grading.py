"""The grading table: for every term of a Contract, what a change of it means to its readers.

Read a line as "term: rule, why". A term is a path into Contract; `*` stands for the keys of a
list, such as the features of §5.2. A list is graded member by member.
"""

from contract_checks.changes.grades import (
    Rule,
    addition_breaks,
    any_change_breaks,
    any_change_is_compatible,
    any_change_is_editorial,
    breaks_either_way,
    breaks_on_becoming,
    looser_when_higher,
    looser_when_lower,
    removal_breaks,
    where_both_are_told,
)

SENSITIVITY = ("public", "internal", "confidential", "restricted")
REVIEWS = ("weekly", "monthly", "quarterly", "half-yearly", "yearly")


def version_number(version: str) -> int:
    """The number of a version: 2 for v2."""
    return int(version[1:])


_ANSWERS = any_change_is_compatible("others answer for the feature; what they promise stays")
_SIGNED = any_change_is_compatible("a record of who approved, and when; what they approved stays")
_KEPT = any_change_breaks("another of several records or events is kept, so values differ")
_COUNTED = any_change_breaks("other customers or events are counted, so values differ")
_ADDRESS = any_change_breaks("readers find nothing, or something else, where they look now")
_PERSONAL = any_change_breaks("readers' duties, or people's protection, are not what was agreed")
_MASKED = any_change_breaks("people are less protected, or masked values no longer join as before")
_SCALE = any_change_breaks("on another metric the threshold stops other promotions")
_OTHER_TIME = any_change_breaks("values are renewed at another time than readers wait for")
_BLIND = looser_when_higher("drift that was noticed so far goes unnoticed")
_ONE_LESS = removal_breaks("a metric has no threshold any more", "one more metric has one")
_PROMOTED = looser_when_higher("values that drifted so far are promoted")
_NULLS = looser_when_higher("readers meet nulls they never had to handle")
_OF_ONE = any_change_breaks("what one feature promises of its own is not what it was")

GRADING: dict[str, Rule] = {
    # §1 Overview
    "overview.feature_name": _ADDRESS,
    "overview.version": looser_when_lower(
        "a version is never taken back, for readers hold on to what it served",
        "a new version stands beside the old one",
        rank=version_number,
    ),
    "overview.status": breaks_on_becoming(
        "retired",
        "draft",
        why="the feature can no longer be relied on",
        otherwise="a step of the feature's life that keeps its promises",
    ),
    "overview.owner": _ANSWERS,
    "overview.steward": _ANSWERS,
    "overview.use_cases": removal_breaks(
        "the feature is no longer meant for a model that uses it", "the feature is meant for more"
    ),
    # §2 Entity & Join Contract
    "entity.primary_entity": any_change_breaks("a row describes something else"),
    "entity.join_keys": any_change_breaks("joins written for the old key find no rows, or others"),
    "entity.key_uniqueness": any_change_breaks("a join returns another number of rows"),
    "entity.join_type": any_change_breaks("a join keeps other rows"),
    "entity.join_failure_policy": any_change_breaks("an entity without a row gets another answer"),
    "entity.expected_match_rate": looser_when_lower("more entities may be without a value"),
    "entity.fanout.keep": _KEPT,
    "entity.fanout.by": _KEPT,
    "entity.fanout.key": any_change_is_editorial("the key is §2 join keys, named here or not"),
    # §3 Time Semantics
    "time.event_timestamp": any_change_breaks("point-in-time joins use a column that is not there"),
    "time.timezone": any_change_breaks("the same timestamp means another moment"),
    "time.point_in_time_required": looser_when_lower("training sets may see the future"),
    "time.lookback": any_change_breaks("values are summed over another stretch of time"),
    "time.allowed_lateness": breaks_either_way(
        higher="events that were too late now count, so values differ",
        lower="events that counted are now too late, so values differ",
    ),
    # §4 Source & Lineage
    "source.systems": any_change_breaks("values come from other events"),
    "source.owner": _ANSWERS,
    "source.refresh_cadence.every": looser_when_higher("values are renewed less often"),
    "source.refresh_cadence.at": _OTHER_TIME,
    "source.refresh_cadence.zone": _OTHER_TIME,
    "source.refresh_cadence.weekday": _OTHER_TIME,
    "source.upstream": any_change_is_compatible(
        "another way into the same source, whose promises stay"
    ),
    "source.lineage_link": any_change_is_compatible("where to read about it; what it says stays"),
    # §5 Feature Definition
    "definition.window": any_change_breaks("values are summed over another stretch of time"),
    "definition.filters": _COUNTED,
    "definition.filters.minimum_events": _COUNTED,
    "definition.filters.window": _COUNTED,
    "definition.dedup": _KEPT,
    "definition.dedup.keep": _KEPT,
    "definition.dedup.key": _KEPT,
    "definition.dedup.period": _KEPT,
    "definition.data_type.name": any_change_breaks("readers cannot store the value as they do"),
    "definition.data_type.fields": removal_breaks(
        "a field that readers select is no longer promised", "one more field is promised"
    ),
    "definition.units": any_change_breaks("the same number means another quantity"),
    "definition.nullable": where_both_are_told(_NULLS),
    "definition.default": any_change_breaks("an entity without data gets another value"),
    "definition.allowed.*": removal_breaks(
        "the feature, or the kind of value it takes, is no longer promised",
        "one more feature is promised; the others stay",
    ),
    "definition.allowed.*.minimum": looser_when_lower("values occur that readers never met"),
    "definition.allowed.*.maximum": looser_when_higher("values occur that readers never met"),
    "definition.allowed.*.minimum_excluded": looser_when_lower("the bound itself occurs"),
    "definition.allowed.*.maximum_excluded": looser_when_lower("the bound itself occurs"),
    "definition.allowed.*.unit": any_change_breaks("the same number means another quantity"),
    "definition.allowed.*.values": addition_breaks("a value occurs that readers never met"),
    "definition.features.*": _OF_ONE,
    "definition.features.*.data_type": _OF_ONE,
    "definition.features.*.unit": any_change_breaks("the same number means another quantity"),
    "definition.features.*.nullable": where_both_are_told(_NULLS),
    "definition.features.*.default": _OF_ONE,
    "definition.features.*.default.value": _OF_ONE,
    "definition.features.*.maximum_null_rate": where_both_are_told(
        looser_when_higher("more values may be missing")
    ),
    "definition.features.*.window": _OF_ONE,
    "definition.features.*.warn": _OF_ONE,
    "definition.features.*.warn.metric": _SCALE,
    "definition.features.*.warn.minimum": _BLIND,
    "definition.features.*.warn.also": _ONE_LESS,
    "definition.features.*.fail": _OF_ONE,
    "definition.features.*.fail.metric": _SCALE,
    "definition.features.*.fail.minimum": _PROMOTED,
    "definition.features.*.fail.also": _ONE_LESS,
    # §6 Data Quality Contract
    "quality.maximum_null_rate": looser_when_higher("more values may be missing"),
    "quality.minimum_value": looser_when_lower("values occur that readers took for invalid"),
    "quality.unique_per": any_change_breaks("what was one record may be several"),
    "quality.consistency": removal_breaks(
        "a relation between features no longer holds", "one more relation holds"
    ),
    "quality.outliers.percentile": any_change_breaks("other values are treated as outliers"),
    "quality.outliers.action": any_change_breaks("outliers reach readers in another form"),
    "quality.freshness": looser_when_higher("values may be staler"),
    "quality.cardinality.minimum_match_rate": looser_when_lower(
        "more entities may be without a value"
    ),
    "quality.cardinality.maximum_fanout_ratio": looser_when_higher(
        "a join may repeat more of its rows"
    ),
    # §7 Drift & Monitoring
    "drift.baseline_window": any_change_breaks(
        "drift is measured from another past, so the thresholds mean something else"
    ),
    "drift.metrics": removal_breaks("a kind of drift is no longer watched", "more is watched"),
    "drift.warn.metric": _SCALE,
    "drift.warn.minimum": _BLIND,
    "drift.warn.also": _ONE_LESS,
    "drift.fail.metric": _SCALE,
    "drift.fail.minimum": _PROMOTED,
    "drift.fail.also": _ONE_LESS,
    "drift.alert_channel": any_change_is_compatible("alerts go elsewhere, for the same reasons"),
    # §8 Training–Serving Parity
    "parity.offline_path": _ADDRESS,
    "parity.online_path": _ADDRESS,
    "parity.required": looser_when_lower("training and serving may disagree"),
    "parity.shadow_compare": looser_when_lower("nobody sees training and serving disagree"),
    "parity.maximum_delta": looser_when_higher("training and serving may disagree by more"),
    # §9 Access, Privacy & Compliance
    "privacy.classification": looser_when_lower(
        "data may reach people it was kept from",
        "stricter, and nobody loses protection; review who has access",
        rank=SENSITIVITY.index,
    ),
    "privacy.personal_data.present": _PERSONAL,
    "privacy.personal_data.columns": _PERSONAL,
    "privacy.masking": _MASKED,
    "privacy.masking.columns": _MASKED,
    "privacy.masking.method": _MASKED,
    "privacy.masking.scope": _MASKED,
    "privacy.retention": breaks_either_way(
        higher="data about people is kept longer than they were promised",
        lower="training sets can no longer reach back as far",
    ),
    "privacy.consumers": removal_breaks(
        "a team that reads the feature may not any more",
        "one more team may read it, once §12 is signed again; the others lose nothing",
    ),
    "privacy.access_review": looser_when_higher(
        "access that should have ended is noticed later", rank=REVIEWS.index
    ),
    # §10 Versioning & Change Control
    "versioning.served_immutable": looser_when_lower("what was served may change afterwards"),
    "versioning.breaking_versioned": looser_when_lower("readers may be broken without notice"),
    "versioning.deprecation.version": any_change_breaks(
        "readers of the old version lose the support this document promised them"
    ),
    "versioning.deprecation.support": looser_when_lower("readers have less time to move"),
    "versioning.deprecation.successor": looser_when_lower(
        "support ends with an earlier release",
        "support lasts until a later release",
        rank=version_number,
    ),
    "versioning.changelog.*": removal_breaks(
        "history is rewritten, and readers date what they trained on by it", "one more entry"
    ),
    # §11 Test Plan
    "test_plan.backfill_window": looser_when_lower("less history is tested before a promotion"),
    "test_plan.canary": looser_when_lower("faults meet every reader at once"),
    "test_plan.shadow_reads": looser_when_lower("faults in serving are met by readers first"),
    "test_plan.performance.latency_percentile": looser_when_lower("more answers may be slow"),
    "test_plan.performance.maximum_latency": looser_when_higher("answers may be slower"),
    "test_plan.performance.also": removal_breaks(
        "a latency that was promised is no longer, or another", "one more latency is promised"
    ),
    "test_plan.performance.maximum_error_rate": looser_when_higher("more requests may fail"),
    # §12 Sign-Off
    "sign_off.data_owner.name": _SIGNED,
    "sign_off.data_owner.date": _SIGNED,
    "sign_off.ml_owner.name": _SIGNED,
    "sign_off.ml_owner.date": _SIGNED,
    "sign_off.platform.name": _SIGNED,
    "sign_off.platform.date": _SIGNED,
}

NAMES = frozenset(
    {
        "overview.owner",
        "overview.steward",
        "overview.use_cases",
        "source.owner",
        "definition.units",
        "definition.features.*.unit",
        "definition.features.*.warn.metric",
        "definition.features.*.fail.metric",
        "drift.metrics",
        "drift.warn.metric",
        "drift.fail.metric",
        "drift.alert_channel",
        "privacy.consumers",
        "privacy.masking.scope",
        "sign_off.data_owner.name",
        "sign_off.ml_owner.name",
        "sign_off.platform.name",
    }
)
"""Terms named for people, who read `PSI` and `psi` alike; columns and tables are not."""
