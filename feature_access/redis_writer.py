"""Writes of one view to Redis: the hashes, fields and bytes that Feast writes, only faster.

Feast packs and answers for each row argument by argument. Here rows go out in large chunks, each
one write of ready commands, after one question for the stamps that the store holds: a row that is
not newer than what is there changes nothing.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, NamedTuple

from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from google.protobuf.timestamp_pb2 import Timestamp

from feature_access.redis_hashes import FieldsOf, round_trip
from feature_access.redis_layout import RedisLayout

OnlineWrite = tuple[EntityKey, dict[str, Value], datetime, datetime | None]

_CHUNK = 5_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Write(NamedTuple):
    """One entity's row, as it is to lie in its hash."""

    key: bytes
    stamp: int
    """Microseconds since 1970."""
    names: tuple[str, ...]
    values: tuple[bytes, ...]


def writes_of(layout: RedisLayout, rows: Sequence[OnlineWrite]) -> Iterator[Write]:
    """Feast's rows; it takes a naive time for UTC."""
    for key, (_, values, at, _) in zip(layout.keys([r[0] for r in rows]), rows, strict=True):
        since = (at if at.tzinfo else at.replace(tzinfo=UTC)) - _EPOCH
        serialized = tuple([value.SerializeToString() for value in values.values()])
        yield Write(key, since // _MICROSECOND, tuple(values), serialized)


class RedisWriter:
    """One view of a Redis that is a single server; `expiry` is in seconds from the write."""

    def __init__(self, client: Any, layout: RedisLayout, expiry: int | None) -> None:
        self._client = client
        self._layout = layout
        self._expiry = expiry
        self._stamps = FieldsOf([layout.stamp])
        self._templates: dict[tuple[str, ...], bytes] = {}

    def write(self, rows: Iterable[Write], progress: Callable[[int], Any] | None) -> None:
        """Write those rows that are newer than what the store holds, the first of equals.

        A chunk that fails for want of a connection is tried again as often as the client's options
        say; writing it twice is writing it once.

        Raises:
            RedisError: not all of it was written.
        """
        retry = self._client.get_retry()
        remaining = iter(rows)
        while chunk := list(islice(remaining, _CHUNK)):
            if retry is None:
                self._write(chunk)
            else:
                retry.call_with_retry(lambda chunk=chunk: self._write(chunk), lambda error: None)
            if progress:
                progress(len(chunk))

    def _write(self, rows: Sequence[Write]) -> None:
        held = self._stamps.ask(self._client, [row.key for row in rows])
        commands = [*self._newer(rows, [stamp for (stamp,) in held])]
        replies = len(commands) * (2 if self._expiry else 1)
        if commands:
            round_trip(self._client, b"".join(commands), replies)

    def _newer(self, rows: Sequence[Write], held: Sequence[bytes | None]) -> Iterator[bytes]:
        """The commands for the rows that count; what one writes, those after it find held."""
        latest = {
            row.key: _nanoseconds(Timestamp.FromString(stamp))
            for row, stamp in zip(rows, held, strict=True)
            if stamp
        }
        for row in rows:
            if (before := latest.get(row.key)) and row.stamp * 1_000 <= before:
                continue
            latest[row.key] = row.stamp * 1_000
            yield self._command(row)

    def _command(self, row: Write) -> bytes:
        seconds, microseconds = divmod(row.stamp, 1_000_000)
        stamp = Timestamp(seconds=seconds, nanos=microseconds * 1_000).SerializeToString()
        written = (row.key, stamp, *row.values)
        measured = tuple([part for value in written for part in (len(value), value)])
        command = self._template(row.names) % measured
        if self._expiry is None:
            return command
        expiry = str(self._expiry).encode()
        return b"%s*3\r\n$6\r\nEXPIRE\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n" % (
            *(command, len(row.key), row.key, len(expiry), expiry),
        )

    def _template(self, names: tuple[str, ...]) -> bytes:
        """HSET of those features, with a gap for the key and for each value."""
        if names not in self._templates:
            fields = [self._layout.stamp, *map(self._layout.field, names)]
            gap = b"$%d\r\n%s\r\n"
            self._templates[names] = b"*%d\r\n$4\r\nHSET\r\n" % (2 + 2 * len(fields)) + gap
            for field in fields:
                # A field is four bytes of a hash, of which any may be a per cent sign.
                named = b"$%d\r\n%s\r\n" % (len(field), field)
                self._templates[names] += named.replace(b"%", b"%%") + gap
        return self._templates[names]


def _nanoseconds(stamp: Timestamp) -> int:
    return int(stamp.seconds) * 1_000_000_000 + int(stamp.nanos)
