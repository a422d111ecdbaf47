"""Spark as reads meet it: its session in UTC, paths taken as they stand, answers as parquet."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from functools import partial
from pathlib import Path
from shutil import rmtree
from socket import gethostname
from tempfile import TemporaryDirectory
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
from pyspark.sql import SparkSession

from feature_access.compared_keys import of_somebody
from feature_access.offline_table import columns_of, first_part, parts_of
from feature_access.saved_dataset import (
    Read,
    refuse_other_format,
    refuse_other_storage,
    save_as_parquet,
)
from feature_access.source_columns import Columns


def spark_session(config: RepoConfig) -> SparkSession:
    """The profile's session, in UTC; started if this process has none yet."""
    return in_utc(get_spark_session_or_start_new_with_repoconfig(config.offline_store))


def in_utc(session: SparkSession) -> SparkSession:
    """The session, in UTC whatever it was set to; what it writes says so."""
    session.conf.set("spark.sql.session.timeZone", "UTC")
    session.conf.set("spark.sql.parquet.outputTimestampType", "TIMESTAMP_MICROS")
    return session


@contextmanager
def staging_folder(config: RepoConfig) -> Iterator[Path]:
    """A folder that every worker sees, which goes when the answer is read.

    A job that was killed leaves its own, customers and all: the next on its machine clears it.
    """
    folder, here = config.offline_store.staging_location, f"staged-{gethostname()}-"
    for left in Path(folder).glob(f"{here}*"):
        if not _is_running(int(left.name.rsplit("-", 1)[-1])):
            rmtree(left, ignore_errors=True)
    with TemporaryDirectory(dir=folder, prefix=here, suffix=f"-{os.getpid()}") as staging:
        yield Path(staging)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def literally(part: Path) -> str:
    """Its path, which Spark would take for a pattern, whatever `*`, `?`, `[` and `{` it holds."""
    return re.sub(r"([*?\[\]{}\\])", r"\\\1", str(part))


def schema_of(part: Path) -> pa.Schema:
    """The columns of a part of the lake.

    Raises:
        ValueError: some hold nanoseconds, which Spark 4 does not read.
    """
    schema = pq.read_schema(part)
    if fine := [f.name for f in schema if pa.types.is_timestamp(f.type) and f.type.unit == "ns"]:
        raise ValueError(
            f"{part} holds {', '.join(fine)} in nanoseconds, which Spark does not read: write "
            "microseconds"
        )
    return schema


def columns_there(config: RepoConfig, source: SparkSource) -> Columns | None:
    """The columns of what the source declares; None where it is not written yet.

    Raises:
        ValueError: it cannot lie there, or see `schema_of`.
    """
    part = first_part(source.path)
    return columns_of(schema_of(part)) if part else None


def pulled_in_utc(
    asked: Callable[..., Any],
    config: RepoConfig,
    data_source: DataSource,
    join_key_columns: list[str],
    *which: Any,
    **bounds: Any,
) -> "PulledInUtc":
    """What one of Feast's own ways to pull from a source in the lake finds, in UTC, of anybody.

    Raises:
        ValueError: see `schema_of`.
    """
    for part in parts_of(Path(data_source.path).resolve())[:1]:
        schema_of(part)
    session = spark_session(config)
    pulled = asked(config, data_source, join_key_columns, *which, **bounds)
    return PulledInUtc(session, of_somebody(pulled.query, join_key_columns, "`"), False, config)


class PulledInUtc(SparkRetrievalJob):  # type: ignore[misc]
    """A query of Feast's whose answer travels as parquet, which says what its times mean."""

    def _to_arrow_internal(self, timeout: int | None = None) -> pa.Table:
        with staging_folder(self._config) as staging:
            self.to_spark_df().write.parquet(str(staging / "pulled"))
            return pq.read_table(staging / "pulled")

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
