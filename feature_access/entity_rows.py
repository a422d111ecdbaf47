"""Entity rows: whose features a point-in-time read is asked for, and as of when.

Keys and times are brought to what they are here, before any engine joins them.
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
from feast.infra.offline_stores.offline_utils import infer_event_timestamp_from_entity_df
from feast.types import FeastType

from feature_access.entity_value import entity_column
from feature_access.instants import instants
from feature_access.value_by_value import column_of

ROW = "__entity_row"


@dataclass(frozen=True)
class EntityRows:
    """Whose features are asked for, and as of when, in the caller's order."""

    rows: pa.Table
    """The caller's frame, its keys of their declared types and its times in UTC microseconds."""
    time_column: str
    keys: tuple[str, ...]

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
        made = {key: entity_column(column_of(entity_df[key]), key, keys[key]) for key in keys}
        made[time] = instants(entity_df[time], time)
        if missing := made[time].null_count:
            raise ValueError(f"{missing} entity rows have no {time}: give each one")
        return cls(_with_columns(entity_df, made), time, tuple(keys))

    def asked(self, keys: Sequence[str]) -> pa.Table:
        """Keys, time and the row's number; the caller's other columns stay what they are."""
        columns = self.rows.select([*keys, self.time_column])
        return columns.append_column(ROW, pa.array(np.arange(self.rows.num_rows)))


def refuse_unlike(given: pa.DataType, there: pa.DataType, key: str, view: str) -> None:
    """Make sure that a key is compared as what it is: text `01` equals no number.

    Raises:
        ValueError: one is text and the other is not.
    """
    if _is_text(given) != _is_text(there):
        raise ValueError(
            f"{key} is declared as {given}, and the table of {view} holds it as {there}: they "
            "cannot be compared; declare the entity in the table's type"
        )


def _is_text(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


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
