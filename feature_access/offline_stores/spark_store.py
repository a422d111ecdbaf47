"""Point-in-time reads by Spark over the parquet lake, with the answers of the embedded store.

Feast's Spark store joins each entity row to all its in-window feature rows and ranks them, loses
the order, has no defaults, and goes by whatever zone its session is in. Here both tables are laid
in one order per customer and the last feature row is carried forward: the work is that of a sort,
shared out by a hash of the customer. Frame and answer travel as parquet, through no one's memory.
"""

from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from feast import FeatureView, RepoConfig
from feast.data_source import DataSource
from feast.infra.offline_stores.contrib.spark_offline_store.spark import (
    SparkOfflineStore,
    SparkOfflineStoreConfig,
)
from feast.infra.offline_stores.contrib.spark_offline_store.spark_source import SparkSource
from feast.infra.offline_stores.offline_store import RetrievalJob
from feast.infra.registry.base_registry import BaseRegistry
from pydantic import model_validator

from feature_access.apply_guard import guard_apply_of_code
from feature_access.entities.rows import EntityRows
from feature_access.offline_stores.point_in_time import Found, point_in_time_job
from feature_access.offline_stores.spark_join import SortedJoin
from feature_access.offline_stores.spark_lake import (
    columns_there,
    named_as_a_source,
    pulled_in_utc,
    save_in_lake,
    spark_session,
)
from feature_access.offline_stores.spark_staging import staging_folder
from storage.profile import refuse_unset
from storage.table_bounds import known_up_to

guard_apply_of_code()


class PointInTimeSparkOfflineStoreConfig(SparkOfflineStoreConfig):  # type: ignore[misc]
    """Options of Feast's Spark store; `staging_location` is a folder that every worker sees."""

    type: Literal["feature_access.offline_stores.spark_store.PointInTimeSparkOfflineStore"]

    @model_validator(mode="before")
    @classmethod
    def _all_set(cls, options: Any) -> Any:
        refuse_unset(options.get("spark_conf") or {})
        return refuse_unset(options)


class PointInTimeSparkOfflineStore(SparkOfflineStore):  # type: ignore[misc]
    """Feast's Spark offline store with one sort per customer, declared defaults and UTC."""

    supports_filter_by_created_timestamp = True

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
        **no_more: Any,
    ) -> RetrievalJob:
        """One row per entity row, in the caller's order; nothing is read until the job is asked.

        Raises:
            KeyError, ValueError: see `point_in_time_job`; also when a view lies elsewhere.
        """
        for view in feature_views:
            _refuse_other_than_lake(view.batch_source)
        return point_in_time_job(
            feature_views,
            feature_refs,
            entity_df,
            registry,
            project,
            full_feature_names,
            filter_by_created_timestamp,
            join=lambda asked, view: SortedJoin(asked, view.batch_source.path),
            read=partial(_read, config),
            save=save_in_lake,
            **no_more,
        )

    @staticmethod
    def known_up_to(config: RepoConfig, source: SparkSource) -> datetime | None:
        """How far what the source holds is known; None where nothing says so."""
        return known_up_to(Path(source.path))

    columns_there = staticmethod(columns_there)

    @staticmethod
    def pull_latest_from_table_or_query(
        config: RepoConfig, data_source: DataSource, *which: Any, **bounds: Any
    ) -> RetrievalJob:
        """As Feast, in UTC, without rows that lack a key."""
        asked = SparkOfflineStore.pull_latest_from_table_or_query
        return pulled_in_utc(asked, config, data_source, *which, **bounds)

    @staticmethod
    def pull_all_from_table_or_query(
        config: RepoConfig, data_source: DataSource, *which: Any, **bounds: Any
    ) -> RetrievalJob:
        """As Feast, in UTC, without rows that lack a key."""
        asked = SparkOfflineStore.pull_all_from_table_or_query
        return pulled_in_utc(asked, config, data_source, *which, **bounds)

    named_as_a_source = staticmethod(named_as_a_source)

    def validate_data_source(self, config: RepoConfig, data_source: DataSource) -> None:
        """Make sure that what is applied lies in the lake; it need not have been written yet.

        Raises:
            ValueError: it is declared to lie elsewhere.
        """
        _refuse_other_than_lake(data_source)


def _read(config: RepoConfig, joins: list[SortedJoin], entity_rows: EntityRows) -> Found:
    session = spark_session(config)
    for join in joins:
        with staging_folder(config) as staging:
            yield join.asked, join.read(entity_rows, session, staging)


def _refuse_other_than_lake(source: DataSource) -> None:
    if not isinstance(source, SparkSource) or not source.path or source.query:
        raise ValueError(
            f"{source.name} is declared as a {type(source).__name__}, but the offline store is the "
            "parquet lake that Spark reads: choose the profile by FEAST_FS_YAML_FILE_PATH, which "
            "the declaration follows, not by -f; then run `feast apply`"
        )
