"""A feature store over any engine's change log, whatever events it was made of."""

from pathlib import Path
from typing import Any

from engines import Lake, Place, Warehouse
from event_strategies import MONTH
from oracle import Profile
from warehouse import LOG, SECRET, TRAINING

FEATURES = [f"customer_profile_v1:{name}" for name in Profile._fields]
STAMPED = {"name": "log", "timestamp_field": "event_timestamp"}


def opened(place: Place, folder: Path) -> Any:
    """With the features, the ttl and the defaults of the project's own view."""
    from feast import Entity, FeatureStore, FeatureView, Field, RepoConfig, ValueType
    from feast.types import Float64, Int64

    offline_store, source = (
        _of_warehouse(place) if isinstance(place, Warehouse) else _of_lake(place, folder)
    )
    store = FeatureStore(
        config=RepoConfig(
            project="engines",
            provider="local",
            registry=str(folder / "registry.db"),
            offline_store=offline_store,
            online_store={"type": "sqlite", "path": str(folder / "online.db")},
            entity_key_serialization_version=3,
        )
    )
    customer = Entity(name="customer_id", join_keys=["customer_id"], value_type=ValueType.INT64)
    kinds = dict.fromkeys(Profile._fields, Int64) | {Profile._fields[0]: Float64}
    view = FeatureView(
        name="customer_profile_v1",
        entities=[customer],
        ttl=MONTH,
        schema=[Field(name=n, dtype=kind, tags={"default": "0"}) for n, kind in kinds.items()],
        source=source,
    )
    store.apply([customer, view])
    return store


def _of_lake(place: Lake, folder: Path) -> tuple[dict[str, Any], Any]:
    path = str(place.tables.history)
    if place.engine == "duckdb":
        from feast import FileSource

        store = {"type": "feature_access.offline_stores.duckdb_store.PointInTimeOfflineStore"}
        return store, FileSource(path=path, **STAMPED)
    from feast.infra.offline_stores.contrib.spark_offline_store.spark_source import SparkSource

    store = {
        "type": "feature_access.offline_stores.spark_store.PointInTimeSparkOfflineStore",
        "staging_location": str(folder),
    }
    return store, SparkSource(path=path, file_format="parquet", **STAMPED)


def _of_warehouse(place: Warehouse) -> tuple[dict[str, Any], Any]:
    from feast.infra.offline_stores.contrib.postgres_offline_store.postgres_source import (
        PostgreSQLSource,
    )

    training = place.database.seen_by(TRAINING, SECRET)
    store = {
        "type": "feature_access.offline_stores.postgres_store.PointInTimePostgresOfflineStore",
        "host": "127.0.0.1",
        "port": training.port,
        "database": training.name,
        "user": training.user,
        "password": training.password,
        "sslmode": "disable",
    }
    return store, PostgreSQLSource(table=LOG, **STAMPED)
