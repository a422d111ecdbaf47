"""Requests that were answered online, with what was served, from whoever logged them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from feature_access.refusal import RefusedError
from scripts.sampling import READ_AT

_INSTANT = pa.timestamp("us", tz="UTC")


def read_requests(
    file: Path,
    keys: Sequence[str],
    features: Sequence[str],
    as_of: datetime,
    environment: Mapping[str, str],
    text: Sequence[str] = (),
) -> pa.Table:
    """Join keys, `read_at` (UTC) and the values served, a row per request, as logged.

    Raises:
        RefusedError: the file cannot be read, lacks a column, or holds no request; or a request has
            no time, or one after `as_of`.
    """
    # Imported late: it takes pandas, which --help should not.
    from feature_access.entity_frame import read_entity_frame

    rows = read_entity_frame(file, environment, time=READ_AT, text=text)
    needed = [*keys, READ_AT, *features]
    if absent := sorted({*needed} - {*rows.column_names}):
        raise RefusedError(f"{file} lacks the columns {', '.join(absent)}")
    if rows.num_rows == 0:
        raise RefusedError(f"{file} holds no request")
    rows = rows.select(needed)
    if not pa.types.is_timestamp(rows[READ_AT].type):
        raise RefusedError(f"{READ_AT} of {file} holds no times, but {rows[READ_AT].type}")
    times = rows[READ_AT].cast(_INSTANT, safe=False)  # of naive ones it takes UTC
    if times.null_count:
        raise RefusedError(f"{times.null_count} requests of {file} have no {READ_AT}")
    if (last := pc.max(times).as_py()) > as_of:
        raise RefusedError(
            f"{file} holds a request of {last.isoformat()}, after {as_of.isoformat()}: name a "
            "time that is not before it"
        )
    return rows.set_column(rows.schema.get_field_index(READ_AT), READ_AT, times)
