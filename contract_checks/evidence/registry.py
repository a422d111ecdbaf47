"""The registry, read through Feast: the one module of this package that knows Feast.

Feast takes seconds to import, so it is imported only when a registry is really read.
"""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from contract_checks.evidence.facts import (
    MissingEvidence,
    RegisteredEntity,
    RegisteredField,
    RegisteredView,
    Registry,
)

_SQLITE = "sqlite:///"


def read_registry(repository: Path) -> Registry | MissingEvidence:
    """What is registered for the repository whose `feature_store.yaml` lies in `repository`."""
    store = _open(repository)
    if isinstance(store, MissingEvidence):
        return store
    entities = {e.name: _entity(e) for e in store.list_entities()}
    return Registry(
        project=store.project,
        entities=entities,
        views={v.name: _view(v, entities) for v in store.list_batch_feature_views()},
        services={
            s.name: {
                p.name: tuple(sorted(field.name for field in p.features))
                for p in s.feature_view_projections
            }
            for s in store.list_feature_services()
        },
    )


def _open(repository: Path) -> Any:
    """The repository's store, or why there is none."""
    settings = repository / "feature_store.yaml"
    if not settings.is_file():
        return MissingEvidence(f"no {settings}: name the feature repository with --repository")

    from feast import FeatureStore
    from feast.repo_config import load_repo_config

    config = load_repo_config(repository, settings)
    path = config.registry.path
    if path.startswith(_SQLITE):
        # Relative to the repository, and never created by a mere look at it.
        file = repository.resolve() / path.removeprefix(_SQLITE)
        if not file.is_file():
            return MissingEvidence(f"no registry at {file}: run `feast apply` in {repository}")
        config.registry.path = f"{_SQLITE}{file}"
    return FeatureStore(config=config)


def read_point_in_time(
    repository: Path, view_name: str, history: Path, entities: pa.Table, scratch: Path
) -> pa.Table:
    """Join `entities` to a view as it is registered, but with `history` for its source.

    The join is the registered offline store's own; only the registry, in `scratch`, is another.
    """
    from feast import FeatureStore, FeatureView, FileSource, RepoConfig

    store = _open(repository)
    registered = store.get_feature_view(view_name)
    source = FileSource(path=str(history), timestamp_field=registered.batch_source.timestamp_field)
    keys = [store.get_entity(name) for name in registered.entities]
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


def read_online(repository: Path, view_name: str, keys: pa.Table) -> pa.Table:
    """What the online store serves for the entities, in their order.

    Beside each feature its `<feature>__ts`: seconds since 1970 of the row it is from, 0 for none.
    """
    store = _open(repository)
    features = [f"{view_name}:{field.name}" for field in store.get_feature_view(view_name).features]
    answer = store.get_online_features(features, keys.to_pylist())
    return pa.table(answer.to_dict(include_event_timestamps=True))


def _entity(entity: Any) -> RegisteredEntity:
    return RegisteredEntity(entity.name, (entity.join_key,), str(entity.value_type.name))


def _view(view: Any, entities: dict[str, RegisteredEntity]) -> RegisteredView:
    source = view.batch_source
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
        source_path=source.path,
        source_owner=source.owner,
        timestamp_field=source.timestamp_field,
        materialized_to=_materialized_to(view),
    )


def _materialized_to(view: Any) -> datetime | None:
    return max((end for _, end in view.materialization_intervals), default=None)
