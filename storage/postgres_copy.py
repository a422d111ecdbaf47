"""Rows in the binary format of PostgreSQL's COPY.

Whatever such a COPY fails of, or whoever cancels it, the server quotes none of its rows: neither to
the client nor in its own log, which it does of text and of CSV.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"
_AT_ONCE = 100_000  # rows
_EPOCH = 946_684_800_000_000
"""Microseconds from 1970 to 2000, where PostgreSQL counts from."""

Bytes = NDArray[np.uint8]


def binary_type(kind: pa.DataType) -> str:
    """What a column of Arrow's type is sent as: a bigint, a timestamptz, or else a text."""
    if pa.types.is_int64(kind):
        return "bigint"
    return "timestamptz" if pa.types.is_timestamp(kind) and kind.tz else "text"


def binary_rows(rows: pa.Table) -> Iterator[bytes]:
    """The rows, piece by piece; times are in microseconds."""
    yield _HEADER
    for batch in rows.to_batches(max_chunksize=_AT_ONCE):
        if batch.num_rows:
            yield _packed(batch)
    yield _TRAILER


def _packed(batch: pa.RecordBatch) -> bytes:
    fields = [_field(column) for column in batch.columns]
    sizes = 2 + sum(4 + np.maximum(lengths, 0) for lengths, _ in fields)
    ends = np.cumsum(sizes)
    out, at = np.empty(int(ends[-1]), np.uint8), ends - sizes
    _put(out, at, np.full(batch.num_rows, len(fields), ">i2"))
    at = at + 2
    for lengths, content in fields:
        _put(out, at, lengths.astype(">i4"))
        at = at + 4
        there = np.maximum(lengths, 0)
        begins = np.cumsum(there) - there
        out[np.repeat(at - begins, there) + np.arange(len(content))] = content
        at = at + there
    return out.tobytes()


def _put(out: Bytes, at: NDArray[np.int64], numbers: NDArray[Any]) -> None:
    width = numbers.dtype.itemsize
    out[at[:, None] + np.arange(width)] = numbers.view(np.uint8).reshape(-1, width)


def _field(column: pa.Array) -> tuple[NDArray[np.int64], Bytes]:
    """How long each value is, -1 for a null, and all of them one after the other."""
    there = column.is_valid().to_numpy(zero_copy_only=False)
    kind = binary_type(column.type)
    if kind == "text":
        texts = column.cast(pa.string()).fill_null("")
        offsets = np.frombuffer(texts.buffers()[1], np.int32)[texts.offset :][: len(texts) + 1]
        content = np.frombuffer(texts.buffers()[2] or b"", np.uint8)[offsets[0] : offsets[-1]]
        return np.where(there, np.diff(offsets), -1).astype(np.int64), content
    if kind == "timestamptz":
        column = column.cast(pa.timestamp("us", "UTC"))
    numbers = column.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)[there]
    if kind == "timestamptz":
        numbers = numbers - _EPOCH
    return np.where(there, 8, -1).astype(np.int64), numbers.astype(">i8").view(np.uint8)
