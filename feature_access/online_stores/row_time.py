"""Which of two rows of an entity an online store keeps: the newer; of equals, the later created.

Feast's SQLite store takes whatever comes last, and its Redis store, of equal times, what came
first; the offline store answers the newest row, of equal times the one that was created last.
Here both online stores follow it: a row never gives way to an older one, in whatever order rows
come. Where no created time tells two rows apart, the later write is the correction of the earlier.
"""

import struct
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value

OnlineWrite = tuple[EntityKey, dict[str, Value], datetime, datetime | None]
"""A row as Feast writes it: key, values, event time, and created time where there is one."""

CREATED = "__created__"
"""What Redis keeps of a row's created time, like one feature more; Feast keeps nothing of it."""

NEVER = -(2**63)
"""The created time of a row that has none: before any other."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_PACKED = struct.Struct(">qq")


class RowTime(NamedTuple):
    """When a row's values became knowable and when it was created, in microseconds since 1970."""

    stamp: int
    created: int

    @property
    def at(self) -> datetime:
        """The stamp as an instant."""
        return _EPOCH + self.stamp * _MICROSECOND

    def packed(self) -> bytes:
        """As 16 bytes."""
        return _PACKED.pack(*self)

    @classmethod
    def unpacked(cls, packed: bytes) -> "RowTime":
        """What `packed` gave."""
        return cls(*_PACKED.unpack(packed))


def row_time(at: datetime, created: datetime | None) -> RowTime:
    """The time of a row that Feast writes; a naive time is in UTC, as it is to Feast."""
    # pandas' NaT, which equals nothing, is no created time.
    known = created is not None and created == created
    return RowTime(microseconds(at), microseconds(created) if known and created else NEVER)


def microseconds(at: datetime) -> int:
    """Microseconds since 1970; a naive time is in UTC."""
    return ((at if at.tzinfo else at.replace(tzinfo=UTC)) - _EPOCH) // _MICROSECOND
