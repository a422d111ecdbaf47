"""What an online read finds of one entity."""

from datetime import datetime
from typing import NamedTuple

from feast.protos.feast.types.Value_pb2 import Value

Scalar = int | float | str | bool | None


class Row(NamedTuple):
    """One entity's features."""

    values: tuple[Scalar, ...]
    """In the order in which the features were asked for."""
    known: bool
    """False where the store holds nothing of the entity, and the values are the defaults."""
    stamp: datetime | None
    """When the values became knowable, None for defaults."""


def scalar(value: Value, default: Scalar = None) -> Scalar:
    """What Feast's value holds; the default where it holds nothing."""
    kind = value.WhichOneof("val")
    found: Scalar = getattr(value, kind) if kind else default
    return found
