"""Point-in-time reads by Spark over the parquet lake, with the answers of the embedded store.

Feast's Spark store joins each entity row to all its in-window feature rows and ranks them, loses
the order, has no defaults, and goes by whatever zone its session is in. Here both tables are laid
in one order per customer and the last feature row is carried forward: the work is that of a sort,
shared out by a hash of the customer. Frame and answer travel as parquet, through no one's memory.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from feast import FeatureView, RepoConfig
from feast.data_source import DataSource
from feast.infra.offline_stores.contrib.spark_offline_store.spark import (
    SparkOfflineStore,
    SparkOfflineStoreConfig,
)
from feast.infra.offline_stores.contrib.spark_offline_store.spark_source import (
    SparkSource,
)
from feast.infra.offline_stores.offline_store import RetrievalJob
from feast.infra.registry.base_registry import BaseRegistry
from pydantic import model_validator
from pyspark.sql import SparkSession

from feature_access.defaults import with_defaults
from feature_access.entity_rows import ROW, EntityRows
from feature_access.offline_table import (
    columns_of,
    known_up_to,
    parts_of,
    refuse_unless_it_knows,
)
from feature_access.point_in_time import (
    MATCHED,
    Asked,
    Found,
    point_in_time_job,
)
from feature_access.profile import refuse_unset
from feature_access.source_columns import refuse_unlike_the_source
from feature_access.spark_lake import (
    columns_there,
    named_as_a_source,
    pulled_in_utc,
    read_columns,
    refuse_unread,
    save_in_lake,
    spark_session,
    staging_folder,
    written_and_read,
)
from spark_parquet import LostRowsError, as_stored


class PointInTimeSparkOfflineStoreConfig(SparkOfflineStoreConfig):  # type: ignore[misc]
    """Options of Feast's Spark store; `staging_location` is a folder that every worker sees."""

    type: Literal["feature_access.spark_offline_store.PointInTimeSparkOfflineStore"]

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
            join=lambda asked, view: _SortedJoin(asked, view.batch_source.path),
            read=partial(_read, config),
            save=save_in_lake,
            **no_more,
        )

    @staticmethod
    def known_up_to(config: RepoConfig, source: SparkSource) -> datetime | None:
        """How far what the source holds is known; None where nothing says so."""
        return known_up_to(source.path)

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


@dataclass(frozen=True)
class _SortedJoin:
    """What is asked of one feature view, and where it lies."""

    asked: Asked
    path: str

    def read(self, entity_rows: EntityRows, session: SparkSession, staging: Path) -> pa.Table:
        """This view's columns for the entity rows, and whether there was a feature row.

        Raises:
            OfflineStoreEmptyError, BeforeRetentionError, NotYetKnownError: see
                `refuse_unless_it_knows`.
            ValueError: a join key cannot be compared with the table's.
        """
        asked, time_column = self.asked, entity_rows.time_column
        refuse_unless_it_knows(self.path, asked.view, entity_rows.rows[time_column])
        parts = parts_of(Path(self.path).resolve())
        schema = pq.read_schema(parts[0])
        pq.write_table(self._keyed(entity_rows, parts, schema), staging / "asked.parquet")
        session.read.parquet(str(staging / "asked.parquet")).createOrReplaceTempView("asked")
        read_columns(session, parts, self._needed).createOrReplaceTempView("there")
        found = written_and_read(session.sql(self._query(time_column)), staging / "found")
        if found.num_rows != entity_rows.rows.num_rows:
            raise LostRowsError(
                f"Spark's workers read {found.num_rows:,} rows of the "
                f"{entity_rows.rows.num_rows:,} that lie in {staging}"
            )
        found = found.take(pc.sort_indices(found[ROW])).drop_columns([ROW])
        stored = [(name, schema.field(column).type) for name, column in asked.features.items()]
        found = as_stored(found, pa.schema(stored))
        return with_defaults(found, dict(zip(asked.features, asked.defaults, strict=True)))

    @property
    def _needed(self) -> list[str]:
        asked = self.asked
        stamps = filter(None, (asked.timestamp_field, asked.created_column))
        return [*dict.fromkeys([*asked.join_keys.values(), *stamps, *asked.features.values()])]

    def _keyed(self, entity_rows: EntityRows, parts: list[Path], schema: pa.Schema) -> pa.Table:
        """The asked rows, with keys of the table's own types."""
        refuse_unlike_the_source(self.asked, columns_of(schema))
        refuse_unread(parts, self._needed)
        there = {entity: schema.field(key).type for entity, key in self.asked.join_keys.items()}
        return entity_rows.asked(there, self.asked.view)

    def _query(self, time_column: str) -> str:
        """Feature rows come before entity rows of their instant, so that both ends are included."""
        asked = self.asked
        stamp, created = f"`{asked.timestamp_field}`", "CAST(NULL AS TIMESTAMP)"
        order = "instant, entity_row NULLS FIRST"
        if asked.created_column:
            order += ", created NULLS FIRST"
            created = f"CAST(`{asked.created_column}` AS TIMESTAMP)"
        keys = "".join(f"key_{i}, " for i in range(len(asked.join_keys)))
        of_entity = "".join(f"`{e}` AS key_{i}, " for i, e in enumerate(asked.join_keys))
        of_table = "".join(f"`{k}` AS key_{i}, " for i, k in enumerate(asked.join_keys.values()))
        needed = [f"`{column}` IS NOT NULL" for column in (*asked.join_keys.values(), stamp[1:-1])]
        values = "".join(f", `{c}` AS value_{i}" for i, c in enumerate(asked.features.values()))
        named = ", ".join(
            f"CASE WHEN matched THEN carried.value_{i} END AS `{name}`"
            for i, name in enumerate(asked.features)
        )
        in_ttl = ""
        if asked.ttl:
            ttl = asked.ttl // timedelta(microseconds=1)
            in_ttl = f"AND unix_micros(instant) - unix_micros(carried.stamp) <= {ttl}"
        since, newest = "stamp", "last_value(found) IGNORE NULLS"
        if asked.created_by_then:  # an older row may be created later, and is not the answer then
            since, newest = "greatest(stamp, created)", "max_by(found, struct(stamp, created))"
            needed.append(f"{created} IS NOT NULL")
        return f"""
            WITH rows AS (
                SELECT {of_table} CAST({stamp} AS TIMESTAMP) AS stamp, {created} AS created,
                       struct(CAST({stamp} AS TIMESTAMP) AS stamp{values}) AS found
                FROM there WHERE {" AND ".join(needed)}
            ), both AS (
                SELECT {keys} {since} AS instant, stamp, created,
                       CAST(NULL AS BIGINT) AS entity_row, found FROM rows
                UNION ALL
                SELECT {of_entity} `{time_column}`, NULL, NULL, `{ROW}`, NULL FROM asked
            ), carried AS (
                SELECT instant, entity_row, {newest} OVER (
                    PARTITION BY {keys} 0
                    ORDER BY {order}
                    ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
                ) AS carried
                FROM both
            ), judged AS (
                SELECT entity_row, carried, carried IS NOT NULL {in_ttl} AS matched
                FROM carried WHERE entity_row IS NOT NULL
            )
            SELECT {named}, coalesce(matched, false) AS `{MATCHED}`, entity_row AS `{ROW}`
            FROM judged
        """


def _read(config: RepoConfig, joins: list[_SortedJoin], entity_rows: EntityRows) -> Found:
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
