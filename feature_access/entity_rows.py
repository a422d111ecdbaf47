"""Entity rows: whose features a point-in-time read is asked for, and as of when.

Keys and times are brought to what they are here, before any engine joins them.
"""

from collections.abc import Mapping, Set
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
from feast.infra.offline_stores.offline_utils import infer_event_timestamp_from_entity_df
from feast.types import FeastType, String

from feature_access.entity_value import PLAIN_DIGITS, entity_column, is_text
from feature_access.instants import instants
from feature_access.value_by_value import column_of, converted

ROW = "__entity_row"


@dataclass(frozen=True)
class EntityRows:
    """Whose features are asked for, and as of when, in the caller's order."""

    rows: pa.Table
    """The caller's frame, its times in UTC microseconds, its keys of their declared types.

    Integers that name texts stay what they are.
    """
    time_column: str
    keys: Mapping[str, FeastType]
    """The join keys, and the type that each is declared in."""

    @classmethod
    def of(
        cls, entity_df: pd.DataFrame | str, *, keys: Mapping[str, FeastType], features: Set[str]
    ) -> "EntityRows":
        """The frame's rows, its join keys of the types in `keys`, for `features`.

        Raises:
            UnusableKeysError: a key names no entity (see `entity_value`).
            ValueError: the entity frame is not a DataFrame, lacks a join key or a time, has two
                columns of one name, or already one of a requested feature's name.
        """
        if not isinstance(entity_df, pd.DataFrame):
            raise ValueError("the entity frame must be a DataFrame: SQL text has no engine here")
        _refuse_unusable_frame(list(entity_df.columns), keys.keys(), features)
        time = infer_event_timestamp_from_entity_df(dict(entity_df.dtypes))
        made = {key: _key_column(entity_df[key], key, kind) for key, kind in keys.items()}
        made[time] = instants(entity_df[time], time)
        if missing := made[time].null_count:
            raise ValueError(f"{missing} entity rows have no {time}: give each one")
        return cls(_with_columns(entity_df, made), time, dict(keys))

    def asked(self, there: Mapping[str, pa.DataType], view: str) -> pa.Table:
        """Keys as the view's table can hold them, time and the row's number.

        `there` has the type of the table's own column for each join key.

        Raises:
            ValueError: a key cannot be compared with the table's.
        """
        columns = self.rows.select([*there, self.time_column])
        for place, (key, kind) in enumerate(there.items()):
            _refuse_unlike(self.keys[key], kind, key, view)
            columns = columns.set_column(place, key, compared_as(columns[key], kind))
        return columns.append_column(ROW, pa.array(np.arange(self.rows.num_rows)))


def _refuse_unlike(declared: FeastType, there: pa.DataType, key: str, view: str) -> None:
    """Make sure that a key is compared as what it is: no table's `01` is the number 1."""
    text = is_text(there)
    alike = text or pa.types.is_integer(there) if declared == String else not text
    if not alike:
        raise ValueError(
            f"{key} is declared as {declared}, and the table of {view} holds it as {there}: they "
            "cannot be compared; declare the entity in the table's type"
        )


def compared_as(given: pa.ChunkedArray, there: pa.DataType) -> pa.ChunkedArray:
    """The keys as a column of that type holds them; null where it can hold no such key.

    Whole numbers and texts are compared by plain digits. Of other types the engine knows alone how
    they compare.
    """
    if pa.types.is_integer(there) and given.type != there:
        if pa.types.is_integer(given.type):
            with suppress(pa.ArrowInvalid):  # which is raised where one does not fit
                return given.cast(there)
        return converted(given, lambda value: _whole_number(value, there), there)
    return given.cast(pa.string()) if is_text(there) and not is_text(given.type) else given


def _whole_number(value: object, there: pa.DataType) -> int | None:
    if isinstance(value, str) and not PLAIN_DIGITS.fullmatch(value):
        return None
    number, bits = int(value), there.bit_width  # type: ignore[call-overload]
    least = -(2 ** (bits - 1)) if pa.types.is_signed_integer(there) else 0
    return number if least <= number < least + 2**bits else None


def _refuse_unusable_frame(columns: list[str], keys: Set[str], features: Set[str]) -> None:
    if twice := sorted({str(name) for name in columns if columns.count(name) > 1}):
        raise ValueError(f"the entity frame has the columns {twice} more than once: rename them")
    if missing := sorted(keys - set(columns)):
        raise ValueError(
            f"the entity frame lacks the join keys {missing}; it has {sorted(columns)}"
        )
    if clash := sorted(features & set(columns)):
        raise ValueError(
            f"the entity frame already has the columns {clash}: drop them, or ask with "
            "full_feature_names=True"
        )


def _key_column(given: pd.Series, name: str, kind: FeastType) -> pa.ChunkedArray:
    column = column_of(given)
    if kind == String and isinstance(column, pa.ChunkedArray) and pa.types.is_integer(column.type):
        return column  # the text of its digits has the same hash, and is compared the same
    return entity_column(column, name, kind)


def _with_columns(entity_df: pd.DataFrame, made: Mapping[str, pa.ChunkedArray]) -> pa.Table:
    """The frame in Arrow, those columns in place of its own."""
    # Objects of several types have no type in Arrow.
    objects = [name for name in made if entity_df[name].dtype == object]
    rows = pa.Table.from_pandas(
        entity_df.assign(**dict.fromkeys(objects)) if objects else entity_df, preserve_index=False
    )
    for name, column in made.items():
        rows = rows.set_column(rows.schema.get_field_index(name), name, column)
    return rows
