"""Entity rows: whose features a point-in-time read is asked for, and as of when.

Keys and times are brought to what they are here, before any engine joins them.
"""

from collections.abc import Mapping, Set
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
from feast.infra.offline_stores.offline_utils import infer_event_timestamp_from_entity_df
from feast.types import FeastType, String

from feature_access.entities.compared_keys import key_as_there
from feature_access.entities.instants import instants
from feature_access.entities.value import entity_column
from feature_access.entities.value_by_value import UnusableValueError, column_of

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

    def asked(self, there: Mapping[str, pa.DataType | None], view: str) -> pa.Table:
        """Keys as the view's table holds them (see `key_as_there`), time and the row's number.

        `there` has the type of the table's own column for each join key.

        Raises:
            ValueError: a key cannot be compared with the table's.
        """
        columns = self.rows.select([*there, self.time_column])
        for place, (key, kind) in enumerate(there.items()):
            try:
                keys = key_as_there(columns[key], self.keys[key], kind)
            except UnusableValueError as error:
                raise ValueError(
                    f"{key} cannot be compared with the table of {view}: {error}"
                ) from None
            columns = columns.set_column(place, key, keys)
        return columns.append_column(ROW, pa.array(np.arange(self.rows.num_rows)))


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
    others = entity_df.drop(columns=[*made])
    try:
        rows = pa.Table.from_pandas(others, preserve_index=False)
    except (pa.ArrowException, TypeError, OverflowError, UnicodeEncodeError):
        raise ValueError(_of_no_type(others)) from None  # Arrow's own message quotes a value
    names = [str(name) for name in entity_df.columns]
    return pa.table({name: made[name] if name in made else rows[name] for name in names})


def _of_no_type(columns: pd.DataFrame) -> str:
    for name in columns.columns:
        try:
            pa.Table.from_pandas(columns[[name]], preserve_index=False)
        except (pa.ArrowException, TypeError, OverflowError, UnicodeEncodeError):
            break
    return (
        f"column {name} of the entity frame holds values that no column of a table can, or of "
        "several types: drop it, or make them of one type"
    )
