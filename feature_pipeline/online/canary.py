"""Canary materialization (contract §11): a few entities, materialized apart from what is served.

The same online store, offline store and engine, but a Feast project of its own, whose registry is
a temporary file. Nothing that is served is read or written. What is made lies beside the offline
table, so that an erasure finds what a killed canary left there, and the next one clears it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import feast_start  # noqa: F401  (before Feast)
import pyarrow as pa
from feast import Entity, FeatureStore, FeatureView, FileSource, RepoConfig
from feast.data_source import DataSource
from feast.infra.offline_stores.contrib.postgres_offline_store.postgres_source import (
    PostgreSQLSource,
)

from feature_pipeline.compute_engines.postgres.keys import near
from feature_pipeline.online.materialize import materialize_up_to
from storage.atomic import scratch_folder
from storage.duckdb_session import copy_to, embedded_engine, parquet_at
from storage.errors import RefusedError
from storage.parquet_table import is_table


def read_back(store: FeatureStore, view_name: str, keys: pa.Table, as_of: datetime) -> pa.Table:
    """What the online store answers for `keys` after a materialization of theirs alone.

    One row per row of `keys`, in their order: the join keys and the view's features.

    Raises:
        RefusedError: the offline table is not there, or the canary's place is taken.
    """
    registered = store.get_feature_view(view_name)
    _refuse_to_clear_another(store, view_name)
    with scratch_folder(_beside(registered, store), "canary") as scratch:
        entities = [store.get_entity(name) for name in registered.entities]
        view = FeatureView(
            name=registered.name,
            entities=entities,
            ttl=registered.ttl,
            schema=registered.features,
            source=_slice(
                registered.batch_source, keys, as_of.isoformat(), scratch / "slice.parquet"
            ),
        )
        with _namespace(store, scratch, entities, view) as canary:
            materialize_up_to(canary, as_of)
            features = [f"{view.name}:{field.name}" for field in view.features]
            return pa.table(canary.get_online_features(features, keys.to_pylist()).to_dict())


def _refuse_to_clear_another(store: FeatureStore, view_name: str) -> None:
    """Stores that keep a table a view name it `<project>_<view>`, which can be read in two ways."""
    other = f"canary_{view_name}"
    if other in {view.name for view in store.list_batch_feature_views()}:
        raise RefusedError(
            f"feature view {other} lies where the canary of {view_name} would be written and "
            "cleared: give it another name"
        )


def _beside(view: FeatureView, store: FeatureStore) -> Path:
    """Where what is made lies: beside the offline table, or in data/ if that is in a warehouse."""
    if isinstance(view.batch_source, PostgreSQLSource):
        return Path(store.config.repo_path or ".") / "data"
    offline = Path(view.batch_source.path)
    if not is_table(offline):
        raise RefusedError(f"no offline table at {offline}: run scripts/refresh.py first")
    return offline.parent


def _slice(offline: DataSource, keys: pa.Table, seed: str, target: Path) -> DataSource:
    """The offline table's rows of these entities, cut into a file.

    A warehouse selects them, and a few more, by a condition that names nobody (see `near`).
    """
    if isinstance(offline, PostgreSQLSource):
        rows = f"SELECT * FROM {offline.get_table_query_string()} AS f WHERE {near(keys, seed)}"
        return PostgreSQLSource(
            name=offline.name, query=rows, timestamp_field=offline.timestamp_field
        )
    names = ", ".join(f'"{name}"' for name in keys.column_names)
    with embedded_engine(target.parent) as connection:
        connection.register("keys", keys)
        query = f"SELECT * FROM read_parquet($offline) SEMI JOIN keys USING ({names})"
        copy_to(connection, query, target, {"offline": parquet_at(Path(offline.path))})
    alike = {"path": str(target), "timestamp_field": offline.timestamp_field}
    if isinstance(offline, FileSource):
        return FileSource(**alike)
    # Spark's, whose module asks for pyspark, which no other profile does.
    return type(offline)(name=offline.name, file_format="parquet", **alike)


@contextmanager
def _namespace(
    store: FeatureStore, scratch: Path, entities: list[Entity], view: FeatureView
) -> Iterator[FeatureStore]:
    """A store in which `view` is applied under a project of its own, and of which nothing is left.

    Feast's own `teardown` is no way to clear it up: it deletes the whole SQLite file.
    """
    real = store.config
    canary = FeatureStore(
        config=RepoConfig(
            project=f"{store.project}_canary",
            provider=real.provider,
            registry=str(scratch / "registry.db"),
            offline_store=real.offline_store,
            online_store=real.online_store,
            batch_engine=real.batch_engine_config,
            materialization=real.materialization_config,
            entity_key_serialization_version=real.entity_key_serialization_version,
            repo_path=real.repo_path,
        )
    )

    def clear() -> None:
        canary.apply([], objects_to_delete=[view], partial=False)

    canary.apply([*entities, view])
    clear()  # of what a run that was killed may have left
    canary.apply([*entities, view])
    try:
        yield canary
    finally:
        clear()
