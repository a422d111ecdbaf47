"""Point-in-time reads that keep the contract: every entity row, in order, typed, with defaults.

Feast's DuckDB store joins each entity row to all its in-window feature rows and then ranks them:
the order is lost, unmatched integers become floats, and the work grows with the product of both
tables. Here each entity row looks up the one row that matters. Everything else, materialization
included, stays Feast's.
"""

from copy import deepcopy
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal

import ibis
import pandas as pd
import pyarrow.parquet as pq
from feast import FeatureView, RepoConfig
from feast.data_source import DataSource
from feast.feature_view import DUMMY_ENTITY_ID, DUMMY_ENTITY_VAL
from feast.infra.offline_stores.duckdb import (
    DuckDBOfflineStore,
    DuckDBOfflineStoreConfig,
    _read_data_source,
    _write_data_source,
)
from feast.infra.offline_stores.file_source import FileSource, SavedDatasetFileStorage
from feast.infra.offline_stores.ibis import (
    pull_all_from_table_or_query_ibis,
    pull_latest_from_table_or_query_ibis,
)
from feast.infra.offline_stores.offline_store import RetrievalJob
from feast.infra.registry.base_registry import BaseRegistry
from feast.saved_dataset import SavedDatasetStorage
from ibis.expr.datatypes import Timestamp
from ibis.expr.types import Scalar, Table

from feature_access.apply_guard import guard_apply_of_code
from feature_access.entities.rows import EntityRows
from feature_access.offline_stores.file_join import FileJoin
from feature_access.offline_stores.offline_table import (
    OfflineStoreEmptyError as OfflineStoreEmptyError,
)
from feature_access.offline_stores.offline_table import (
    columns_of,
    first_part,
)
from feature_access.offline_stores.point_in_time import Found, point_in_time_job
from feature_access.offline_stores.saved_dataset import (
    Read,
    refuse_other_format,
    refuse_other_storage,
    save_as_parquet,
)
from feature_access.offline_stores.source_columns import Columns
from storage.duckdb_session import parquet_at
from storage.table_bounds import known_up_to

guard_apply_of_code()


class PointInTimeOfflineStoreConfig(DuckDBOfflineStoreConfig):  # type: ignore[misc]
    """Options of Feast's DuckDB store; only the type's name differs."""

    type: Literal["feature_access.offline_stores.duckdb_store.PointInTimeOfflineStore"]


class PointInTimeOfflineStore(DuckDBOfflineStore):  # type: ignore[misc]
    """Feast's DuckDB offline store with a look-up in time and declared defaults."""

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
            KeyError, ValueError: see `point_in_time_job`.
        """
        return point_in_time_job(
            feature_views,
            feature_refs,
            entity_df,
            registry,
            project,
            full_feature_names,
            filter_by_created_timestamp,
            join=lambda asked, view: FileJoin(asked, _path(view.batch_source, config)),
            read=_read,
            save=partial(_save, config),
            **no_more,
        )

    @staticmethod
    def known_up_to(config: RepoConfig, source: FileSource) -> datetime | None:
        """How far what the source holds is known; None where nothing says so."""
        return known_up_to(Path(_path(source, config)))

    @staticmethod
    def columns_there(config: RepoConfig, source: FileSource) -> Columns | None:
        """The columns of what the source declares; None where it is not written yet.

        Raises:
            ValueError: what lies there is no parquet.
        """
        part = first_part(_path(source, config))
        return columns_of(pq.read_schema(part)) if part else None

    def validate_data_source(self, config: RepoConfig, data_source: DataSource) -> None:
        """Make sure that what is applied lies in files; it need not have been written yet.

        Raises:
            ValueError: it is declared to lie elsewhere.
        """
        if not isinstance(data_source, FileSource):
            raise ValueError(
                f"{data_source.name} is declared as a {type(data_source).__name__}, but the "
                "offline store is DuckDB over files: choose the profile by "
                "FEAST_FS_YAML_FILE_PATH, which the declaration follows, not by -f; then run "
                "`feast apply`"
            )

    @staticmethod
    def pull_latest_from_table_or_query(
        config: RepoConfig, data_source: FileSource, **asked: Any
    ) -> RetrievalJob:
        """Feast's own, of the parts that the table has now."""
        asked = _with_keys(asked)
        return pull_latest_from_table_or_query_ibis(
            config, data_source, **asked, **_reading_between(config, asked)
        )

    @staticmethod
    def pull_all_from_table_or_query(
        config: RepoConfig, data_source: FileSource, **asked: Any
    ) -> RetrievalJob:
        """Feast's own, of the parts that the table has now."""
        asked = _with_keys(asked)
        return pull_all_from_table_or_query_ibis(
            config, data_source, **asked, **_reading_between(config, asked)
        )


