"""Whether Redis drops rows to make room: whoever it dropped would read as an unknown entity.

A heartbeat cannot tell, for it may outlast the rows. The server can: by its `maxmemory_policy`, and
by the `evicted_keys` that it has counted since it started or CONFIG RESETSTAT (`INFO`, Redis 7).
"""

from typing import Any, NamedTuple

from redis import RedisCluster
from redis.exceptions import ResponseError

_REMEDY = (
    "set maxmemory-policy noeviction and memory for all rows, then empty the store, "
    "CONFIG RESETSTAT, and run scripts/refresh.py, which writes every row anew"
)


class Untold(NamedTuple):
    """The server does not say."""

    why: str


def may_lose(client: Any, *, expiring: bool) -> str | Untold | None:
    """Why rows may be missing that were written; None where none can be.

    `expiring`: the rows have a time to live, without which the volatile-* policies pass them over.

    Raises:
        RedisError: no answer at all.
    """
    try:
        servers = _info_of_each(client)
    except ResponseError as error:  # such as NOPERM, or no such command on a managed server
        return Untold(str(error).partition(":")[0])
    for told in servers:
        policy, evicted = told.get("maxmemory_policy"), told.get("evicted_keys")
        if policy is None or evicted is None:
            return Untold("INFO leaves out maxmemory_policy or evicted_keys")
        if str(policy).startswith("allkeys") or (expiring and str(policy).startswith("volatile")):
            return (
                f"Redis may drop them to make room (maxmemory-policy {policy}, {int(evicted):,} "
                f"keys evicted so far): {_REMEDY}"
            )
        if int(evicted) and policy == "noeviction":
            return f"Redis has dropped {int(evicted):,} keys to make room: {_REMEDY}"
    return None


def _info_of_each(client: Any) -> list[dict[str, Any]]:
    """What every server that holds rows tells of itself."""
    if not isinstance(client, RedisCluster):
        return [client.info()]
    told: Any = client.info(target_nodes=RedisCluster.PRIMARIES)
    # redis-py answers for a single node what that node says, else by the nodes' names.
    return [told] if "redis_version" in told else list(told.values())
