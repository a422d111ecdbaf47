"""The sentences in which the reading of a contract is shown, one for every term.

A place in braces takes the value, or the part of that name.
"""

from contract_checks.language.feature_terms import Default
from contract_checks.language.terms import (
    ActivityFilter,
    AllowedValues,
    Approval,
    Cadence,
    Cardinality,
    ConsistencyRule,
    DataType,
    Dedup,
    Deprecation,
    DriftThreshold,
    FanOut,
    Latency,
    Masking,
    Outliers,
    Performance,
    PersonalData,
    Terms,
    Threshold,
)

SAYS = {
    "overview.feature_name": "the feature is called {}",
    "overview.version": "the document is about version {}",
    "overview.status": "the version is {}",
    "overview.owner": "{} answers for the feature",
    "overview.steward": "{} stands in for the owner",
    "overview.use_cases": "made for {}",
    "entity.primary_entity": "the features describe each {}",
    "entity.join_keys": "a model joins by {}",
    "entity.key_uniqueness": "entity rows meet feature rows {}",
    "entity.join_type": "the join is {}",
    "entity.join_failure_policy": "an entity row without features gets: {}",
    "entity.expected_match_rate": "at least {} of the active entities find a feature row",
    "entity.fanout": "where a key has several records, {}",
    "time.event_timestamp": "{} stamps a feature row",
    "time.timezone": "days are counted in the zone {}",
    "time.lookback": "the features look back {}",
    "time.allowed_lateness": "an event counts that arrives at most {} after it happened",
    "source.systems": "computed from {}",
    "source.owner": "{} answers for the source",
    "source.refresh_cadence": "refreshed at least once {}",
    "source.upstream": "to run before: {}",
    "source.lineage_link": "the lineage is shown at {}",
    "definition.window": "computed over a rolling window of {}",
    "definition.filters": "only entities with {}",
    "definition.dedup": "of several events, {}",
    "definition.data_type": "of the type {}",
    "definition.units": "in the unit {}",
    "definition.default": "where a value is not there, it is {}",
    "definition.allowed": "each feature lies within its range: {}",
    "definition.features": "of its own, {}",
    "quality.maximum_null_rate": "null rate of each feature at most {}, over all rows",
    "quality.minimum_value": "every number is at least {}",
    "quality.unique_per": "one record for each {}",
    "quality.consistency": "in every row, {}",
    "quality.outliers": "of the rows of a look-back window, {}",
    "quality.freshness": "a feature is at most {} old",
    "quality.cardinality": "of the join, {}",
    "drift.baseline_window": "drift is measured against the last {}",
    "drift.metrics": "drift is measured by {}",
    "drift.warn": "a warning from {}",
    "drift.fail": "no promotion from {}",
    "drift.alert_channel": "alerts go to {}",
    "parity.offline_path": "the offline table is {}",
    "parity.online_path": "served online by {}",
    "parity.maximum_delta": "offline and online values differ by at most {}",
    "privacy.classification": "the data is {}",
    "privacy.personal_data": "personal data: {}",
    "privacy.masking": "made unreadable: {}",
    "privacy.retention": "data is kept at most {}",
    "privacy.consumers": "may be used by {}, and by nobody else",
    "privacy.access_review": "access is reviewed {}",
    "versioning.deprecation": "after a new version, {}",
    "versioning.changelog": "released: {}",
    "test_plan.backfill_window": "before a promotion, {} of history are computed anew and compared",
    "test_plan.performance": "of online reads, {}",
    "sign_off.data_owner": "the data owner's approval, {}",
    "sign_off.ml_owner": "the model owner's approval, {}",
    "sign_off.platform": "the platform's approval, {}",
}
"""The sentence of a term, with a place for its value."""

YES_NO = {
    "time.point_in_time_required": (
        "a value uses only what was known at the prediction time",
        "a value may use what was not yet known at the prediction time",
    ),
    "definition.nullable": ("a served value may be null", "a served value is never null"),
    "parity.required": ("offline and online agree", "offline and online need not agree"),
    "parity.shadow_compare": (
        "offline and online are compared while serving",
        "offline and online are not compared while serving",
    ),
    "versioning.served_immutable": (
        "a served version never changes",
        "a served version may change",
    ),
    "versioning.breaking_versioned": (
        "a breaking change needs a new version",
        "a breaking change needs no new version",
    ),
    "test_plan.canary": (
        "a trial materialization comes before a promotion",
        "no trial materialization comes before a promotion",
    ),
    "test_plan.shadow_reads": (
        "reads are tried beside production's before a promotion",
        "no reads are tried beside production's before a promotion",
    ),
}
NOTHING = {
    "source.upstream": "no job has to run before",
    "definition.filters": "every entity has features: there is no filter",
    "definition.dedup": "every event counts: none is taken for a duplicate",
    "definition.default": "where a value is not there, it is null",
    "definition.features": "no feature has terms of its own",
    "quality.consistency": "no relation between features is promised",
    "privacy.masking": "nothing is made unreadable",
}
KINDS: dict[type[Terms], str] = {
    Cadence: "{every}",
    FanOut: "the {keep} by {by} counts",
    ActivityFilter: "at least {minimum_events} events in the last {window}",
    Dedup: "the {keep} of each {key} in each calendar {period} counts",
    DataType: "{name}",
    AllowedValues: "one of {values}",
    ConsistencyRule: "{left} {operator} {right}",
    Outliers: "{action} values above percentile {percentile}",
    Cardinality: (
        "at least {minimum_match_rate} of the rows find a match, and a match has at most"
        " {maximum_fanout_ratio} records"
    ),
    Threshold: "{metric} {minimum} on",
    DriftThreshold: "{metric} {minimum} on",
    Latency: "percentile {percentile} at most {maximum}",
    Default: "{value}",
    PersonalData: "{present}",
    Masking: "{columns}, which is {method}",
    Deprecation: "{version} is supported for at least {support} once {successor} is released",
    Performance: (
        "percentile {latency_percentile} takes at most {maximum_latency}, and at most"
        " {maximum_error_rate} fail"
    ),
    Approval: "by {name} on {date}",
}
