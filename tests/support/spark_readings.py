"""Readings of another team, over Spark."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from event_strategies import DAY, HOUR, MONTH, NOON, state
from oracle import Oracle

from feature_pipeline.refreshed import RefreshResult, Tables, Terms


def by_spark(spark: Any, as_of: datetime, tables: Tables, terms: Terms) -> RefreshResult:
    from refreshes import refresh_on_spark

    return refresh_on_spark(spark, as_of, tables, terms)


FEW = Oracle(
    [
        state(NOON, HOUR, 1, "10.00", 2),
        state(NOON + HOUR, 2 * HOUR, 2, "30.00", 3),
        state(NOON + DAY, HOUR, 4, "40.00", 1)._replace(customer_id=2),
    ],
    lookback_window=MONTH,
    allowed_lateness=DAY,
)
TTL = timedelta(days=2)
FEATURES = ["readings:value", "readings:note", "readings:level"]


def readings_of(rows: dict[tuple[str | None, datetime | None], tuple[int | None, str | None]]):
    sensors, stamps = zip(*rows, strict=True)
    values, notes = zip(*rows.values(), strict=True)
    return pa.table(
        {
            "sensor": pa.array(sensors, pa.string()),
            "at": pa.array(stamps, pa.timestamp("us", "UTC")),
            "value": pa.array(values, pa.int64()),
            "note": pa.array(notes, pa.string()),
            "level": pa.array([0.5] * len(rows)),
        }
    )


def opened(folder: Path, rows: pa.Table, *, only_latest: bool = False) -> Any:
    """A store over these readings in two parts behind a link; `spark` is its session."""
    from feast import Entity, FeatureStore, FeatureView, Field, RepoConfig, ValueType
    from feast.infra.offline_stores.contrib.spark_offline_store.spark_source import SparkSource
    from feast.types import Float64, Int64, String

    parts = folder / ".readings" / "1"
    parts.mkdir(parents=True)
    for number in (0, 1):
        pq.write_table(
            rows.take(list(range(number, rows.num_rows, 2))), parts / f"{number}.parquet"
        )
    (folder / "readings.parquet").symlink_to(parts)
    store = FeatureStore(
        config=RepoConfig(
            project="readings",
            provider="local",
            registry=str(folder / "registry.db"),
            offline_store={
                "type": "feature_access.offline_stores.spark_store.PointInTimeSparkOfflineStore",
                "staging_location": str(folder),
            },
            online_store={"type": "sqlite", "path": str(folder / "online.db")},
            materialization={"pull_latest_features": only_latest},
            entity_key_serialization_version=3,
        )
    )
    sensor = Entity(name="sensor", join_keys=["sensor"], value_type=ValueType.STRING)
    view = FeatureView(
        name="readings",
        entities=[sensor],
        ttl=TTL,
        schema=[
            Field(name="value", dtype=Int64, tags={"default": "-1"}),
            Field(name="note", dtype=String),
            Field(name="level", dtype=Float64),
        ],
        source=SparkSource(
            name="readings",
            path=str(folder / "readings.parquet"),
            file_format="parquet",
            timestamp_field="at",
        ),
    )
    store.apply([sensor, view])
    return store
