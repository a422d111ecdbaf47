"""Whether the Redis that production serves from keeps every row that it is given."""

import feast_start  # noqa: F401  (before Feast)
from redis.exceptions import RedisError

from feature_access.online_stores.redis_memory import Untold, may_lose
from storage.errors import RefusedError

REDIS_VARIABLE = "FEATURE_STORE_REDIS"

_ONCE = "socket_connect_timeout=5,socket_timeout=30,retry=null"
"""What the address itself names goes before it."""


def why_redis_may_lose(address: str) -> str | None:
    """Why rows may go that were written, or why nobody can tell; None where every row stays.

    `address` is the profile's `connection_string`. Any policy but noeviction counts, for a key may
    be given a time to live later.

    Raises:
        RefusedError: no Redis answers there.
    """
    from feature_access.online_stores.redis_store import (
        DefaultingRedisOnlineStore,
        DefaultingRedisOnlineStoreConfig,
    )

    config = DefaultingRedisOnlineStoreConfig(
        type="feature_access.online_stores.redis_store.DefaultingRedisOnlineStore",
        connection_string=f"{_ONCE},{address}",
    )
    try:
        told = may_lose(DefaultingRedisOnlineStore()._get_client(config), expiring=True)
    except (RedisError, OSError, ValueError) as error:
        raise RefusedError(
            f"no Redis answers at {REDIS_VARIABLE} ({type(error).__name__}): see whether it runs "
            "and whether address and password are right"
        ) from None
    if isinstance(told, Untold):
        return f"noeviction: nobody can tell ({told.why}); ask its operator for that policy"
    return told
