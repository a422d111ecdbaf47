"""Training sets: the features as they were known at each prediction time, identifiers hashed."""

from dataclasses import dataclass

import pandas as pd
import pyarrow as pa
from feast import FeatureStore

from feature_access.hashing import hashed


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
        ValueError: the entity frame lacks a join key or a time.
    """
    feature_service = store.get_feature_service(service)
    job = store.get_historical_features(entity_df=entity_df, features=feature_service)
    rows = job.to_arrow()
    views = [store.get_feature_view(p.name) for p in feature_service.feature_view_projections]
    for join_key in sorted({key.name for view in views for key in view.entity_columns}):
        column = rows.schema.get_field_index(join_key)
        rows = rows.set_column(column, join_key, hashed(rows[join_key], hash_key))
    return TrainingSet(rows, dict(job.matched))