def _with_keys(asked: dict[str, Any]) -> dict[str, Any]:
    """A view without entities has Feast's constant key, which its DuckDB store does not add."""
    return asked | {"join_key_columns": asked["join_key_columns"] or [DUMMY_ENTITY_ID]}


def _reading_between(config: RepoConfig, asked: dict[str, Any]) -> dict[str, Any]:
    """How Feast is to read and write: of the parts, only what can hold a row of the asked stretch.

    Feast compares a time cast to another type, past which DuckDB does not see a part's own bounds:
    an hour's rows would cost a pass over the history. Feast's comparison stays, and decides.
    """
    column, start, end = (asked.get(a) for a in ("timestamp_field", "start_date", "end_date"))

    def read(source: FileSource, repo_path: str) -> Table:
        rows = _read_data_source(_as_it_stands(source, repo_path), repo_path)
        if asked["join_key_columns"] == [DUMMY_ENTITY_ID]:
            rows = rows.mutate(**{DUMMY_ENTITY_ID: ibis.literal(DUMMY_ENTITY_VAL)})
        rows = rows.drop_null(asked["join_key_columns"])  # which are nobody's, as in every read
        stamped = rows[column]
        if not isinstance(kind := stamped.type(), Timestamp) or kind.scale != 6:
            return rows  # a date, or nanoseconds, which are not compared with an instant
        if start:
            rows = rows.filter(stamped >= _bound(start, kind))
        if end:
            rows = rows.filter(stamped <= _bound(end, kind))
        return rows

    options = config.offline_store
    return {
        "data_source_reader": read,
        "data_source_writer": _write_data_source,
        "staging_location": options.staging_location,
        "staging_location_endpoint_override": options.staging_location_endpoint_override,
    }


def _bound(instant: datetime, kind: Timestamp) -> Scalar:
    """The instant as a column of this kind has it: without a zone, which means UTC, or with one."""
    in_utc = instant.astimezone(UTC)
    return ibis.literal(in_utc if kind.timezone else in_utc.replace(tzinfo=None))


def _as_it_stands(source: FileSource, repo_path: str) -> FileSource:
    """The source by a path that Feast's reader takes: DuckDB opens no folder."""
    there = deepcopy(source)
    path = FileSource.get_uri_for_file_path(repo_path, source.path)
    there.file_options.uri = parquet_at(path)
    return there


def _path(source: FileSource, config: RepoConfig) -> str:
    return str(FileSource.get_uri_for_file_path(str(config.repo_path), source.path))


def _save(
    config: RepoConfig, read: Read, storage: SavedDatasetStorage, allow_overwrite: bool
) -> None:
    refuse_other_storage(storage, SavedDatasetFileStorage)
    refuse_other_format(storage.file_options.file_format)
    path = FileSource.get_uri_for_file_path(str(config.repo_path), storage.file_options.uri)
    save_as_parquet(read, str(path), allow_overwrite)


def _read(joins: list[FileJoin], entity_rows: EntityRows) -> Found:
    for join in joins:
        yield join.asked, join.read(entity_rows)
