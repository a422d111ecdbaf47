"""Entities as a caller names them, as Feast's keys.

Feast coerces what does not fit (1.5 becomes customer 1), and answers for somebody else. Here it is
refused, by the rule of `entity_value`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from feast import FeatureView
from feast.feature_view import DUMMY_ENTITY_ID
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.types import FeastType, Int32, Int64, String

from feature_access.entities.value import UnusableKeysError as UnusableKeysError
from feature_access.entities.value import entity_value, is_key_type
from feature_access.entities.value_by_value import UnusableValueError, is_missing
from storage.errors import RefusedError

_VALUES: dict[FeastType, Callable[[Any], Value]] = {
    Int32: lambda number: Value(int32_val=number),
    Int64: lambda number: Value(int64_val=number),
    String: lambda text: Value(string_val=text),
}


def declared_keys(views: Iterable[FeatureView]) -> dict[str, FeastType]:
    """The join keys by which the views, as they are shown, name their entities, and their types.

    Raises:
        UnusableKeysError: views declare one key as text and as a number, or as neither.
    """
    declared: dict[str, FeastType] = {}
    for view in views:
        renamed = view.projection.join_key_map
        for column in view.entity_columns:
            if column.name == DUMMY_ENTITY_ID:
                continue  # Feast's own, of a view that describes the world, not an entity
            name, kind = renamed.get(column.name, column.name), column.dtype
            if not is_key_type(kind):
                raise UnusableKeysError(
                    f"{name} of {view.name} is declared {kind}: an entity is named by Int32, Int64 "
                    "or String"
                )
            other = declared.setdefault(name, kind)
            if (other == String) != (kind == String):
                raise UnusableKeysError(
                    f"{name} is declared {kind} by {view.name}, and {other} by another view that "
                    "is asked for: ask them one by one"
                )
            declared[name] = Int32 if Int32 in (other, kind) else kind  # what fits both
    return declared


class EntityKeys:
    """The keys of one feature view: its join keys and their types."""

    def __init__(self, view: FeatureView) -> None:
        """
        Raises:
            RefusedError: a join key is neither an integer nor a string.
        """
        self._types: dict[str, FeastType] = {c.name: c.dtype for c in view.entity_columns}
        self.names = tuple(self._types)
        if strange := [name for name, kind in self._types.items() if not is_key_type(kind)]:
            raise RefusedError(f"no keys of {view.name} can be read: {', '.join(strange)}")

    def of(self, entities: Sequence[Mapping[str, object]]) -> list[EntityKey]:
        """Feast's key of each entity, in order.

        Raises:
            UnusableKeysError: there is none, or one lacks a join key, has another, or a value that
                is null or not of its type.
        """
        if not entities:
            raise UnusableKeysError("no entity is asked for: name one at least")
        return [self._key(row, entity) for row, entity in enumerate(entities, start=1)]

    def columns(self, entities: Mapping[str, Sequence[object]]) -> dict[str, list[int | str]]:
        """The entities' keys by join key, each in its declared type and in the view's order.

        Raises:
            UnusableKeysError: a value is null or names no entity.
        """
        return {
            name: [self._value(name, row, value) for row, value in enumerate(entities[name], 1)]
            for name in self.names
        }

    def _key(self, row: int, entity: Mapping[str, object]) -> EntityKey:
        if entity.keys() != self._types.keys():
            raise UnusableKeysError(
                f"an entity is named by {', '.join(self.names)}, not by {', '.join(entity)}"
            )
        values = [
            _VALUES[kind](self._value(name, row, entity[name]))
            for name, kind in self._types.items()
        ]
        return EntityKey(join_keys=self.names, entity_values=values)

    def _value(self, name: str, row: int, value: object) -> int | str:
        kind = self._types[name]
        try:
            if is_missing(value):
                raise UnusableValueError("holds null, which names nobody: give a key")
            return entity_value(value, kind)
        except UnusableValueError as error:
            raise UnusableKeysError(
                f"{name} is declared {kind}, and row {row:,}: {error}"
            ) from None
