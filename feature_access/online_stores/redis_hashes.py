"""HMGET of the same fields of many hashes in one round trip, at the cost of the bytes alone.

redis-py packs each command argument by argument and unpacks each reply through several calls; for
a thousand hashes that takes longer than Redis and the network do. Here a command is its key between
two constants, all commands are one write, and the replies are read as redis-py's connection parses
them. Connections are its own, with its pool, time limits and TLS.

In a cluster the hashes lie on several servers, and redis-py's pipeline finds them.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from redis import RedisCluster
from redis.asyncio import RedisCluster as AsyncRedisCluster

Hash = list[bytes | None]
"""The values of the fields asked for, None for what the hash does not hold."""


def round_trip(client: Any, commands: bytes, replies: int) -> list[Any]:
    """What a single server replies to packed commands.

    Raises:
        RedisError: a reply is an error, or did not come; the connection is closed, so that no later
            question finds the rest of one.
    """
    pool = client.connection_pool
    connection = pool.get_connection()
    try:
        connection.send_packed_command([commands])
        read = connection.read_response
        return [read() for _ in range(replies)]
    except BaseException:
        connection.disconnect()
        raise
    finally:
        pool.release(connection)


class FieldsOf:
    """The question for some fields, of whatever hashes."""

    def __init__(self, fields: Sequence[bytes]) -> None:
        self._fields = list(fields)
        self._before = b"*%d\r\n$5\r\nHMGET\r\n" % (2 + len(fields))
        self._after = b"".join(b"\r\n$%d\r\n%s" % (len(f), f) for f in fields) + b"\r\n"

    def ask(self, client: Any, keys: Sequence[bytes]) -> list[Hash]:
        """The fields of each hash, in order.

        Raises:
            RedisError: there is no answer.
        """
        if isinstance(client, RedisCluster):
            pipe: Any = client.pipeline(transaction=False)  # type: ignore[no-untyped-call]
            self._queue(pipe, keys)
            answered: list[Hash] = pipe.execute()
            return answered
        return round_trip(client, self._packed(keys), len(keys))

    async def ask_async(self, client: Any, keys: Sequence[bytes]) -> list[Hash]:
        """See `ask`."""
        if isinstance(client, AsyncRedisCluster):
            pipe = client.pipeline(transaction=False)
            self._queue(pipe, keys)
            answered: list[Hash] = await pipe.execute()
            return answered
        pool = client.connection_pool
        connection = await pool.get_connection()
        try:
            await connection.send_packed_command([self._packed(keys)])
            return [await connection.read_response() for _ in keys]
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        finally:
            await pool.release(connection)

    def _queue(self, pipe: Any, keys: Iterable[bytes]) -> None:
        for key in keys:
            pipe.hmget(key, self._fields)

    def _packed(self, keys: Sequence[bytes]) -> bytes:
        before, after = self._before, self._after
        return b"".join([b"%s$%d\r\n%s%s" % (before, len(key), key, after) for key in keys])
