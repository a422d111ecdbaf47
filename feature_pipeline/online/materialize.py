"""Bring the online store up to an instant, through Feast's own materialization."""

from collections.abc import Callable, Collection
from contextlib import redirect_stderr, redirect_stdout
from datetime import UTC, datetime
from io import StringIO
from typing import Any

import feast_start  # noqa: F401  (before Feast)
from feast import FeatureStore, FeatureView

from feature_pipeline.remedies import A_LATER_TIME
from storage.errors import RefusedError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Names = Collection[str] | None
"""Views by name; None for every view of the project."""


def refuse_to_go_back(store: FeatureStore, end: datetime, names: Names = None) -> None:
    """Make sure that those views can be materialized up to `end`.

    Raises:
        RefusedError: no view is registered, or one was materialized beyond `end` already, so that
            Feast would skip every row in between for ever.
    """
    views = _views(store, names)
    if not views:
        raise RefusedError("no feature view is registered: run `feast apply` first")
    for view in views:
        ahead = max((until for _, until in view.materialization_intervals), default=end)
        if ahead > end:
            raise RefusedError(
                f"{view.name} is materialized up to {ahead.isoformat()}, beyond {end.isoformat()}: "
                + A_LATER_TIME
            )


def materialize_again(store: FeatureStore, view_name: str, end: datetime) -> None:
    """Write the rows up to `end` of a view of which the online store holds nothing any more.

    Materializations on record beyond `end` are forgotten, the last step of all: as long as one is
    there, no other job goes on from it.
    """
    view = store.get_feature_view(view_name)
    _quietly(store.materialize, end - (view.ttl or end - EPOCH), end, [view_name])
    view = store.registry.get_feature_view(view_name, store.project)
    so_far = [interval for interval in view.materialization_intervals if interval[1] <= end]
    view.materialization_intervals = so_far
    store.registry.apply_feature_view(view, store.project)


def materialize_up_to(store: FeatureStore, end: datetime, names: Names = None) -> None:
    """Write those views' latest rows up to `end` online: all within the ttl, or since the last.

    Raises:
        RefusedError: see `refuse_to_go_back`.
    """
    refuse_to_go_back(store, end, names)
    views = _views(store, names)
    begun = [view.name for view in views if view.materialization_intervals]
    for view in views:
        if view.name not in begun:
            # Feast's incremental run would start a new view at the machine's clock - ttl.
            _quietly(store.materialize, end - (view.ttl or end - EPOCH), end, [view.name])
    if begun:
        _quietly(store.materialize_incremental, end, begun)


def _views(store: FeatureStore, names: Names) -> list[FeatureView]:
    views = store.list_batch_feature_views()
    return [view for view in views if names is None or view.name in names]


def _quietly(materialize: Callable[..., None], *arguments: Any) -> None:
    """Feast prints its own bars, over those of whoever called."""
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        materialize(*arguments)
