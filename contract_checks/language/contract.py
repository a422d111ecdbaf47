"""The typed contract: what a signed document promises, section by section.

The document stays the only place where a number is written; these types say what each one means
(units: see `terms`).
"""

import re
from datetime import date
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from contract_checks.language.feature_terms import PER_FEATURE, FeatureTerms, PerFeature
from contract_checks.language.terms import (
    ActivityFilter,
    AllowedValues,
    Approval,
    Cadence,
    Cardinality,
    Column,
    ConsistencyRule,
    DataType,
    Dedup,
    Deprecation,
    DriftThreshold,
    Duration,
    FanOut,
    Masking,
    Outliers,
    Performance,
    PersonalData,
    Range,
    Terms,
    Version,
)


class Overview(Terms):
    """§1: which feature this is and who answers for it."""

    feature_name: str
    version: Version
    status: Literal["draft", "active", "deprecated", "retired"]
    owner: str
    steward: str
    use_cases: tuple[str, ...]


class Entity(Terms):
    """§2: how the feature attaches to an entity."""

    primary_entity: Column
    join_keys: tuple[Column, ...]
    key_uniqueness: Literal["1:1", "1:n", "n:1", "n:m"]
    join_type: Literal["left", "inner", "right", "outer"]
    join_failure_policy: Literal["default", "null", "drop", "fail"]
    expected_match_rate: float
    fanout: FanOut


class TimeSemantics(Terms):
    """§3: what a prediction time may see."""

    event_timestamp: Column
    timezone: str
    point_in_time_required: bool
    lookback: Duration
    allowed_lateness: Duration


class Source(Terms):
    """§4: where the feature comes from."""

    systems: tuple[str, ...]
    owner: str
    refresh_cadence: Cadence
    upstream: tuple[str, ...]
    lineage_link: str


class Definition(Terms):
    """§5: how the feature is computed, and the values it may take."""

    window: Duration
    filters: ActivityFilter | None
    dedup: Dedup | None
    data_type: DataType
    units: str
    nullable: bool | PerFeature
    default: float | PerFeature | None
    allowed: dict[Column, Range | AllowedValues]
    features: dict[Column, FeatureTerms] = Field(default_factory=dict)


class Quality(Terms):
    """§6: what holds in every row."""

    maximum_null_rate: float
    minimum_value: float
    unique_per: tuple[Column, ...]
    consistency: tuple[ConsistencyRule, ...]
    outliers: Outliers
    freshness: Duration
    cardinality: Cardinality


class Drift(Terms):
    """§7: how change is noticed, and when it stops a promotion."""

    baseline_window: Duration
    metrics: tuple[str, ...]
    warn: DriftThreshold
    fail: DriftThreshold
    alert_channel: str


class Parity(Terms):
    """§8: offline and online answers agree."""

    offline_path: str
    online_path: str
    required: bool
    shadow_compare: bool
    maximum_delta: float


class Privacy(Terms):
    """§9: who may read the feature, and in what form."""

    classification: Literal["public", "internal", "confidential", "restricted"]
    personal_data: PersonalData
    masking: Masking | None
    retention: Duration
    consumers: tuple[str, ...]
    access_review: Literal["weekly", "monthly", "quarterly", "half-yearly", "yearly"]


class Versioning(Terms):
    """§10: how the feature changes."""

    served_immutable: bool
    breaking_versioned: bool
    deprecation: Deprecation
    changelog: dict[Version, date]


class PrePromotion(Terms):
    """§11: what is run before the feature is promoted."""

    backfill_window: Duration
    canary: bool
    shadow_reads: bool
    performance: Performance


class SignOff(Terms):
    """§12: who approved the contract."""

    data_owner: Approval
    ml_owner: Approval
    platform: Approval


class Contract(Terms):
    """A signed feature contract.

    `prose` holds the clauses that only people read, `lines` the 1-based line of every clause,
    `texts` what is written there;
    both are keyed by clause ID, such as `§6 freshness`.
    """

    overview: Overview
    entity: Entity
    time: TimeSemantics
    source: Source
    definition: Definition
    quality: Quality
    drift: Drift
    parity: Parity
    privacy: Privacy
    versioning: Versioning
    test_plan: PrePromotion
    sign_off: SignOff
    prose: dict[str, str]
    lines: dict[str, int]
    texts: dict[str, str]
    path: Path

    @property
    def view_name(self) -> str:
        """`<feature>_<version>`: a version is a view of its own, so that two can be served."""
        return f"{self.overview.feature_name}_{self.overview.version}"

    def has_version(self, view: str) -> bool:
        """Whether a view, by its name, is one of the feature's versions."""
        feature = re.escape(self.overview.feature_name)
        return re.fullmatch(rf"{feature}_v[0-9]+", view) is not None

    @property
    def features(self) -> tuple[Column, ...]:
        """Every feature the document names: in a range, a row, a relation or the data type."""
        ruled = {name for rule in self.quality.consistency for name in (rule.left, rule.right)}
        defined = self.definition
        listed = {*defined.allowed, *defined.features, *defined.data_type.fields}
        return tuple(sorted(ruled | listed))

    def own(self, feature: Column) -> FeatureTerms:
        """What a feature promises of its own."""
        return self.definition.features.get(feature, FeatureTerms())

    def is_nullable(self, feature: Column) -> bool:
        """Whether a served value of the feature may be null."""
        own = self.own(feature).nullable
        return self.definition.nullable is True if own is None else own

    def default_of(self, feature: Column) -> float | str | None:
        """What stands in for a value of the feature that is not there."""
        own, general = self.own(feature).default, self.definition.default
        return own.value if own else None if general == PER_FEATURE else general

    def null_rate_of(self, feature: Column) -> float:
        """The greatest share of nulls of the feature."""
        own = self.own(feature).maximum_null_rate
        return self.quality.maximum_null_rate if own is None else own

    def warn_of(self, feature: Column) -> DriftThreshold:
        """From where drift of the feature is a warning."""
        return self.own(feature).warn or self.drift.warn

    def fail_of(self, feature: Column) -> DriftThreshold:
        """From where drift of the feature blocks a promotion."""
        return self.own(feature).fail or self.drift.fail

    def terms(self) -> dict[str, Any]:
        """The machine-checked terms alone, ready for JSON: equal terms, equal promises."""
        return self.model_dump(mode="json", exclude={"prose", "lines", "texts", "path"})
