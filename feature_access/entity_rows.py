"""Entity rows: whose features a point-in-time read is asked for, and as of when."""

from collections.abc import Sequence, Set
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
from feast.infra.offline_stores.offline_utils import infer_event_timestamp_from_entity_df

ROW = "__entity_row"


@dataclass(frozen=True)
class EntityRows:
    """Whose features are asked for, and as of when, in the caller's order."""

    rows: pa.Table
    """The caller's frame, its times in UTC microseconds."""
    time_column: str

    @classmethod
    def of(
        cls, entity_df: pd.DataFrame | str, *, keys: Set[str], features: Set[str]
    ) -> "EntityRows":
        """The frame's rows with the join keys `keys`, for `features`; naive times are UTC.

        Raises:
            ValueError: the entity frame is not a DataFrame, lacks a join key or a time, or already
                has a column of a requested feature's name.
        """
        if not isinstance(entity_df, pd.DataFrame):
            raise ValueError("the entity frame must be a DataFrame: SQL text has no engine here")
        time_column = infer_event_timestamp_from_entity_df(dict(entity_df.dtypes))
        _refuse_unusable_frame(set(entity_df.columns), keys, features)
        return cls(_entity_rows(entity_df, time_column), time_column)

    def asked(self, keys: Sequence[str]) -> pa.Table:
        """Keys, time and the row's number; the caller's other columns stay what they are."""
        columns = self.rows.select([*keys, self.time_column])
        return columns.append_column(ROW, pa.array(np.arange(self.rows.num_rows)))


def _refuse_unusable_frame(columns: Set[str], keys: Set[str], features: Set[str]) -> None:
    if missing := sorted(keys - columns):
        raise ValueError(
            f"the entity frame lacks the join keys {missing}; it has {sorted(columns)}"
        )
    if clash := sorted(features & columns):
        raise ValueError(
            f"the entity frame already has the columns {clash}: drop them, or ask with "
            "full_feature_names=True"
        )


def _entity_rows(entity_df: pd.DataFrame, time_column: str) -> pa.Table:
    """The frame with its times in UTC microseconds (naive ones are UTC)."""
    if pd.api.types.is_numeric_dtype(entity_df[time_column]):
        raise ValueError(f"{time_column} holds numbers, which name no unit: give timestamps")
    # Repeated texts are parsed once; looking for repeated times costs more than converting them.
    texts = not pd.api.types.is_datetime64_any_dtype(entity_df[time_column])
    times = pd.to_datetime(entity_df[time_column], utc=True, cache=texts)
    if times.isna().any():
        raise ValueError(f"{times.isna().sum()} entity rows have no {time_column}: give each one")
    rows = pa.Table.from_pandas(entity_df, preserve_index=False)
    instants = pa.array(times).cast(pa.timestamp("us", tz="UTC"), safe=False)
    return rows.set_column(rows.schema.get_field_index(time_column), time_column, instants)
