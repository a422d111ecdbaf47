"""Requests that were answered online, with what was served, from whoever logged them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from jobs.rehearsal.sampling import READ_AT
from storage.errors import RefusedError

if TYPE_CHECKING:
    from feast.types import FeastType


def read_requests(
    file: Path,
    keys: Mapping[str, "FeastType"],
    features: Sequence[str],
    as_of: datetime,
    environment: Mapping[str, str],
) -> pa.Table:
    """Join keys of the types declared, `read_at` (UTC) and the values served, a row per request.

    Raises:
        RefusedError: the file cannot be read, lacks a column, or holds no request; or a request has
            no time, or one after `as_of`, or a key that names no entity.
    """
    # Imported late: it takes pandas, which --help should not.
    import feast_start  # noqa: F401  (before Feast)
    from feast.types import String

    from feature_access.training.entity_frame import read_entity_frame

    text = {name for name, kind in keys.items() if kind == String}
    rows = read_entity_frame(file, environment, time=READ_AT, text=text)
    needed = [*keys, READ_AT, *features]
    if absent := sorted({*needed} - {*rows.column_names}):
        raise RefusedError(f"{file} lacks the columns {', '.join(absent)}")
    if rows.num_rows == 0:
        raise RefusedError(f"{file} holds no request")
    rows, times = _with_keys(rows.select(needed), keys, file), rows[READ_AT]
    if times.null_count:
        raise RefusedError(f"{times.null_count} requests of {file} have no {READ_AT}")
    if (last := pc.max(times).as_py()) > as_of:
        raise RefusedError(
            f"{file} holds a request of {last.isoformat()}, after {as_of.isoformat()}: name a "
            "time that is not before it"
        )
    return rows


def _with_keys(rows: pa.Table, keys: Mapping[str, "FeastType"], file: Path) -> pa.Table:
    from feature_access.entities.value import UnusableKeysError, entity_column

    for name, kind in keys.items():
        try:
            named = entity_column(rows[name], name, kind)
        except UnusableKeysError as error:
            raise RefusedError(f"{file} holds what names no entity: {error}") from None
        rows = rows.set_column(rows.schema.get_field_index(name), name, named)
    return rows
