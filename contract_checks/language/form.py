"""The form of a feature contract: every clause, how it is read, and where its value lands.

A clause ID is the section's number and the short label: `§6 freshness`, `§5.2 allowed range`.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

from contract_checks.language import cadences, items, limits, people, privacy, records
from contract_checks.language import phrases as say
from contract_checks.language import values as read
from contract_checks.language.label_spellings import ALSO_SPELLED
from contract_checks.language.plain_words import BACKFILL, DELTA, SPAN
from contract_checks.language.sentence import Unreadable
from contract_checks.language.spellings import spelled
from contract_checks.language.terms import Range
from contract_checks.language.values import (
    at_least,
    at_most,
    choice,
    naming,
    prose,
)

Reader = Callable[[str], object]
Entry = Callable[[str, str], tuple[str, object]]

_LONGEST_LABEL = 200  # matching brackets takes time that grows with the square of the length


@dataclass(frozen=True)
class Clause:
    """One labelled promise.

    `lands` is the field of Contract that takes the value, empty for clauses only people read.
    A clause with an `entry` reader holds a list of items below it; a `stand_in` takes the place of
    an unreadable one, so that the others are still held against the other clauses. A `group` holds
    other clauses, which name it as their `parent`.
    """

    section: str
    label: str
    reader: Reader = prose
    lands: str = ""
    entry: Entry | None = None
    stand_in: object = None
    group: bool = False
    parent: str = ""

    @cached_property
    def id(self) -> str:
        """The clause's name, such as `§6 freshness`."""
        return f"§{self.section} {_short(self.label)}"

    @property
    def is_prose(self) -> bool:
        """Whether only people read it."""
        return not (self.lands or self.group)

    def accepts(self, label: str) -> bool:
        """Whether a document's label means this clause, with or without a hint in brackets.

        A hint says what is asked for, `Owner (squad)`; other words in brackets are a promise.
        """
        return _key(label) in self._keys and _stems(_hint(label)) <= self._hints

    @property
    def spellings(self) -> tuple[str, ...]:
        """Labels that mean this clause."""
        return (self.label.lower(), _short(self.label), *ALSO_SPELLED.get(self.id, ()))

    @cached_property
    def _keys(self) -> frozenset[str]:
        return frozenset(map(_key, self.spellings))

    @cached_property
    def _hints(self) -> set[str]:
        return _stems(" ".join((*self.spellings, _HINTS)))


def _short(label: str) -> str:
    return re.sub(r"\(.*?\)", "", label).split("/")[0].strip().lower()


@lru_cache(maxsize=1)  # a label is held against every clause in turn
def _key(label: str) -> str:
    words = re.sub(r"\(.*?\)|[-–—_]", " ", label[:_LONGEST_LABEL]).lower()
    return " ".join(re.sub(r"/|&|\b(?:and|or)\b", " / ", words).split())


_HINTS = "es team person squad group department name column iana"


def _hint(label: str) -> str:
    """What stands in brackets in a label."""
    return " ".join(re.findall(r"\((.*?)\)", label[:_LONGEST_LABEL]))


def _stems(text: str) -> set[str]:
    """The words of a text, in the singular."""
    return {word.removesuffix("s") for word in re.findall(r"[^\W_]+", text.lower())}


def title_words(title: str) -> set[str]:
    """The words of a section's title that tell it from others."""
    plain = re.sub(r"[()]", " ", title)
    return {*re.findall(r"[^\W_]+", _key(plain))} - {"the"}


def same_title(title: str, form: str) -> bool:
    """Whether a title is that of the form as far as it goes, and says nothing more."""
    words = title_words(title)
    return bool(words) and words <= title_words(form)


TITLES = {
    "1": "Overview",
    "2": "Entity & Join Contract",
    "3": "Time Semantics",
    "4": "Source & Lineage",
    "5": "Feature Definition",
    "5.1": "Human-Readable Logic",
    "5.2": "Schema",
    "6": "Data Quality Contract",
    "7": "Drift & Monitoring",
    "8": "Training–Serving Parity",
    "9": "Access, Privacy & Compliance",
    "10": "Versioning & Change Control",
    "11": "Test Plan (CI / Pre-Promotion)",
    "12": "Sign-Off",
}

_STATUS = choice("draft", "active", "deprecated", "retired")
_NUMBERS = {"one-to-one": "1:1", "one-to-many": "1:n", "many-to-one": "n:1", "many-to-many": "n:m"}
_MEETS = choice("1:1", "1:n", "n:1", "n:m", **_NUMBERS)


def _uniqueness(text: str) -> str:
    try:
        return _MEETS(text)
    except Unreadable as reason:
        raise Unreadable(f"{reason}; write 1:1 where a key has one row") from None


_OUTER = {"left outer": "left", "right outer": "right", "full outer": "outer", "full": "outer"}
_JOIN = choice("left", "inner", "right", "outer", **_OUTER)


def _join_type(text: str) -> str:
    return _JOIN(re.sub(r"(?i)\s+join$", "", text))


_NO_MATCH = choice("default", "null", "drop", "fail", error="fail", reject="fail")
_CLASSIFICATION = choice("public", "internal", "confidential", "restricted")
_THRESHOLDS = "§7 thresholds"

