"""The registry, read through Feast: the one module of this package that knows Feast.

Feast takes seconds to import, so it is imported only when a registry is really read.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import copy
from tempfile import TemporaryDirectory
from typing import Any

import feast_start  # noqa: F401  (before Feast)
import pyarrow as pa

from contract_checks.evidence.declared import (
    RegisteredEntity,
    RegisteredField,
    RegisteredService,
    RegisteredView,
    Registry,
    Warehouse,
)
from contract_checks.evidence.facts import MissingEvidence
from contract_checks.evidence.profile import chosen_profile

Read = Callable[[pa.Table], pa.Table]
"""See `OnlineReader`."""
_SQLITE = "sqlite:///"
_END = datetime.max.replace(tzinfo=UTC)


def read_registry(
    repository: Path, as_of: datetime = _END, environment: Mapping[str, str] = os.environ
) -> Registry | MissingEvidence:
    """What is registered for `repository`, by the profile that the environment chooses.

    How far views were materialized is told as known at `as_of`.
    """
    try:
        store = _open(repository, environment)
    except MissingEvidence as missing:
        return missing
    entities = {e.name: _entity(e) for e in store.list_entities()}
    views = store.list_batch_feature_views()
    return Registry(
        project=store.project,
        entities=entities,
        views={v.name: _view(v, entities, as_of, store.config.offline_store) for v in views},
        services={s.name: _service(s) for s in store.list_feature_services()},
    )


def _open(repository: Path, environment: Mapping[str, str] = os.environ) -> Any:
    """The repository's store.

    Raises:
        MissingEvidence: see `chosen_profile`; or there is no registry yet.
    """
    settings = chosen_profile(repository, environment)

    from feast import FeatureStore
    from feast.repo_config import load_repo_config

    config = load_repo_config(repository, settings)
    path = config.registry.path
    kind = _SQLITE if path.startswith(_SQLITE) else ""
    if kind or (config.registry.registry_type == "file" and "://" not in path):
        # Relative to the repository, and never created by a mere look at it.
        file = repository.resolve() / path.removeprefix(_SQLITE)
        if not file.is_file():
            raise MissingEvidence(f"no registry at {file}: run `feast apply` in {repository}")
        config.registry.path = f"{kind}{file}"
    return FeatureStore(config=config)


def read_point_in_time(
    repository: Path, view_name: str, history: Path, entities: pa.Table, scratch: Path
) -> pa.Table:
    """Join `entities` to a view as it is registered, but with `history` for its source.

    The join is the registered offline store's own; only the registry, in `scratch`, is another.
    """
    from feast import FeatureStore, FeatureView, RepoConfig

    store = _open(repository)
    registered = store.get_feature_view(view_name)
    keys = [store.get_entity(name) for name in registered.entities]
    with _in_place_of(registered.batch_source, history, store.config.offline_store) as source:
        probed = FeatureView(
            name=registered.name,
            entities=keys,
            ttl=registered.ttl,
            schema=registered.features,
            source=source,
        )
        config = RepoConfig(
            project=store.project,
            provider="local",
            registry=str(scratch / "registry.db"),
            offline_store=store.config.offline_store,
            online_store={"type": "sqlite", "path": str(scratch / "online_store.db")},
            entity_key_serialization_version=store.config.entity_key_serialization_version,
            repo_path=repository,
        )
        apart = FeatureStore(config=config)
        apart.apply([*keys, probed])
        features = [f"{probed.name}:{field.name}" for field in probed.features]
        return apart.get_historical_features(entities.to_pandas(), features).to_arrow()


@contextmanager
def _in_place_of(declared: Any, history: Path, offline_store: Any) -> Iterator[Any]:
    """A source of the declared one's kind that holds the rows of `history`."""
    alike = {
        "timestamp_field": declared.timestamp_field,
        "created_timestamp_column": declared.created_timestamp_column,
        "field_mapping": declared.field_mapping,
    }
    warehouse = _warehouse(declared, offline_store)
    if _is_of_spark(declared):
        with TemporaryDirectory(dir=offline_store.staging_location) as seen_by_every_worker:
            staged = copy(history, seen_by_every_worker)
            yield type(declared)(name="probes", path=staged, file_format="parquet", **alike)
        return
    if warehouse is None:
        from feast import FileSource

        yield FileSource(path=str(history), **alike)
        return

    from contract_checks.evidence.warehouse import lent

    with lent(warehouse, history) as table:
        yield type(declared)(name=table, table=table, **alike)


