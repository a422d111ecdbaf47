"""Where the offline features lie (contract §4, §8): in the profile's warehouse."""

import os
from pathlib import Path

from feast import FileSource
from feast.infra.offline_stores.contrib.postgres_offline_store.postgres_source import (
    PostgreSQLSource,
)

WAREHOUSE = Path(__file__).resolve().parent.parent / "data" / "data_warehouse"
PROFILE = Path(os.environ.get("FEAST_FS_YAML_FILE_PATH", "feature_store.yaml")).stem

# No created-timestamp column: the change log is stamped with the time a value became knowable,
# and (customer_id, event_timestamp) is unique in it.
CHANGE_LOG = {
    "name": "data_warehouse.customer_features_offline",
    "timestamp_field": "event_timestamp",
    "description": "Change log of the customer features, one row per arrival and per expiry.",
    "owner": "Data Engineering",
}

if PROFILE == "production":
    customer_features_offline = PostgreSQLSource(
        table="data_warehouse.customer_features_offline", **CHANGE_LOG
    )
elif PROFILE == "spark":
    # Here, because it asks for pyspark, which no other profile does.
    from feast.infra.offline_stores.contrib.spark_offline_store.spark_source import SparkSource

    customer_features_offline = SparkSource(
        path=str(WAREHOUSE / "customer_features_offline.parquet"),
        file_format="parquet",
        **CHANGE_LOG,
    )
else:
    # Absolute, because a relative path would follow the caller's working directory.
    customer_features_offline = FileSource(
        path=str(WAREHOUSE / "customer_features_offline.parquet"), **CHANGE_LOG
    )
