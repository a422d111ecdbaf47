"""Columns of the offline store as writes to Redis, without a message for every value.

Feast turns each value into a protobuf message by itself, asking pandas of each whether it is null,
which takes longer than Redis takes to store it. Here a column is serialized at once, to the same
bytes. What is of another type than declared is left to Feast, which coerces it.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import repeat
from typing import Any

import pyarrow as pa
from feast import FeatureView
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.types import Bool, FeastType, Float32, Float64, Int32, Int64, String

from feature_access.online_stores.redis_layout import RedisLayout
from feature_access.online_stores.redis_writer import Write
from feature_access.online_stores.row_time import NEVER

_FIELDS: dict[FeastType, tuple[pa.DataType, str]] = {
    Int32: (pa.int32(), "int32_val"),
    Int64: (pa.int64(), "int64_val"),
    Float32: (pa.float32(), "float_val"),
    Float64: (pa.float64(), "double_val"),
    String: (pa.string(), "string_val"),
    Bool: (pa.bool_(), "bool_val"),
}
_STAMP = pa.timestamp("us", tz="UTC")
_REPEATED = 65_536


def as_declared(view: FeatureView, table: pa.Table) -> bool:
    """Whether every column is of its declared type, and every row has its keys and its time."""
    declared = {field.name: field.dtype for field in [*view.entity_columns, *view.features]}
    needed = [column.name for column in view.entity_columns] + [_time(view)]
    held = dict(zip(table.column_names, table.schema.types, strict=True))
    times = [_time(view), *_created(view)]
    return (
        all(t in _FIELDS and held.get(name) == _FIELDS[t][0] for name, t in declared.items())
        and all(held.get(name) == _STAMP for name in times)
        and not any(table.column(name).null_count for name in needed)
    )


def writes_of_columns(layout: RedisLayout, view: FeatureView, table: pa.Table) -> Iterator[Write]:
    """The rows of a table that is as declared, in its order."""
    names = tuple(field.name for field in view.features)
    for batch in table.to_batches():
        stamps = batch.column(_time(view)).cast(pa.int64()).to_pylist()
        created = repeat(NEVER)
        for name in _created(view):
            created = iter(batch.column(name).cast(pa.int64()).fill_null(NEVER).to_pylist())
        columns = [
            map(_serializer(field.dtype), batch.column(field.name).to_pylist())
            for field in view.features
        ]
        values = zip(*columns, strict=True)
        rows = zip(_keys(layout, view, batch), stamps, values, created, strict=False)
        for key, stamp, row, made in rows:
            yield Write(key, stamp, names, row, made)


def _keys(layout: RedisLayout, view: FeatureView, batch: pa.RecordBatch) -> Iterator[bytes]:
    columns = [batch.column(column.name).to_pylist() for column in view.entity_columns]
    if layout.pack is not None:
        yield from map(layout.pack, columns[0])
        return
    names = [column.name for column in view.entity_columns]
    kinds = [_FIELDS[column.dtype][1] for column in view.entity_columns]
    for row in zip(*columns, strict=True):
        values = [_value(kind, value) for kind, value in zip(kinds, row, strict=True)]
        yield layout.key(EntityKey(join_keys=names, entity_values=values))


def _serializer(dtype: FeastType) -> Callable[[Any], bytes]:
    """A value's bytes; null and NaN are nothing, as they are to Feast."""
    kind = _FIELDS[dtype][1]

    def serialized(value: Any) -> bytes:
        if value is None or value != value:
            return b""
        written: bytes = _value(kind, value).SerializeToString()
        return written

    # Counts repeat. Money does less, and 0.0 and -0.0 would be one to a cache.
    return serialized if dtype in (Float32, Float64) else lru_cache(_REPEATED)(serialized)


def _value(kind: str, value: Any) -> Value:
    named: dict[str, Any] = {kind: value}
    return Value(**named)


def _time(view: FeatureView) -> str:
    name: str = view.batch_source.timestamp_field
    return name


def _created(view: FeatureView) -> list[str]:
    """The created column's name, where there is one."""
    name = view.batch_source.created_timestamp_column
    return [name] if name else []
