"""A store that is materialized up to a time, and what it says of that."""

from feast_households import (
    VIEW,
)


def materialize(store, *ends) -> None:
    from feature_pipeline.online.materialize import materialize_up_to

    for end in ends:
        materialize_up_to(store, end)


def stands_at(store, view: str = VIEW):
    """What the heartbeat says."""
    online_store = store._get_provider().online_store
    return online_store.materialized_to(store.config, store.get_feature_view(view))
