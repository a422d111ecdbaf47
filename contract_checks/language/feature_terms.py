"""What one feature promises of its own (§5.2), beside the document's general values."""

from typing import Literal

from contract_checks.language.terms import DriftThreshold, Duration, Said, Terms

PER_FEATURE = "per feature"
"""Stands for a value of the whole document where each feature has its own."""
PerFeature = Literal["per feature"]


class Default(Terms):
    """What stands in for a value that is not there: a number, a text, or null."""

    value: float | str | None


class FeatureTerms(Terms):
    """What one feature promises of its own; None leaves the document's general value."""

    data_type: Said | None = None
    unit: Said | None = None
    nullable: bool | None = None
    default: Default | None = None
    maximum_null_rate: float | None = None
    window: Duration | None = None
    warn: DriftThreshold | None = None
    fail: DriftThreshold | None = None
