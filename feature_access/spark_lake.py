"""Spark as reads meet it: its session in UTC, paths taken as they stand, answers as parquet."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree
from socket import gethostname
from tempfile import TemporaryDirectory

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from feast import RepoConfig
from feast.infra.offline_stores.contrib.spark_offline_store.spark import (
    SparkRetrievalJob,
    get_spark_session_or_start_new_with_repoconfig,
)
from pyspark.sql import SparkSession


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


class PulledInUtc(SparkRetrievalJob):  # type: ignore[misc]
    """A query of Feast's whose answer travels as parquet, which says what its times mean."""

    def _to_arrow_internal(self, timeout: int | None = None) -> pa.Table:
        with staging_folder(self._config) as staging:
            self.to_spark_df().write.parquet(str(staging / "pulled"))
            return pq.read_table(staging / "pulled")

    def _to_df_internal(self, timeout: int | None = None) -> pd.DataFrame:
        return self._to_arrow_internal(timeout).to_pandas()
