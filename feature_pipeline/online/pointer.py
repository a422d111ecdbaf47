"""Move the pointer: the feature service by the feature's bare name (contract §10)."""

import feast_start  # noqa: F401  (before Feast)
from feast import FeatureService, FeatureStore, FeatureView
from feast.errors import FeatureServiceNotFoundException, FeatureViewNotFoundException

from storage.errors import RefusedError


def pointed_at(store: FeatureStore, service: str) -> str | None:
    """The feature view that the service serves; None where there is no such service."""
    try:
        projections = store.get_feature_service(service).feature_view_projections
    except FeatureServiceNotFoundException:
        return None
    return str(projections[0].name) if projections else None


def refuse_unless_servable(store: FeatureStore, view: str) -> FeatureView:
    """The view as it is registered.

    Raises:
        RefusedError: the view is not registered or was never materialized.
    """
    try:
        target = store.get_feature_view(view)
    except FeatureViewNotFoundException as error:
        raise RefusedError(f"no feature view {view}: run `feast apply` first") from error
    if not target.materialization_intervals:
        raise RefusedError(f"{view} was never materialized: run scripts/refresh.py first")
    return target


def point(store: FeatureStore, service: str, view: str) -> None:
    """Let the service serve every feature of the view, in one write of the registry.

    Readers see the version before or this one, whole; never a part of each.

    Raises:
        RefusedError: see `refuse_unless_servable`.
    """
    target = refuse_unless_servable(store, view)
    try:
        before = store.get_feature_service(service)
        description, owner, tags = before.description, before.owner, dict(before.tags)
    except FeatureServiceNotFoundException:
        description, owner, tags = "", target.owner, {}
    moved = FeatureService(
        name=service,
        features=[target],
        description=description,
        owner=owner,
        tags=tags | {"serves": view},
    )
    # `FeatureStore.apply` is not to move it.
    store.registry.apply_feature_service(moved, project=store.project)
    store.refresh_registry()
