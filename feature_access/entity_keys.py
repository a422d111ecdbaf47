"""Entities as a caller names them, as Feast's keys.

Feast coerces what does not fit (1.5 becomes customer 1), and answers for somebody else. Here it is
refused.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeGuard

from feast import FeatureView
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.types import FeastType, Int32, Int64, String

from feature_access.refusal import RefusedError


def _int32(value: object) -> Value | None:
    return Value(int32_val=value) if _whole(value, 2**31) else None


def _int64(value: object) -> Value | None:
    return Value(int64_val=value) if _whole(value, 2**63) else None


def _string(value: object) -> Value | None:
    return Value(string_val=value) if isinstance(value, str) else None


def _whole(value: object, limit: int) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and -limit <= value < limit


_VALUES: dict[FeastType, Callable[[object], Value | None]] = {
    Int32: _int32,
    Int64: _int64,
    String: _string,
}


class UnusableKeysError(ValueError):
    """No entity can be meant by that; the message says by which and why."""


class EntityKeys:
    """The keys of one feature view: its join keys and their types."""

    def __init__(self, view: FeatureView) -> None:
        """
        Raises:
            RefusedError: a join key is neither an integer nor a string.
        """
        self._types: dict[str, FeastType] = {c.name: c.dtype for c in view.entity_columns}
        self.names = tuple(self._types)
        if strange := [name for name, kind in self._types.items() if kind not in _VALUES]:
            raise RefusedError(f"no keys of {view.name} can be read: {', '.join(strange)}")

    def of(self, entities: Sequence[Mapping[str, object]]) -> list[EntityKey]:
        """Feast's key of each entity, in order.

        Raises:
            UnusableKeysError: there is none, or one lacks a join key, has another, or a value that
                is null or not of its type.
        """
        if not entities:
            raise UnusableKeysError("no entity is asked for: name one at least")
        return [self._key(entity) for entity in entities]

    def _key(self, entity: Mapping[str, object]) -> EntityKey:
        if entity.keys() != self._types.keys():
            raise UnusableKeysError(
                f"an entity is named by {', '.join(self.names)}, not by {', '.join(entity)}"
            )
        values = [self._value(name, entity[name]) for name in self.names]
        return EntityKey(join_keys=self.names, entity_values=values)

    def _value(self, name: str, value: object) -> Value:
        kind = self._types[name]
        proto = _VALUES[kind](value)
        if proto is None:
            raise UnusableKeysError(f"{name} is {value!r:.40}, which is no {kind}")
        return proto
