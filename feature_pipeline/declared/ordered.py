"""The admitted events in the order that the kernel wants, whole keys at a time."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from feature_pipeline.aggregation.declaration import Dedup
from feature_pipeline.aggregation.kernel import ARRIVED, HAPPENED, THING, row_begins
from feature_pipeline.change_log.local_days import IN_UTC, duckdb_day, duckdb_hour
from feature_pipeline.declared.intake import Intake

AT_ONCE = 30 * 2048
"""Events, at the least, that the kernel is handed: it wants many keys, and little memory."""


def whole_keys(intake: Intake, zone: str) -> Iterator[pa.RecordBatch]:
    """Batches for the kernel; the last key of each waits for what may follow."""
    ordered = intake.connection.execute(_in_order(intake, zone)).fetch_record_batch(AT_ONCE)
    waiting: list[pa.RecordBatch] = []
    for batch in filter(len, ordered):
        block = pa.concat_batches([*waiting, batch])
        begins = row_begins([block[key] for key in intake.kernel.keys])
        last = int(np.flatnonzero(begins)[-1])
        if last:
            yield block.slice(0, last)
        waiting = [block.slice(last)]
    yield from waiting


def _in_order(intake: Intake, zone: str) -> str:
    dedup, columns = intake.declaration.dedup, dict(intake.kernel.columns)
    read = [*columns, HAPPENED, ARRIVED]
    if dedup.kind == "id":
        (of_id,) = (name for name, column in columns.items() if column.name == dedup.by)
        read.append(f"{of_id} AS {THING}")
    if dedup.kind == "period":
        period = {"day": duckdb_day, "hour": duckdb_hour}[dedup.by]
        read.append(f"{period(f'make_timestamp({HAPPENED})', zone)} AS {THING}")
    order = ", ".join([*intake.kernel.keys, *_order(dedup, zone)])
    return f"SELECT {', '.join(read)} FROM judged WHERE reason IS NULL ORDER BY {order}"


def _order(dedup: Dedup, zone: str) -> list[str]:
    """What counts as later comes later; events that count by themselves come as they are."""
    if dedup.kind == "none":
        return []
    if dedup.kind == "period" and zone == IN_UTC:
        return [HAPPENED, ARRIVED]  # no clock goes back, so they come by period as they are
    times = [HAPPENED, ARRIVED]
    return [THING, *(reversed(times) if dedup.order == "arrival" else times)]