_CLAUSES = (
    Clause("1", "Feature name", read.identifier, "overview.feature_name"),
    Clause("1", "Version", read.version, "overview.version"),
    Clause("1", "Status", _STATUS, "overview.status"),
    Clause("1", "Owner (team/person)", read.answerer, "overview.owner"),
    Clause("1", "Steward / Backup", read.answerer, "overview.steward"),
    Clause("1", "Business purpose"),
    Clause("1", "Model(s) / use cases", people.names, "overview.use_cases"),
    Clause("2", "Primary entity", read.identifier, "entity.primary_entity"),
    Clause("2", "Join keys", read.identifiers, "entity.join_keys"),
    Clause("2", "Key uniqueness expectation", _uniqueness, "entity.key_uniqueness"),
    Clause("2", "Join type", _join_type, "entity.join_type"),
    Clause("2", "Join failure policy", _NO_MATCH, "entity.join_failure_policy"),
    Clause("2", "Expected match rate", at_least(read.percent), "entity.expected_match_rate"),
    Clause("2", "Fanout / duplication policy", records.fanout, "entity.fanout"),
    Clause("3", "Event timestamp field", read.identifier, "time.event_timestamp"),
    Clause("3", "Timestamp timezone", read.timezone, "time.timezone"),
    Clause("3", "Point-in-time correctness", read.requirement, "time.point_in_time_required"),
    Clause("3", "Lookback window", naming(SPAN, read.duration), "time.lookback"),
    Clause("3", "Allowed lateness", say.lateness, "time.allowed_lateness"),
    Clause("3", "Leakage guardrails"),
    Clause("4", "Source system(s)", read.tables, "source.systems"),
    Clause("4", "Source owner", read.answerer, "source.owner"),
    Clause("4", "Refresh cadence", cadences.refresh, "source.refresh_cadence"),
    Clause("4", "Upstream dependencies", read.jobs, "source.upstream"),
    Clause("4", "Lineage link", read.url, "source.lineage_link"),
    Clause("5.1", "Definition"),
    Clause("5.1", "Aggregation", say.rolling_window, "definition.window"),
    Clause("5.1", "Filters", say.activity_filter, "definition.filters"),
    Clause("5.1", "Dedup rules", records.dedup, "definition.dedup"),
    Clause("5.1", "Edge cases"),
    Clause("5.2", "Data type", read.data_type, "definition.data_type"),
    Clause("5.2", "Units", read.name, "definition.units"),
    Clause("5.2", "Nullable", read.nullable, "definition.nullable"),
    Clause("5.2", "Default value", say.default_value, "definition.default"),
    Clause(
        "5.2",
        "Allowed range / values",
        lands="definition.allowed",
        entry=items.feature,
        stand_in=Range(minimum=None, maximum=None),
    ),
    Clause("6", "Completeness", say.null_rate, "quality.maximum_null_rate"),
    Clause("6", "Validity", say.least_value, "quality.minimum_value"),
    Clause("6", "Uniqueness", records.one_record_per, "quality.unique_per"),
    Clause("6", "Consistency", say.consistency, "quality.consistency"),
    Clause("6", "Outliers", say.outliers, "quality.outliers"),
    Clause("6", "Freshness", say.freshness, "quality.freshness"),
    Clause("6", "Cardinality checks", say.cardinality, "quality.cardinality"),
    Clause("7", "Baseline window", naming(SPAN, read.duration), "drift.baseline_window"),
    Clause("7", "Drift metrics", people.measures, "drift.metrics"),
    Clause("7", "Thresholds", group=True),
    Clause("7", "Warn", limits.drift_threshold, "drift.warn", parent=_THRESHOLDS),
    Clause("7", "Fail / block promotion", limits.drift_threshold, "drift.fail", parent=_THRESHOLDS),
    Clause("7", "Semantic drift checks"),
    Clause("7", "Join drift checks"),
    Clause("7", "Alert routing", read.channel, "drift.alert_channel"),
    Clause("8", "Offline computation path", read.table, "parity.offline_path"),
    Clause("8", "Online computation path", read.table, "parity.online_path"),
    Clause("8", "Parity required", read.yes_no, "parity.required"),
    Clause("8", "Shadow compare enabled", read.yes_no, "parity.shadow_compare"),
    Clause("8", "Acceptable delta", at_most(naming(DELTA, read.percent)), "parity.maximum_delta"),
    Clause("9", "Data classification", _CLASSIFICATION, "privacy.classification"),
    Clause("9", "PII / PHI present", read.personal_data, "privacy.personal_data"),
    Clause("9", "Masking / tokenization", privacy.masking, "privacy.masking"),
    Clause("9", "Retention policy", privacy.retention, "privacy.retention"),
    Clause("9", "Approved consumers", people.names, "privacy.consumers"),
    Clause("9", "Audit requirements", privacy.access_review, "privacy.access_review"),
    Clause("10", "Served versions immutable", read.yes_no, "versioning.served_immutable"),
    Clause(
        "10",
        "Breaking changes require new version",
        read.yes_no,
        "versioning.breaking_versioned",
    ),
    Clause("10", "Deprecation plan", say.deprecation, "versioning.deprecation"),
    Clause("10", "Rollback plan"),
    Clause("10", "Changelog", lands="versioning.changelog", entry=items.release),
    Clause("11", "Unit tests"),
    Clause(
        "11", "Backfill validation", naming(BACKFILL, read.duration), "test_plan.backfill_window"
    ),
    Clause("11", "Canary materialization", read.yes_no, "test_plan.canary"),
    Clause("11", "Shadow reads", read.yes_no, "test_plan.shadow_reads"),
    Clause("11", "Performance tests", limits.performance, "test_plan.performance"),
    Clause("12", "Data owner approval", people.approval, "sign_off.data_owner"),
    Clause("12", "ML owner approval", people.approval, "sign_off.ml_owner"),
    Clause("12", "Platform approval", people.approval, "sign_off.platform"),
)
CLAUSES = tuple(replace(clause, reader=spelled(clause.id, clause.reader)) for clause in _CLAUSES)
