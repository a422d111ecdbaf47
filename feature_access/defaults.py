"""The default of a feature: declared once, as a tag of its field, answered by both stores."""

from collections.abc import Callable, Mapping
from functools import lru_cache

import pyarrow as pa
from feast import Field
from feast.protos.feast.types.Value_pb2 import Value
from feast.type_map import python_values_to_proto_values
from feast.types import Bool, FeastType, Float32, Float64, Int32, Int64, String

_Default = int | float | str | bool

_PARSERS: dict[FeastType, Callable[[str], _Default]] = {
    Int32: int,
    Int64: int,
    Float32: float,
    Float64: float,
    String: str,
    Bool: lambda text: text == "true",
}
SCALARS = frozenset(_PARSERS)
"""The types that a feature with a default can have."""


def default_of(field: Field) -> _Default | None:
    """The field's declared default in its own type, None where it declares none.

    Raises:
        ValueError: the tag cannot be read as the field's type.
    """
    text = field.tags.get("default")
    if text is None:
        return None
    try:
        return _PARSERS[field.dtype](text)
    except (KeyError, ValueError) as error:
        raise ValueError(
            f"feature {field.name}: default {text!r} is not a {field.dtype}: mend its tag"
        ) from error


def with_defaults(values: pa.Table, defaults: Mapping[str, object]) -> pa.Table:
    """The table, its named columns without gaps where the default is not None."""
    for name, default in defaults.items():
        if default is not None:
            filled = values[name].fill_null(pa.scalar(default, values[name].type))
            values = values.set_column(values.schema.get_field_index(name), name, filled)
    return values


def default_proto(field: Field) -> Value:
    """The default as the online store's value; an unset value where none is declared."""
    return _proto(field.dtype, default_of(field))


@lru_cache
def _proto(dtype: FeastType, value: _Default | None) -> Value:
    if value is None:
        return Value()
    proto: Value = python_values_to_proto_values([value], dtype.to_value_type())[0]
    return proto
