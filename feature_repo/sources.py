"""Where the offline features lie (contract §4, §8)."""

from pathlib import Path

from feast import FileSource

WAREHOUSE = Path(__file__).resolve().parent.parent / "data" / "data_warehouse"

# Absolute, because a relative path would follow the caller's working directory.
# No created-timestamp column: the change log is stamped with the time a value became knowable,
# and (customer_id, event_timestamp) is unique in it.
customer_features_offline = FileSource(
    name="data_warehouse.customer_features_offline",
    path=str(WAREHOUSE / "customer_features_offline.parquet"),
    timestamp_field="event_timestamp",
    description="Change log of the customer features, one row per arrival and per expiry.",
    owner="Data Engineering",
)
