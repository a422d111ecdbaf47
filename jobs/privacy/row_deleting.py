"""The online store, as one that rows can leave."""

from typing import TYPE_CHECKING

from storage.errors import RefusedError

if TYPE_CHECKING:
    from feast import FeatureStore

    from feature_access.online_stores.row_deletion import RowDeletingOnlineStore


def row_deleting(store: "FeatureStore") -> "RowDeletingOnlineStore":
    """The repository's own.

    Raises:
        RefusedError: it is of a kind that knows no way to do that.
    """
    import feast_start  # noqa: F401  (before Feast)
    from feast.infra.online_stores.helpers import get_online_store_from_config

    from feature_access.online_stores.row_deletion import RowDeletingOnlineStore

    online = get_online_store_from_config(store.config.online_store)
    if not isinstance(online, RowDeletingOnlineStore):
        raise RefusedError(f"{type(online).__name__} knows no way to forget a row: teach it one")
    return online
