"""What plain Feast is asked for online: every key is one before Feast coerces it.

Feast reads 1.5 as customer 1, True as well, and "01" too, and answers for them.
"""

from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

from feast import FeatureService
from feast.feature_view import DUMMY_ENTITY_ID, DUMMY_ENTITY_VAL
from feast.infra.registry.base_registry import BaseRegistry
from feast.protos.feast.types.Value_pb2 import RepeatedValue, Value
from feast.types import FeastType, from_value_type
from feast.utils import _get_cached_request_context

from feature_access.entities.value import (
    UnusableKeysError,
    entity_value,
    is_key_type,
    unusable,
)
from feature_access.entities.value_by_value import UnusableRowError, UnusableValueError, is_missing

EntityRequest = Sequence[Mapping[str, Any]] | Mapping[str, Sequence[Any] | RepeatedValue]
"""Rows, or columns by name; request data may stand among the keys."""


def entities_named(
    request: EntityRequest,
    features: list[str] | FeatureService,
    registry: BaseRegistry,
    project: str,
    full_feature_names: bool,
) -> Any:
    """A request with each key in its declared type.

    Raises:
        UnusableKeysError: there is none, one lacks a join key, or a value is null or names no
            entity (see `entity_value`).
    """
    if not request:
        raise UnusableKeysError("no entity is asked for: name one at least")
    needed, types = _keys_of(features, registry, project, full_feature_names)
    names = request if isinstance(request, Mapping) else request[0]
    _refuse_without(needed, names)
    if isinstance(request, Mapping):
        return {name: _column(name, values, types) for name, values in request.items()}
    if not any(request):  # rows of what describes no entity have the constant key that Feast gives
        return {DUMMY_ENTITY_ID: [DUMMY_ENTITY_VAL] * len(request)}
    return [
        {name: _named(name, row, value, types) for name, value in entity.items()}
        for row, entity in enumerate(request, start=1)
    ]


def _keys_of(
    features: list[str] | FeatureService, registry: BaseRegistry, project: str, full: bool
) -> tuple[dict[str, set[str]], dict[str, FeastType]]:
    """The names of each join key that is needed, and the type of what has each name.

    A join key has its own name, and the entity's, which Feast takes in its place.
    """
    # Feast's own, which it asks once more: it keeps the answer until the registry changes.
    context = _get_cached_request_context(registry, project, features, full)
    join_keys, types = context[2], context[3]
    declared = {key: from_value_type(kind) for key, kind in types.items()}
    names = {key: {key} for key in declared if key != DUMMY_ENTITY_ID}
    for name, key in join_keys.items():
        if key in declared:
            declared[name] = declared[key]
        if key in names:
            names[key].add(name)
    return names, {name: kind for name, kind in declared.items() if is_key_type(kind)}


def _refuse_without(needed: Mapping[str, Set[str]], names: Iterable[str]) -> None:
    """Make sure that nobody is answered for with defaults because one of several keys lacks."""
    given = {*names}
    if missing := sorted(key for key, called in needed.items() if not called & given):
        raise UnusableKeysError(
            f"what is asked for is of {', '.join(sorted(needed))}: give {', '.join(missing)} too"
        )


def _column(
    name: str, values: Sequence[Any] | RepeatedValue, types: Mapping[str, FeastType]
) -> Sequence[Any] | RepeatedValue:
    if isinstance(values, RepeatedValue):
        return values
    return [_named(name, row, value, types) for row, value in enumerate(values, start=1)]


def _named(name: str, row: int, value: object, types: Mapping[str, FeastType]) -> object:
    kind = types.get(name)
    if kind is None or isinstance(value, Value):
        return value
    try:
        if is_missing(value):
            raise UnusableValueError("holds null, which names nobody: give a key")
        return entity_value(value, kind)
    except UnusableValueError as error:
        raise unusable(name, kind, UnusableRowError(row, str(error))) from None
