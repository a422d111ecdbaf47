"""What a point-in-time read is, whichever engine joins: what is asked, of which rows, as which job.

A feature row counts from `entity time - ttl` to `entity time`, both included, as in every Feast
store; of those the newest is the answer, and the declared default where there is none.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from feast import FeatureView, OnDemandFeatureView
from feast.infra.offline_stores.offline_store import RetrievalJob, RetrievalMetadata
from feast.infra.registry.base_registry import BaseRegistry

from feature_access.defaults import default_of
from feature_access.entity_rows import EntityRows

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
        entity_rows=EntityRows.of(
            entity_df,
            keys={key for one in asked for key in one.join_keys},
            features={name for one in asked for name in one.features},
        ),
        read=partial(read, joins),
        feature_refs=feature_refs,
        on_demand_feature_views=OnDemandFeatureView.get_requested_odfvs(
            feature_refs, project, registry
        ),
        full_feature_names=full_feature_names,
    )
