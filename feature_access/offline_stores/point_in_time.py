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
from feast import FeatureView, Field, OnDemandFeatureView
from feast.feature_view import DUMMY_ENTITY_ID
from feast.infra.offline_stores.offline_store import RetrievalJob, RetrievalMetadata
from feast.infra.registry.base_registry import BaseRegistry
from feast.saved_dataset import SavedDatasetStorage

from feature_access.defaults import default_of
from feature_access.entities.keys import declared_keys
from feature_access.entities.rows import EntityRows
from feature_access.offline_stores.saved_dataset import Save, refuse_unreadable

MATCHED = "__matched"


@dataclass(frozen=True)
class ViewQuery:
    """What is asked of one feature view."""

    view: str
    timestamp_field: str
    ttl: timedelta | None
    join_keys: dict[str, str]
    """Entity-frame column to source column."""
    features: dict[str, str]
    """Output column to source column."""
    defaults: tuple[object, ...]
    created_column: str | None = None
    """The created column: of two feature rows of one stamp the later created is the answer."""
    created_by_then: bool = False
    """Whether a row that was created after the entity time does not count."""

    @classmethod
    def of(
        cls,
        view: FeatureView,
        feature_refs: list[str],
        full_names: bool,
        created_by_then: bool = False,
    ) -> "ViewQuery":
        """What these references ask of the view.

        Raises:
            KeyError: the view has no feature of a name.
        """
        source, projection = view.batch_source, view.projection
        name, prefix = projection.name_to_use(), projection.name_alias or view.name
        in_source = {renamed: column for column, renamed in source.field_mapping.items()}
        keys = {key.name: projection.join_key_map.get(key.name, key.name) for key in _keys_of(view)}
        declared = {field.name: field for field in view.features}
        refs = dict.fromkeys(tuple(ref.split(":")[:2]) for ref in feature_refs)
        asked = [feature for of_view, feature in refs if of_view == name]
        created = source.created_timestamp_column
        return cls(
            view=name,
            timestamp_field=in_source.get(source.timestamp_field, source.timestamp_field),
            ttl=view.ttl or None,
            join_keys={entity: in_source.get(key, key) for key, entity in keys.items()},
            features={f"{prefix}__{f}" if full_names else f: in_source.get(f, f) for f in asked},
            defaults=tuple(default_of(declared[f]) for f in asked),
            created_column=in_source.get(created, created) or None,
            created_by_then=bool(created and created_by_then),
        )


def _keys_of(view: FeatureView) -> list[Field]:
    """The view's join keys: none of a view without entities, which Feast gives a dummy."""
    return [column for column in view.entity_columns if column.name != DUMMY_ENTITY_ID]


Found = Iterator[tuple[ViewQuery, pa.Table]]
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
        save: Save,
    ) -> None:
        super().__init__()
        self.entity_rows = entity_rows
        """Whose features are asked for, as every engine joins them."""
        self._read = read
        self._feature_refs = feature_refs
        self._on_demand_feature_views = on_demand_feature_views
        self._full_feature_names = full_feature_names
        self._save = save
        self.matched: dict[str, int] = {}
        """Entity rows that found a feature row, per view; filled when the result is read."""

    def _to_arrow_internal(self, timeout: int | None = None) -> pa.Table:
        rows = self.entity_rows.rows
        for asked, found in self._read(self.entity_rows):
            self.matched[asked.view] = pc.sum(found[MATCHED]).as_py() or 0
            for feature in asked.features:
                rows = rows.append_column(feature, found[feature])
        return rows

    def persist(
        self,
        storage: SavedDatasetStorage,
        allow_overwrite: bool | None = False,
        timeout: int | None = None,
    ) -> None:
        """Keep what `to_arrow` answers as a dataset that Feast reads again.

        Raises:
            SavedDatasetLocationAlreadyExists: something is there, and may not be overwritten.
            ValueError: the place is of another kind than the store's, or see `refuse_unreadable`.
        """
        time_column = self.entity_rows.time_column
        refuse_unreadable(self.entity_rows.rows[time_column], time_column)
        self._save(self.to_arrow, storage, bool(allow_overwrite))

    def to_sql(self) -> str:
        """Feast asks only stores whose read is one query."""
        raise NotImplementedError("this read is no one SQL text: take to_arrow(), or persist it")

    def to_remote_storage(self) -> list[str]:
        """Feast asks only stores that say they can."""
        raise NotImplementedError("nothing is exported here: take to_arrow(), or persist it")

    @property
    def full_feature_names(self) -> bool:
        return self._full_feature_names

    @property
    def on_demand_feature_views(self) -> list[OnDemandFeatureView]:
        return self._on_demand_feature_views

    @property
    def metadata(self) -> RetrievalMetadata:
        rows, time_column = self.entity_rows.rows, self.entity_rows.time_column
        times = rows[time_column].to_pandas()
        keys = [c for c in rows.column_names if c != time_column]
        first, last = (times.min(), times.max()) if len(times) else (None, None)
        return RetrievalMetadata(self._feature_refs, keys, first, last)


Join = TypeVar("Join")
"""How an engine reads one view."""


def point_in_time_job(
    feature_views: list[FeatureView],
    feature_refs: list[str],
    entity_df: pd.DataFrame | str,
    registry: BaseRegistry,
    project: str,
    full_feature_names: bool,
    filter_by_created_timestamp: bool,
    *,
    join: Callable[[ViewQuery, FeatureView], Join],
    read: Callable[[list[Join], EntityRows], Found],
    save: Save,
    **no_more: Any,
) -> PointInTimeJob:
    """What every store answers to Feast, with its own `join` of a view and ways to read and save.

    Raises:
        KeyError: see `ViewQuery.of`.
        ValueError: see `EntityRows.of`; also when a period is asked for without entities, or two
            views have a feature of one name.
    """
    if no_more.get("start_date") or no_more.get("end_date"):
        raise ValueError("a period names no entities: give an entity frame")
    asked = [
        ViewQuery.of(view, feature_refs, full_feature_names, filter_by_created_timestamp)
        for view in feature_views
    ]
    _refuse_two_of_one_name(asked)
    joins = [join(of, view) for of, view in zip(asked, feature_views, strict=True)]
    return PointInTimeJob(
        entity_rows=EntityRows.of(
            entity_df,
            keys=declared_keys(feature_views),
            features={name for one in asked for name in one.features},
        ),
        read=partial(read, joins),
        feature_refs=feature_refs,
        on_demand_feature_views=OnDemandFeatureView.get_requested_odfvs(
            feature_refs, project, registry
        ),
        full_feature_names=full_feature_names,
        save=save,
    )


def _refuse_two_of_one_name(asked: list[ViewQuery]) -> None:
    """Make sure that each column has one meaning; Feast overlooks inputs of on-demand views."""
    of_name: dict[str, list[str]] = {}
    for one in asked:
        for name in one.features:
            of_name.setdefault(name, []).append(one.view)
    for name, views in of_name.items():
        if len(views) > 1:
            raise ValueError(
                f"{' and '.join(views)} each have a feature {name}: ask with "
                "full_feature_names=True"
            )
