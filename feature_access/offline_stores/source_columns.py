"""Whether a table has the columns that a view declares of it, in types that can be read.

A read asks this of the table as it stands, and `feast apply` of what is declared, in the same words
on every engine.
"""

from collections.abc import Mapping

import pyarrow as pa

from feature_access.offline_stores.point_in_time import ViewQuery

Columns = Mapping[str, pa.DataType | str]
"""A table's columns, as what they are read; the engine's own name of a type that is not read."""


def refuse_unlike_the_source(asked: ViewQuery, there: Columns) -> None:
    """Make sure that a table with these columns is the one that the view declares.

    Raises:
        ValueError: it lacks a column, one that is to hold times holds something else, or a feature
            is of a type that is not read.
    """
    stamps = [asked.timestamp_field, *([asked.created_column] if asked.created_column else [])]
    needed = {*stamps, *asked.join_keys.values(), *asked.features.values()}
    if missing := sorted(needed - there.keys()):
        raise ValueError(
            f"the table of {asked.view} has no column {', '.join(missing)}, it has "
            f"{', '.join(there)}: declare the source's columns as they are"
        )
    for stamp in stamps:
        if not is_time(there[stamp]):
            raise ValueError(
                f"column {stamp} of the table of {asked.view} holds no times: store them as "
                "timestamps or dates"
            )
    for column in asked.features.values():
        if not is_read(there[column]):
            raise ValueError(
                f"column {column} of the table of {asked.view} is of the type {there[column]}, "
                "which is not read here: cast it in a view, or store it otherwise"
            )


def is_time(kind: pa.DataType | str) -> bool:
    """Whether a column of this type holds instants or days."""
    return not isinstance(kind, str) and bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind))


def is_read(kind: pa.DataType | str) -> bool:
    """Whether values of the type are read by every engine, alone or in lists.

    A time of day and a duration have no type in Feast; views of bytes and text are in no file that
    Spark reads, and Arrow picks no rows of them.
    """
    if isinstance(kind, str):
        return False
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return is_read(kind.value_type)
    never = (pa.types.is_time, pa.types.is_duration, pa.types.is_interval)
    views = (pa.string_view(), pa.binary_view())
    return kind not in views and not any(is_of(kind) for is_of in never)
