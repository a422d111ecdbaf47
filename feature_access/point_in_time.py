"""What a point-in-time read is, whichever engine joins: what is asked, of which rows, as which job.

A feature row counts from `entity time - ttl` to `entity time`, both included, as in every Feast
store; of those the newest is the answer, and the declared default where there is none.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from feast import FeatureView, OnDemandFeatureView
from feast.infra.offline_stores.offline_store import RetrievalJob, RetrievalMetadata
from feast.infra.offline_stores.offline_utils import infer_event_timestamp_from_entity_df
from feast.infra.registry.base_registry import BaseRegistry

from feature_access.defaults import default_of

ROW = "__entity_row"
MATCHED = "__matched"


@dataclass(frozen=True)
class Asked:
    """What is asked of one feature view."""

    view: str
    timestamp_field: str
    ttl: timedelta | None
    join_keys: dict[str, str]
    """Entity-frame column to source column."""
    features: dict[str, str]
    """Output column to source column."""
    defaults: tuple[object, ...]

    @classmethod
    def of(cls, view: FeatureView, feature_refs: list[str], full_names: bool) -> "Asked":
        """What these references ask of the view."""
        source, name = view.batch_source, view.projection.name_to_use()
        in_source = {renamed: column for column, renamed in source.field_mapping.items()}
        keys = view.projection.join_key_map or {e.name: e.name for e in view.entity_columns}
        declared = {field.name: field for field in view.features}
        asked = [ref.split(":")[1] for ref in feature_refs if ref.split(":")[0] == name]
        return cls(
            view=view.name,
            timestamp_field=source.timestamp_field,
            ttl=view.ttl or None,
            join_keys={entity: in_source.get(key, key) for key, entity in keys.items()},
            features={f"{name}__{f}" if full_names else f: in_source.get(f, f) for f in asked},
            defaults=tuple(default_of(declared[f]) for f in asked),
        )


@dataclass(frozen=True)
class EntityRows:
    """Whose features are asked for, and as of when, in the caller's order."""

    rows: pa.Table
    """The caller's frame, its times in UTC microseconds."""
    time_column: str

    @classmethod
    def of(cls, entity_df: pd.DataFrame | str, joins: Sequence[Asked]) -> "EntityRows":
        """The frame's rows; naive times are UTC.

        Raises:
            ValueError: the entity frame is not a DataFrame, lacks a join key or a time, or already
                has a column of a requested feature's name.
        """
        if not isinstance(entity_df, pd.DataFrame):
            raise ValueError("the entity frame must be a DataFrame: SQL text has no engine here")
        time_column = infer_event_timestamp_from_entity_df(dict(entity_df.dtypes))
        _refuse_unusable_frame(entity_df, joins)
        return cls(_entity_rows(entity_df, time_column), time_column)

    def asked(self, keys: Sequence[str]) -> pa.Table:
        """Keys, time and the row's number; the caller's other columns stay what they are."""
        columns = self.rows.select([*keys, self.time_column])
        return columns.append_column(ROW, pa.array(np.arange(self.rows.num_rows)))


Found = Iterator[tuple[Asked, pa.Table]]
"""Per view its columns for each entity row, in order, and whether a row was found (MATCHED)."""


