"""Bring the online store up to an instant, through Feast's own materialization."""

from contextlib import redirect_stderr, redirect_stdout
from datetime import UTC, datetime
from io import StringIO

import feast_start  # noqa: F401  (before Feast)
from feast import FeatureStore

from feature_pipeline.refusal import RefusedError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def refuse_to_go_back(store: FeatureStore, end: datetime) -> None:
    """Make sure that every view can be materialized up to `end`.

    Raises:
        RefusedError: no view is registered, or one was materialized beyond `end` already, so that
            Feast would skip every row in between for ever.
    """
    views = store.list_batch_feature_views()
    if not views:
        raise RefusedError("no feature view is registered: run `feast apply` first")
    for view in views:
        ahead = max((until for _, until in view.materialization_intervals), default=end)
        if ahead > end:
            raise RefusedError(
                f"{view.name} is materialized up to {ahead.isoformat()}, beyond {end.isoformat()}: "
                "name a later time, or apply and materialize anew"
            )


def materialize_up_to(store: FeatureStore, end: datetime) -> None:
    """Write each view's latest rows up to `end` online: all within its ttl, or since the last.

    Raises:
        RefusedError: see `refuse_to_go_back`.
    """
    refuse_to_go_back(store, end)
    views = store.list_batch_feature_views()
    begun = [view.name for view in views if view.materialization_intervals]
    # Feast prints its own bars, over those of whoever called.
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        for view in views:
            if view.name not in begun:
                # Feast's incremental run would start a new view at the machine's clock - ttl.
                store.materialize(end - (view.ttl or end - EPOCH), end, [view.name])
        if begun:
            store.materialize_incremental(end, begun)
