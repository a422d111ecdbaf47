"""What an online read finds of one entity."""

from datetime import datetime
from typing import NamedTuple

from feast import FeatureView
from feast.protos.feast.types.Value_pb2 import Value

from feature_access.defaults import SCALARS
from storage.errors import RefusedError

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


def refuse_other_than_scalars(view: FeatureView) -> None:
    """Make sure that every feature of the view is a number, a text or a truth.

    Raises:
        RefusedError: one is not, a list for instance.
    """
    if strange := [f.name for f in view.features if f.dtype not in SCALARS]:
        raise RefusedError(
            f"{', '.join(strange)} of {view.name} are no scalars: read them through plain Feast"
        )
