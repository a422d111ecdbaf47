"""What a heartbeat says: up to when the online store holds a view, and which fields of it.

A field that was added to a view, or is of another type or default than it was, is not in what was
written before. A heartbeat names the fields it testifies to, with type and default, in the fields
themselves, so that whoever reads some of them reads what is said of them in the same round trip.
Heartbeats of before named no fields but held their defaults: such a one testifies to a field whose
default it holds, and to every field that declares none, until the next refresh leaves a new one.

A view that was never to be materialized has none and needs none: one that is pushed or written
directly, and one that holds nothing yet and declares no default. It is read as Feast reads it, with
no defaults, for nothing tells the unknown from what was lost.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

from feast import FeatureView, Field
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.types import FeastType

from feature_access.defaults import default_of, default_proto
from feature_access.errors import empty, lacking
from feature_access.online_stores.freshness import note, refuse_unknown_age

OnlineRow = tuple[datetime | None, dict[str, Value] | None]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Testimony(NamedTuple):
    """What the heartbeat of a view says, and the mark of a write."""

    until: datetime | None
    """Everything up to then is there; None without a heartbeat."""
    begun: datetime | None
    """When the last write was to end; None without a mark."""
    whole: bool
    """Whether it testifies to every field as it is declared now."""


def heartbeat_key(view: FeatureView) -> EntityKey:
    """Where the view's heartbeat lies: its join key is no entity's, so it is no customer's key."""
    return heartbeat_key_of(view.name)


def heartbeat_key_of(view_name: str) -> EntityKey:
    """Where the heartbeat of a view lies that may not be registered any more."""
    return _reserved(f"{view_name} and its fields")  # no view's name has a space


def old_heartbeat_key(view: FeatureView) -> EntityKey:
    """Where the heartbeats lay that named no fields."""
    return _reserved(view.name)


def writing_key(view: FeatureView) -> EntityKey:
    """Where the mark of a write lies, beside the heartbeat."""
    return _reserved(f"{view.name} being written")


def pushed_key(view: FeatureView) -> EntityKey:
    """Where the mark lies that rows were written, be it without a materialization."""
    return _reserved(f"{view.name} was pushed to")


def older_heartbeat_keys(view: FeatureView) -> list[EntityKey]:
    """What tells of a view without a heartbeat why it has none; see `without_heartbeat`."""
    return [old_heartbeat_key(view), pushed_key(view), writing_key(view)]


def reserved_keys(view: FeatureView) -> list[EntityKey]:
    """Everything that is kept of a view beside the rows of its entities."""
    return [of(view) for of in (heartbeat_key, old_heartbeat_key, writing_key, pushed_key)]


def _reserved(name: str) -> EntityKey:
    return EntityKey(join_keys=["__heartbeat__"], entity_values=[Value(string_val=name)])


def named_fields(view: FeatureView) -> dict[str, Value]:
    """The view's fields as a heartbeat names them."""
    return {field.name: named(field) for field in view.features}


def named(field: Field) -> Value:
    """A field's type and default, as a heartbeat holds them."""
    return _named(field.dtype, repr(default_of(field)))


def judged(
    view: FeatureView, features: Sequence[str] | None, rows: Sequence[OnlineRow], beat: OnlineRow
) -> list[OnlineRow]:
    """The customers' rows, with defaults, once the heartbeat says they count.

    Raises:
        OnlineStoreEmptyError: it testifies to nothing, or not to one of the features.
        OnlineStoreStaleError: it is older than the caller takes, or in the future.
    """
    return _counted(view, features, rows, beat, _names)


def without_heartbeat(
    view: FeatureView,
    features: Sequence[str] | None,
    rows: Sequence[OnlineRow],
    old: OnlineRow,
    pushed: OnlineRow,
    begun: OnlineRow,
) -> list[OnlineRow]:
    """The rows of a view whose heartbeat is of the old kind, or that has none.

    Raises:
        OnlineStoreEmptyError: the store was to be materialized, and holds nothing.
    """
    if real(old[0]):
        return _counted(view, features, rows, old, _holds_default)
    # One that was materialized, or is being, should have a heartbeat, or will.
    if getattr(view, "materialization_intervals", None) or real(begun[0]):
        raise empty(view)
    if _has_defaults(view) and not (is_pushed(view) or real(pushed[0])):
        raise empty(view)
    refuse_unknown_age(view.name)
    return list(rows)


def _has_defaults(view: FeatureView) -> bool:
    return any(default_of(field) is not None for field in view.features)


def is_pushed(view: Any) -> bool:
    """Whether rows of the view come from a stream, a push source or a transformation on write."""
    return not isinstance(view, FeatureView) or view.stream_source is not None


def testifies_to_all(view: FeatureView, beat: OnlineRow) -> bool:
    """Whether a heartbeat names every field of the view as it is declared now."""
    return real(beat[0]) is not None and not _unsaid(view, None, beat[1], _names)


@lru_cache
def _named(dtype: FeastType, default: str) -> Value:
    return Value(string_val=f"{dtype}, default {default}")


def _names(said: Value, field: Field) -> bool:
    """Whether a heartbeat names the field as it is declared now.

    A value of another kind is what no heartbeat says: somebody tampered with all that the store
    holds of the field, and what it serves is to be seen and judged (§8).
    """
    return said == named(field) or said.WhichOneof("val") not in ("string_val", None)


def _holds_default(said: Value, field: Field) -> bool:
    """Whether a heartbeat of before holds the field's default."""
    return said == default_proto(field)


def _counted(
    view: FeatureView,
    features: Sequence[str] | None,
    rows: Sequence[OnlineRow],
    beat: OnlineRow,
    says: Callable[[Value, Field], bool],
) -> list[OnlineRow]:
    stamp, said = beat
    until = real(stamp)
    if until is None:
        raise empty(view)
    if unsaid := _unsaid(view, features, said, says):
        raise lacking(view, unsaid)
    defaulted = with_defaults(view, rows)
    note(view.name, until, unknown=sum(at is None for at, _ in defaulted))
    return defaulted


def _unsaid(
    view: FeatureView,
    features: Sequence[str] | None,
    said: Mapping[str, Value] | None,
    says: Callable[[Value, Field], bool],
) -> list[str]:
    """The features that the heartbeat does not name: of those asked for, or of all (None)."""
    wanted = None if features is None else set(features)
    nothing = Value()
    return [
        field.name
        for field in view.features
        if (wanted is None or field.name in wanted)
        and not says((said or {}).get(field.name, nothing), field)
    ]


def with_defaults(view: FeatureView, rows: Sequence[OnlineRow]) -> list[OnlineRow]:
    """The rows with every value that is absent or null replaced by its field's default.

    A row that the store does not hold has no time, and no value where no default is declared: then
    Feast's answer is NOT_FOUND, of Redis as well.
    """
    known = {field.name: default_proto(field) for field in view.features}
    unknown = _present(known)
    return [
        (real(at), {**(known if real(at) else unknown), **_present(values)}) for at, values in rows
    ]


def real(stamp: datetime | None) -> datetime | None:
    """Feast's Redis store dates what it does not hold 1970."""
    return stamp if stamp is not None and stamp > _EPOCH else None


def _present(values: Mapping[str, Value] | None) -> dict[str, Value]:
    return {name: v for name, v in (values or {}).items() if v.WhichOneof("val") is not None}