class PointInTimeJob(RetrievalJob):  # type: ignore[misc]
    """A retrieval that runs its joins when the result is asked for."""

    def __init__(
        self,
        entity_rows: EntityRows,
        read: Callable[[EntityRows], Found],
        feature_refs: list[str],
        on_demand_feature_views: list[OnDemandFeatureView],
        full_feature_names: bool,
    ) -> None:
        super().__init__()
        self._entity_rows = entity_rows
        self._read = read
        self._feature_refs = feature_refs
        self._on_demand_feature_views = on_demand_feature_views
        self._full_feature_names = full_feature_names
        self.matched: dict[str, int] = {}
        """Entity rows that found a feature row, per view; filled when the result is read."""

    def _to_arrow_internal(self, timeout: int | None = None) -> pa.Table:
        rows = self._entity_rows.rows
        for asked, found in self._read(self._entity_rows):
            self.matched[asked.view] = pc.sum(found[MATCHED]).as_py() or 0
            for feature in asked.features:
                rows = rows.append_column(feature, found[feature])
        return rows

    @property
    def full_feature_names(self) -> bool:
        return self._full_feature_names

    @property
    def on_demand_feature_views(self) -> list[OnDemandFeatureView]:
        return self._on_demand_feature_views

    @property
    def metadata(self) -> RetrievalMetadata:
        rows, time_column = self._entity_rows.rows, self._entity_rows.time_column
        times = rows[time_column].to_pandas()
        keys = [c for c in rows.column_names if c != time_column]
        return RetrievalMetadata(self._feature_refs, keys, times.min(), times.max())


Join = TypeVar("Join")
"""How an engine reads one view."""


def point_in_time_job(
    feature_views: list[FeatureView],
    feature_refs: list[str],
    entity_df: pd.DataFrame | str,
    registry: BaseRegistry,
    project: str,
    full_feature_names: bool,
    *,
    join: Callable[[Asked, FeatureView], Join],
    read: Callable[[list[Join], EntityRows], Found],
    **no_more: Any,
) -> PointInTimeJob:
    """What every store answers to Feast, with its own `join` of a view and its way to `read` them.

    Raises:
        ValueError: see `EntityRows.of`; also when a view has a created-timestamp column, whose
            tie-break the joins do not know, or a period is asked for without entities.
    """
    if no_more.get("start_date") or no_more.get("end_date"):
        raise ValueError("a period names no entities: give an entity frame")
    for view in feature_views:
        if view.batch_source.created_timestamp_column:
            raise ValueError(
                f"the source of {view.name} has a created-timestamp column: stamp its rows "
                "with the time a value became knowable, and declare none"
            )
    asked = [Asked.of(view, feature_refs, full_feature_names) for view in feature_views]
    joins = [join(of, view) for of, view in zip(asked, feature_views, strict=True)]
    return PointInTimeJob(
        entity_rows=EntityRows.of(entity_df, asked),
        read=partial(read, joins),
        feature_refs=feature_refs,
        on_demand_feature_views=OnDemandFeatureView.get_requested_odfvs(
            feature_refs, project, registry
        ),
        full_feature_names=full_feature_names,
    )


def _refuse_unusable_frame(entity_df: pd.DataFrame, joins: Sequence[Asked]) -> None:
    columns = set(entity_df.columns)
    if missing := sorted({key for join in joins for key in join.join_keys} - columns):
        raise ValueError(
            f"the entity frame lacks the join keys {missing}; it has {sorted(columns)}"
        )
    if clash := sorted({name for join in joins for name in join.features} & columns):
        raise ValueError(
            f"the entity frame already has the columns {clash}: drop them, or ask with "
            "full_feature_names=True"
        )


def _entity_rows(entity_df: pd.DataFrame, time_column: str) -> pa.Table:
    """The frame with its times in UTC microseconds (naive ones are UTC)."""
    if pd.api.types.is_numeric_dtype(entity_df[time_column]):
        raise ValueError(f"{time_column} holds numbers, which name no unit: give timestamps")
    # Repeated texts are parsed once; looking for repeated times costs more than converting them.
    texts = not pd.api.types.is_datetime64_any_dtype(entity_df[time_column])
    times = pd.to_datetime(entity_df[time_column], utc=True, cache=texts)
    if times.isna().any():
        raise ValueError(f"{times.isna().sum()} entity rows have no {time_column}: give each one")
    rows = pa.Table.from_pandas(entity_df, preserve_index=False)
    instants = pa.array(times).cast(pa.timestamp("us", tz="UTC"), safe=False)
    return rows.set_column(rows.schema.get_field_index(time_column), time_column, instants)