def online_reader(repository: Path, view_name: str) -> "OnlineReader":
    """The online store as models read it, of one view.

    Raises:
        MissingEvidence: see `chosen_profile`; or there is no registry yet.
    """
    return OnlineReader(_open(repository), view_name)


class OnlineReader:
    """Tells what the online store serves for entities, in their order, and how far it says it is.

    Beside each feature its `<feature>__ts`: seconds since 1970 of the row it is from, 0 for none.
    """

    def __init__(self, store: Any, view_name: str) -> None:
        self._store = store  # once, for to open it takes longer than some hundred entities
        self._view = store.get_feature_view(view_name)
        # A store that drops rows answers with defaults whomever it dropped.
        refuse = getattr(store._get_provider().online_store, "refuse_to_lose", None)
        if refuse:
            refuse(store.config, self._view)

    def __call__(self, keys: pa.Table) -> pa.Table:
        """A row of features for each row of keys."""
        fields = self._view.features
        if keys.num_rows == 0:  # which Feast refuses to be asked for
            columns = [*keys.column_names, *(n for f in fields for n in (f.name, f"{f.name}__ts"))]
            return pa.table({name: [] for name in columns})
        features = [f"{self._view.name}:{field.name}" for field in fields]
        answer = self._store.get_online_features(features, keys.to_pylist())
        return pa.table(answer.to_dict(include_event_timestamps=True))

    def heartbeat(self) -> datetime | None:
        """Up to when the store testifies to the view; None where it does not do such a thing."""
        online_store = self._store._get_provider().online_store
        testify = getattr(online_store, "materialized_to", None)
        found: datetime | None = testify(self._store.config, self._view) if testify else None
        return found


def _entity(entity: Any) -> RegisteredEntity:
    return RegisteredEntity(
        name=entity.name,
        join_keys=(entity.join_key,),
        dtype=str(entity.value_type.name),
        owner=entity.owner,
        description=entity.description,
    )


def _service(service: Any) -> RegisteredService:
    served = service.feature_view_projections
    return RegisteredService(
        views={p.name: tuple(sorted(field.name for field in p.features)) for p in served},
        owner=service.owner,
        description=service.description,
        renamed=tuple(p.name for p in served if p.name_alias or p.join_key_map),
    )


def _view(
    view: Any, entities: dict[str, RegisteredEntity], as_of: datetime, offline_store: Any
) -> RegisteredView:
    source, ends = view.batch_source, [end for _, end in view.materialization_intervals]
    return RegisteredView(
        name=view.name,
        entities=tuple(entities[name] for name in view.entities if name in entities),
        ttl=view.ttl or timedelta(0),
        owner=view.owner,
        description=view.description,
        tags=dict(view.tags),
        fields=tuple(
            RegisteredField(field.name, str(field.dtype), field.tags.get("default"))
            for field in sorted(view.features, key=lambda field: str(field.name))
        ),
        online=view.online,
        source=source.name,
        source_path=_path_or_table(source),
        source_owner=source.owner,
        timestamp_field=source.timestamp_field,
        created_timestamp_field=source.created_timestamp_column,
        materialized_to=max((end for end in ends if end <= as_of), default=None),
        materialized_beyond=max((end for end in ends if end > as_of), default=None),
        warehouse=_warehouse(source, offline_store),
    )


def _path_or_table(source: Any) -> str:
    return str(source.get_table_query_string() if _is_postgres(source) else source.path)


def _warehouse(source: Any, offline_store: Any) -> Warehouse | None:
    """Where a PostgreSQL source lies, without who may ask it."""
    if not _is_postgres(source):
        return None
    return Warehouse(
        host=offline_store.host,
        port=int(offline_store.port),
        database=offline_store.database,
        sslmode=offline_store.sslmode,
    )


def _is_of_spark(source: Any) -> bool:
    # By name: its module asks for pyspark, which no other profile does.
    return type(source).__name__ == "SparkSource"


def _is_postgres(source: Any) -> bool:
    return type(source).__name__ == "PostgreSQLSource"
