"""Writes of one view to Redis: the hashes, fields and bytes that Feast writes, only faster.

Feast packs and answers for each row argument by argument. Here rows go out in large chunks, each
one write of ready commands, after one question for the times that the store holds: a row that is
older than what is there changes nothing (see `row_time`).
"""

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp
from redis import RedisCluster

from feature_access.online_stores.redis_hashes import FieldsOf, Hash, round_trip
from feature_access.online_stores.redis_layout import RedisLayout
from feature_access.online_stores.row_time import NEVER, OnlineWrite, row_time

_CHUNK = 5_000
_CREATED = struct.Struct(">q")


class Write(NamedTuple):
    """One entity's row, as it is to lie in its hash."""

    key: bytes
    stamp: int
    """Microseconds since 1970."""
    names: tuple[str, ...]
    values: tuple[bytes, ...]
    created: int = NEVER
    """Microseconds since 1970."""


def writes_of(layout: RedisLayout, rows: Sequence[OnlineWrite]) -> Iterator[Write]:
    """Feast's rows; it takes a naive time for UTC."""
    for key, (_, values, at, made) in zip(layout.keys([r[0] for r in rows]), rows, strict=True):
        stamp, created = row_time(at, made)
        serialized = tuple([value.SerializeToString() for value in values.values()])
        yield Write(key, stamp, tuple(values), serialized, created)


class RedisWriter:
    """One view of a Redis; `expiry` is in seconds from the write of a newer row."""

    def __init__(self, client: Any, layout: RedisLayout, expiry: int | None) -> None:
        self._client = client
        self._layout = layout
        self._expiry = expiry
        more = [layout.created] if layout.created else []
        self._times = FieldsOf([layout.stamp, *more])
        self._templates: dict[tuple[str, ...], bytes] = {}

    def write(self, rows: Iterable[Write], progress: Callable[[int], Any] | None) -> None:
        """Write those rows that are not older than what the store holds, the last of equals.

        A chunk that fails for want of a connection is tried again as often as the client's options
        say; writing it twice is writing it once.

        Raises:
            RedisError: not all of it was written.
        """
        in_cluster = isinstance(self._client, RedisCluster)  # which tries again by itself
        retry = None if in_cluster else self._client.get_retry()
        remaining = iter(rows)
        while chunk := list(islice(remaining, _CHUNK)):
            if retry is None:
                self._write(chunk)
            else:
                retry.call_with_retry(lambda chunk=chunk: self._write(chunk), lambda error: None)
            if progress:
                progress(len(chunk))

    def _write(self, rows: Sequence[Write]) -> None:
        held = self._times.ask(self._client, [row.key for row in rows])
        chosen = [*self._not_older(rows, held)]
        if isinstance(self._client, RedisCluster):
            self._queue(chosen).execute()
        elif chosen:
            commands = [command for row, newer in chosen for command in self._packed(row, newer)]
            round_trip(self._client, b"".join(commands), len(commands))

    def _not_older(
        self, rows: Sequence[Write], held: Sequence[Hash]
    ) -> Iterator[tuple[Write, bool]]:
        """The rows that count, and whether each is newer: what one writes, those after it find."""
        latest = {
            row.key: _time(stamp, *created)
            for row, (stamp, *created) in zip(rows, held, strict=True)
            if stamp
        }
        for row in rows:
            time, before = (row.stamp * 1_000, row.created), latest.get(row.key)
            if before is None or time >= before:
                latest[row.key] = time
                yield row, before is None or time[0] > before[0]

    def _queue(self, rows: Iterable[tuple[Write, bool]]) -> Any:
        """The rows in a pipeline, which finds the server of each."""
        pipe = self._client.pipeline(transaction=False)
        for row, newer in rows:
            fields = self._fields(row.names)
            pipe.hset(row.key, mapping=dict(zip(fields, self._values(row), strict=True)))
            if self._expiry and newer:
                pipe.expire(row.key, self._expiry)
        return pipe

    def _packed(self, row: Write, newer: bool) -> Iterator[bytes]:
        """The commands of a row; what is written again at its old time expires when it would."""
        measured = [part for value in (row.key, *self._values(row)) for part in (len(value), value)]
        yield self._template(row.names) % tuple(measured)
        if self._expiry and newer:
            expiry = str(self._expiry).encode()
            yield b"*3\r\n$6\r\nEXPIRE\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n" % (
                *(len(row.key), row.key, len(expiry), expiry),
            )

    def _values(self, row: Write) -> tuple[bytes, ...]:
        """What lies in the fields, in their order."""
        seconds, microseconds = divmod(row.stamp, 1_000_000)
        stamp = Timestamp(seconds=seconds, nanos=microseconds * 1_000).SerializeToString()
        if self._layout.created is None:
            return (stamp, *row.values)
        return (stamp, _CREATED.pack(row.created), *row.values)

    def _fields(self, names: tuple[str, ...]) -> list[bytes]:
        layout = self._layout
        times = [layout.stamp] if layout.created is None else [layout.stamp, layout.created]
        return [*times, *map(layout.field, names)]

    def _template(self, names: tuple[str, ...]) -> bytes:
        """HSET of those features, with a gap for the key and for each value."""
        if names not in self._templates:
            fields = self._fields(names)
            gap = b"$%d\r\n%s\r\n"
            self._templates[names] = b"*%d\r\n$4\r\nHSET\r\n" % (2 + 2 * len(fields)) + gap
            for field in fields:
                # A field is four bytes of a hash, of which any may be a per cent sign.
                named = b"$%d\r\n%s\r\n" % (len(field), field)
                self._templates[names] += named.replace(b"%", b"%%") + gap
        return self._templates[names]


def _time(stamp: bytes, created: bytes | None = None) -> tuple[int, int]:
    """When a held row is from, in nanoseconds, and when it was created."""
    held = Timestamp.FromString(stamp)
    nanoseconds = int(held.seconds) * 1_000_000_000 + int(held.nanos)
    return nanoseconds, _CREATED.unpack(created)[0] if created else NEVER
