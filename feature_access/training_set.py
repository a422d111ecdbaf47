"""Training sets: the features as they were known at each prediction time, identifiers hashed."""

from dataclasses import dataclass

import pandas as pd
import pyarrow as pa
from feast import FeatureStore
from feast.errors import FeatureServiceNotFoundException

from feature_access.hashing import hashed
from feature_access.refusal import RefusedError


@dataclass(frozen=True)
class TrainingSet:
    """A point-in-time table and how much of it the feature store knew."""

    rows: pa.Table
    """One row per entity row, in the caller's order; its columns, then the features."""
    matched: dict[str, int]
    """Rows that found a feature row before defaults, per feature view."""


def build_training_set(
    store: FeatureStore, service: str, entity_df: pd.DataFrame, hash_key: bytes
) -> TrainingSet:
    """Features of `service` for every row of `entity_df` (join keys and `event_timestamp`).

    Join keys come back hashed (contract §9, masking). Features are those a model would have been
    given at the row's time (§3), with defaults where there are none (§2, §5.2).

    Raises:
        RefusedError: there is no such feature service.
        ValueError: the entity frame lacks a join key or a time, or an identifier is a fraction.
    """
    try:
        feature_service = store.get_feature_service(service)
    except FeatureServiceNotFoundException as error:
        known = ", ".join(sorted(s.name for s in store.list_feature_services()))
        raise RefusedError(f"no feature service {service}: name one of {known}") from error
    job = store.get_historical_features(entity_df=entity_df, features=feature_service)
    rows = job.to_arrow()
    views = [store.get_feature_view(p.name) for p in feature_service.feature_view_projections]
    for join_key in sorted({key.name for view in views for key in view.entity_columns}):
        column = rows.schema.get_field_index(join_key)
        rows = rows.set_column(column, join_key, hashed(_whole(rows[join_key]), hash_key))
    return TrainingSet(rows, dict(job.matched))


def _whole(identifiers: pa.ChunkedArray) -> pa.ChunkedArray:
    """Integers again, where a null beside them had made pandas keep them as floats."""
    floating = pa.types.is_floating(identifiers.type)
    return identifiers.cast(pa.int64()) if floating else identifiers
