"""Spark as reads meet it: its session in UTC, paths taken as they stand, answers as parquet."""

from collections.abc import Callable, Collection
from copy import copy
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from feast import RepoConfig
from feast.data_source import DataSource
from feast.infra.offline_stores.contrib.spark_offline_store.spark import (
    SparkRetrievalJob,
    get_spark_session_or_start_new_with_repoconfig,
)
from feast.infra.offline_stores.contrib.spark_offline_store.spark_source import (
    SavedDatasetSparkStorage,
    SparkSource,
)
from feast.saved_dataset import SavedDataset, SavedDatasetStorage
from pyspark.sql import DataFrame, SparkSession

from feature_access.entities.compared_keys import of_somebody
from feature_access.offline_stores.offline_table import first_part
from feature_access.offline_stores.saved_dataset import (
    Read,
    refuse_other_format,
    refuse_other_storage,
    save_as_parquet,
)
from feature_access.offline_stores.source_columns import Columns
from feature_access.offline_stores.spark_staging import refuse_unusable_staging, staging_folder
from storage.errors import RefusedError
from storage.parquet_table import parts_of
from storage.spark_parquet import (
    as_stored,
    parts_by_schema,
    read_parts,
    refused_columns,
    spark_columns,
    spark_type,
    write_all,
)
from storage.spark_session import SETTINGS, failures_refused, own_session, start_silently


def spark_session(config: RepoConfig) -> SparkSession:
    """A session of our own of the profile's Spark; started if this process has none yet.

    Raises:
        RefusedError: the staging folder is of no use, or there is no such Spark.
    """
    refuse_unusable_staging(config)
    with failures_refused(RefusedError, "Spark cannot be used"):
        start_silently(config.offline_store.spark_conf or {})
        feasts = get_spark_session_or_start_new_with_repoconfig(config.offline_store)
        for name in ("spark.sql.session.timeZone", "spark.sql.parquet.outputTimestampType"):
            feasts.conf.set(name, SETTINGS[name])  # it may write in it, which is no way of ours
        return own_session(feasts)


def refuse_unread(parts: list[Path], columns: Collection[str]) -> None:
    """Make sure that Spark can read those columns of the parts of a table in the lake.

    Raises:
        ValueError: it does not read one of them, it is in no part, or a part is damaged.
    """
    there: set[str] = set()
    for schema, alike in parts_by_schema(parts).items():
        if unread := refused_columns(schema, columns):
            raise ValueError(f"{alike[0]} holds {unread}")
        there |= {*schema.names}
    if missing := [column for column in columns if column not in there]:
        raise ValueError(
            f"{parts[0]} has no column {', '.join(missing)}, it has {', '.join(sorted(there))}: "
            "declare the source's columns as they are"
        )


def read_columns(session: SparkSession, parts: list[Path], columns: Collection[str]) -> DataFrame:
    """The parts' columns of these names, and no other."""
    return read_parts(session, parts, lambda there: [name for name in columns if name in there])


def written_and_read(rows: DataFrame, folder: Path) -> pa.Table:
    """The rows, by way of parquet below the folder, which says what their times mean.

    Raises:
        LostRowsError: rows that a worker wrote are not there.
    """
    return pq.read_table(write_all(rows, folder))


def columns_there(config: RepoConfig, source: SparkSource) -> Columns | None:
    """The columns of what the source declares; None where it is not written yet.

    Raises:
        ValueError: it cannot lie there, or its times are in nanoseconds, which Spark does not read.
    """
    part = first_part(source.path)
    if part is None:
        return None
    schema = pq.read_schema(part)
    stamps = filter(None, (source.timestamp_field, source.created_timestamp_column))
    if unread := refused_columns(schema, stamps):
        raise ValueError(f"{part} holds {unread}")
    return {f.name: f.type if spark_type(f.type) else str(f.type) for f in schema}


def pulled_in_utc(
    asked: Callable[..., Any],
    config: RepoConfig,
    data_source: DataSource,
    join_key_columns: list[str],
    feature_name_columns: list[str],
    timestamp_field: str,
    created_timestamp_column: str | None = None,
    *bounds: Any,
    **more: Any,
) -> "PulledInUtc":
    """What one of Feast's own ways to pull from a source in the lake finds, in UTC, of anybody.

    Raises:
        ValueError: see `refuse_unread`.
        RefusedError: see `spark_session`.
    """
    parts = parts_of(Path(data_source.path))
    stamps = [timestamp_field, *([created_timestamp_column] if created_timestamp_column else [])]
    columns = dict.fromkeys([*join_key_columns, *feature_name_columns, *stamps])
    if not feature_name_columns:  # Feast asks for all there are
        columns = dict.fromkeys(name for s in parts_by_schema(parts) for name in spark_columns(s))
    refuse_unread(parts, columns)
    session = spark_session(config)
    pulled = asked(
        config,
        _view_of(data_source),
        join_key_columns,
        feature_name_columns,
        timestamp_field,
        created_timestamp_column,
        *bounds,
        **more,
    )
    query = of_somebody(pulled.query, join_key_columns, "`")
    return PulledInUtc(session, query, config, parts, list(columns))


_PULLED_FROM = "pulled_from"


def _view_of(source: SparkSource) -> SparkSource:
    """The source as a view of that name: Feast would read its path, whatever columns it holds."""
    view = copy(source)
    view.spark_options = copy(source.spark_options)
    view.spark_options.table = _PULLED_FROM
    return view


class PulledInUtc(SparkRetrievalJob):  # type: ignore[misc]
    """A query of Feast's whose answer travels as parquet, which says what its times mean."""

    def __init__(
        self,
        session: SparkSession,
        query: str,
        config: RepoConfig,
        parts: list[Path],
        columns: list[str],
    ) -> None:
        super().__init__(session, query, False, config)
        self._parts, self._columns = parts, columns

    def to_spark_df(self) -> DataFrame:
        """The rows, in Spark."""
        rows = read_columns(self.spark_session, self._parts, self._columns)
        rows.createOrReplaceTempView(_PULLED_FROM)
        pulled: DataFrame = super().to_spark_df()
        return pulled

    def _to_arrow_internal(self, timeout: int | None = None) -> pa.Table:
        with staging_folder(self._config) as staging:
            pulled = written_and_read(self.to_spark_df(), staging / "pulled")
        return as_stored(pulled, pq.read_schema(self._parts[0]))

    def _to_df_internal(self, timeout: int | None = None) -> pd.DataFrame:
        return self._to_arrow_internal(timeout).to_pandas()


def save_in_lake(read: Read, storage: SavedDatasetStorage, allow_overwrite: bool) -> None:
    """Keep the rows of a read in the lake.

    Raises:
        SavedDatasetLocationAlreadyExists, ValueError: see `save_as_parquet`; also when the storage
            is no path of Spark's.
    """
    refuse_other_storage(storage, SavedDatasetSparkStorage)
    options = storage.spark_options
    if not options.path or options.table_format:
        raise ValueError("a dataset is kept in the lake: give the storage a path, and no table")
    refuse_other_format(options.file_format)
    save_as_parquet(read, options.path, allow_overwrite)


def named_as_a_source(dataset: SavedDataset) -> SavedDataset:
    """The dataset, its folder being a source of its name.

    Feast 0.67 makes a source without a name of a path (`SavedDatasetSparkStorage.to_data_source`),
    and refuses it as such.
    """
    path, named = dataset.storage.spark_options.path, copy(dataset)
    source = partial(SparkSource, name=dataset.name, path=path, file_format="parquet")
    named.storage = SimpleNamespace(to_data_source=source)
    return named
