"""What plain Feast is asked for online: every key is one before Feast coerces it.

Feast reads 1.5 as customer 1, True as well, and "01" too, and answers for them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from feast import FeatureService
from feast.infra.registry.base_registry import BaseRegistry
from feast.protos.feast.types.Value_pb2 import RepeatedValue, Value
from feast.types import FeastType, from_value_type
from feast.utils import _get_cached_request_context

from feature_access.entity_value import entity_value, is_key_type, unusable
from feature_access.value_by_value import UnusableRowError, UnusableValueError, is_missing

EntityRequest = Sequence[Mapping[str, Any]] | Mapping[str, Sequence[Any] | RepeatedValue]
"""Rows, or columns by name; request data may stand among the keys."""


def entities_named(
    request: EntityRequest,
    features: list[str] | FeatureService,
    registry: BaseRegistry,
    project: str,
    full_feature_names: bool,
) -> Any:
    """The same request, each key in its declared type; null is left to Feast.

    Raises:
        UnusableKeysError: a value names no entity (see `entity_value`).
    """
    types = _key_types(features, registry, project, full_feature_names)
    if isinstance(request, Mapping):
        return {name: _column(name, values, types) for name, values in request.items()}
    return [
        {name: _named(name, row, value, types) for name, value in entity.items()}
        for row, entity in enumerate(request, start=1)
    ]


def _key_types(
    features: list[str] | FeatureService, registry: BaseRegistry, project: str, full: bool
) -> dict[str, FeastType]:
    """By join key, and by entity name, which Feast takes in its place."""
    # Feast's own, which it asks once more: it keeps the answer until the registry changes.
    context = _get_cached_request_context(registry, project, features, full)
    join_keys, types = context[2], context[3]
    declared = {key: from_value_type(kind) for key, kind in types.items()}
    declared |= {name: declared[key] for name, key in join_keys.items() if key in declared}
    return {name: kind for name, kind in declared.items() if is_key_type(kind)}


def _column(
    name: str, values: Sequence[Any] | RepeatedValue, types: Mapping[str, FeastType]
) -> Sequence[Any] | RepeatedValue:
    if isinstance(values, RepeatedValue):
        return values
    return [_named(name, row, value, types) for row, value in enumerate(values, start=1)]


def _named(name: str, row: int, value: object, types: Mapping[str, FeastType]) -> object:
    kind = types.get(name)
    if kind is None or isinstance(value, Value) or is_missing(value):
        return value
    try:
        return entity_value(value, kind)
    except UnusableValueError as error:
        raise unusable(name, kind, UnusableRowError(row, str(error))) from None
