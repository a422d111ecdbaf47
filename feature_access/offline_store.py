"""Point-in-time reads that keep the contract: every entity row, in order, typed, with defaults.

Feast's DuckDB store joins each entity row to all its in-window feature rows and then ranks them:
the order is lost, unmatched integers become floats, and the work grows with the product of both
tables. An ASOF join asks for the one row that matters. Everything else, materialization included,
stays Feast's.
"""

from copy import deepcopy
from typing import Any, Literal

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from feast import FeatureView, OnDemandFeatureView, RepoConfig
from feast.infra.offline_stores.duckdb import DuckDBOfflineStore, DuckDBOfflineStoreConfig
from feast.infra.offline_stores.file_source import FileSource
from feast.infra.offline_stores.offline_store import RetrievalJob, RetrievalMetadata
from feast.infra.offline_stores.offline_utils import infer_event_timestamp_from_entity_df
from feast.infra.registry.base_registry import BaseRegistry

from feature_access.asof_join import MATCHED, ROW, AsofJoin
from feature_access.offline_table import OfflineStoreEmptyError as OfflineStoreEmptyError
from feature_access.offline_table import parquet_at


class PointInTimeOfflineStoreConfig(DuckDBOfflineStoreConfig):  # type: ignore[misc]
    """Options of Feast's DuckDB store; only the type's name differs."""

    type: Literal["feature_access.offline_store.PointInTimeOfflineStore"]


class PointInTimeOfflineStore(DuckDBOfflineStore):  # type: ignore[misc]
    """Feast's DuckDB offline store with an ASOF join and declared defaults."""

    @staticmethod
    def get_historical_features(
        config: RepoConfig,
        feature_views: list[FeatureView],
        feature_refs: list[str],
        entity_df: pd.DataFrame | str,
        registry: BaseRegistry,
        project: str,
        full_feature_names: bool = False,
        filter_by_created_timestamp: bool = False,
    ) -> RetrievalJob:
        """One row per entity row, in the caller's order; nothing is read until the job is asked.

        A feature row counts from `entity time - ttl` to `entity time`, both included, as in every
        Feast store. A view with a created-timestamp column is left to Feast's own join, which
        alone knows its tie-break.

        Raises:
            ValueError: the entity frame is not a DataFrame, lacks a join key or a time, or already
                has a column of a requested feature's name.
        """
        if any(view.batch_source.created_timestamp_column for view in feature_views):
            return DuckDBOfflineStore.get_historical_features(
                config,
                feature_views,
                feature_refs,
                entity_df,
                registry,
                project,
                full_feature_names,
                filter_by_created_timestamp,
            )
        if not isinstance(entity_df, pd.DataFrame):
            raise ValueError("the entity frame must be a DataFrame: SQL text has no engine here")
        time_column = infer_event_timestamp_from_entity_df(dict(entity_df.dtypes))
        joins = [
            AsofJoin.to_view(view, feature_refs, full_feature_names, str(config.repo_path))
            for view in feature_views
        ]
        _refuse_unusable_frame(entity_df, joins)
        return PointInTimeJob(
            entity_rows=_entity_rows(entity_df, time_column),
            time_column=time_column,
            joins=joins,
            feature_refs=feature_refs,
            on_demand_feature_views=OnDemandFeatureView.get_requested_odfvs(
                feature_refs, project, registry
            ),
            full_feature_names=full_feature_names,
        )

    @staticmethod
    def pull_latest_from_table_or_query(
        config: RepoConfig, data_source: FileSource, **asked: Any
    ) -> RetrievalJob:
        """Feast's own, of the parts that the table has now."""
        there = _as_it_stands(data_source, config)
        return DuckDBOfflineStore.pull_latest_from_table_or_query(config, there, **asked)

    @staticmethod
    def pull_all_from_table_or_query(
        config: RepoConfig, data_source: FileSource, **asked: Any
    ) -> RetrievalJob:
        """Feast's own, of the parts that the table has now."""
        there = _as_it_stands(data_source, config)
        return DuckDBOfflineStore.pull_all_from_table_or_query(config, there, **asked)


def _as_it_stands(source: FileSource, config: RepoConfig) -> FileSource:
    """The source by a path that Feast's reader takes: DuckDB opens no folder."""
    there = deepcopy(source)
    path = FileSource.get_uri_for_file_path(str(config.repo_path), source.path)
    there.file_options.uri = parquet_at(path)
    return there


def _refuse_unusable_frame(entity_df: pd.DataFrame, joins: list[AsofJoin]) -> None:
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
    times = pd.to_datetime(entity_df[time_column], utc=True)
    if times.isna().any():
        raise ValueError(f"{times.isna().sum()} entity rows have no {time_column}: give each one")
    rows = pa.Table.from_pandas(entity_df, preserve_index=False)
    instants = pa.array(times).cast(pa.timestamp("us", tz="UTC"), safe=False)
    return rows.set_column(rows.schema.get_field_index(time_column), time_column, instants)


class PointInTimeJob(RetrievalJob):  # type: ignore[misc]
    """A retrieval that runs its joins when the result is asked for."""

    def __init__(
        self,
        entity_rows: pa.Table,
        time_column: str,
        joins: list[AsofJoin],
        feature_refs: list[str],
        on_demand_feature_views: list[OnDemandFeatureView],
        full_feature_names: bool,
    ) -> None:
        super().__init__()
        self._entity_rows = entity_rows
        self._time_column = time_column
        self._joins = joins
        self._feature_refs = feature_refs
        self._on_demand_feature_views = on_demand_feature_views
        self._full_feature_names = full_feature_names
        self.matched: dict[str, int] = {}
        """Entity rows that found a feature row, per view; filled when the result is read."""

    def _to_arrow_internal(self, timeout: int | None = None) -> pa.Table:
        rows = self._entity_rows
        # The caller's other columns stay out of the engine, and so stay what they are.
        keys = sorted({key for join in self._joins for key in join.join_keys})
        asked = rows.select([*keys, self._time_column]).append_column(
            ROW, pa.array(range(rows.num_rows), pa.int64())
        )
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            # DuckDB takes an Arrow table for one row and would loop over it: 200 times slower.
            connection.execute("SET asof_loop_join_threshold = 0")
            for join in self._joins:
                found = join.read(asked, self._time_column, connection)
                self.matched[join.view] = pc.sum(found[MATCHED]).as_py() or 0
                for feature in join.features:
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
        times = self._entity_rows[self._time_column].to_pandas()
        keys = [c for c in self._entity_rows.column_names if c != self._time_column]
        return RetrievalMetadata(self._feature_refs, keys, times.min(), times.max())
