"""`feast apply` registers no view that no read could answer: its table must be as it is declared.

What a read would refuse is refused before anything is registered. A table in files that is not
written yet is left to the refresh that writes it; one in a warehouse is the owner's to make.
"""

from copy import copy

import pyarrow as pa
from feast import FeatureView, Field, RepoConfig
from feast.infra.offline_stores.offline_utils import get_offline_store_from_config
from feast.infra.online_stores.helpers import get_online_store_from_config
from feast.repo_contents import RepoContents
from feast.types import Array, Bool, FeastType, Float32, Float64, Int32, Int64, UnixTimestamp
from feast.types import from_value_type as declared_type

from feature_access.entities.compared_keys import key_as_there
from feature_access.entities.keys import declared_keys
from feature_access.entities.value_by_value import UnusableValueError
from feature_access.offline_stores.point_in_time import ViewQuery
from feature_access.offline_stores.source_columns import Columns, is_time, refuse_unlike_the_source
from storage.errors import RefusedError

_NO_KEYS = pa.chunked_array([], pa.int64())
_NUMBERS = (Int32, Int64, Float32, Float64)


def unusable_sources(config: RepoConfig, declared: RepoContents) -> list[str]:
    """Why views that are declared could not be read, a line each."""
    offline = get_offline_store_from_config(config.offline_store)
    lines = []
    for view in declared.feature_views:
        source = view.batch_source
        if source is None or view.source_views or not hasattr(offline, "columns_there"):
            continue
        try:
            offline.validate_data_source(config, source)
            there = offline.columns_there(config, source)
            if there is not None:
                _refuse_unlike(_with_keys(view, declared), there)
        except (ValueError, OSError, RefusedError) as error:
            told = str(error).strip().splitlines()[0]
            lines.append(f"feature view {view.name} cannot be read from {source.name}: {told}")
    return lines


def unusable_online_store(config: RepoConfig, declared: RepoContents) -> list[str]:
    """Why the online store could not serve what is declared, a line."""
    online = get_online_store_from_config(config.online_store)
    if not hasattr(online, "refuse_unusable"):
        return []
    try:
        online.refuse_unusable(config, declared.feature_views)
    except ValueError as error:
        return [str(error)]
    return []


def _with_keys(view: FeatureView, declared: RepoContents) -> FeatureView:
    """The view with the columns of its entities, which Feast adds only while it applies."""
    keyed = copy(view)
    known = {field.name for field in view.entity_columns}
    keyed.entity_columns = [*view.entity_columns] + [
        Field(name=entity.join_key, dtype=declared_type(entity.value_type))
        for entity in declared.entities
        if entity.name in view.entities and entity.join_key not in known
    ]
    return keyed


def _refuse_unlike(view: FeatureView, there: Columns) -> None:
    """Hold the view against its table's columns.

    Raises:
        ValueError: see `refuse_unlike_the_source`; also where a column cannot be what is declared.
        UnusableKeysError: see `declared_keys`.
    """
    asked = ViewQuery.of(view, [f"{view.name}:{field.name}" for field in view.features], False)
    refuse_unlike_the_source(asked, there)
    for key, kind in declared_keys([view]).items():
        held = there[asked.join_keys[key]]
        try:
            key_as_there(_NO_KEYS, kind, None if isinstance(held, str) else held)
        except UnusableValueError as error:
            raise ValueError(
                f"{key} cannot be compared with the table of {view.name}: {error}"
            ) from None
    for field in view.features:
        column = asked.features[field.name]
        if not _can_be(field.dtype, there[column]):
            raise ValueError(
                f"column {column} of the table of {view.name} is of the type {there[column]}, and "
                f"{field.name} is declared {field.dtype}: declare it as it is stored"
            )


def _can_be(declared: FeastType, held: pa.DataType) -> bool:
    """Whether values that are held so can be of the declared type; where in doubt they can."""
    lists = pa.types.is_list(held) or pa.types.is_large_list(held)
    if isinstance(declared, Array):
        return bool(lists or pa.types.is_fixed_size_list(held))
    if declared in _NUMBERS:
        numbers = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_null)
        return any(is_of(held) for is_of in numbers)
    if declared == Bool:
        return bool(pa.types.is_boolean(held) or pa.types.is_null(held))
    if declared == UnixTimestamp:
        return is_time(held) or bool(pa.types.is_null(held))
    return True
