"""Spark, where the chosen profile has it make and read the lake."""

from typing import TYPE_CHECKING

from feast import RepoConfig

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_STORE = "feature_access.offline_stores.spark_store.PointInTimeSparkOfflineStore"


def lake_session(config: RepoConfig) -> "SparkSession | None":
    """The profile's session, started if need be; None where another engine is chosen."""
    if config.offline_store.type != _STORE:
        return None
    # Imported late: it asks for pyspark, which no other profile does.
    from feature_access.offline_stores.spark_lake import spark_session

    return spark_session(config)
