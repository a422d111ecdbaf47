"""The change log of any declaration, of a file of events alone: no registry, no contract."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from feature_pipeline.aggregation.declaration import Declaration
from feature_pipeline.aggregation.kernel import Kernel, row_begins
from feature_pipeline.change_log.aggregate import refuse_one_for_another
from feature_pipeline.change_log.events_table import readable
from feature_pipeline.change_log.instants import in_utc
from feature_pipeline.change_log.local_days import IN_UTC, refuse_unknown_zone
from feature_pipeline.declared.event_file import columns_of, event_file
from feature_pipeline.declared.intake import Admission, Intake
from feature_pipeline.declared.ordered import whole_keys
from storage.atomic import replacing
from storage.duckdb_session import embedded_engine
from storage.errors import RefusedError


@dataclass(frozen=True)
class Computed:
    """What became of the rows of a file (rows in = rows out + quarantined), and what was made."""

    ingested: int
    """Rows that had arrived: `kept + superseded + filtered + quarantined`."""
    kept: int
    superseded: int
    filtered: int
    """Admissible, and not looked at by the declaration's own `where`."""
    quarantined: int
    not_yet_arrived: int
    log_rows: int
    keys: int
    """Keys with a row in the log."""

    def __str__(self) -> str:
        return (
            f"{self.ingested:,} events ingested: {self.kept:,} kept, "
            f"{self.superseded:,} superseded, {self.filtered:,} not looked at, "
            f"{self.quarantined:,} quarantined; {self.not_yet_arrived:,} had not yet arrived"
        )


def compute_log(
    events: Path,
    log: Path,
    quarantine: Path,
    declaration: Declaration,
    *,
    as_of: datetime,
    allowed_lateness: timedelta,
    zone: str = IN_UTC,
    on_step: Callable[[str], None] = lambda step: None,
) -> Computed:
    """Write the change log of `events` as known at `as_of`: keys, `event_timestamp`, features.

    Log and quarantine (parquet) appear whole or not at all. An event may arrive `allowed_lateness`
    after it happened. Periods of the declaration's dedup are those of `zone`.

    Raises:
        RefusedError: the events are not those that were declared, none had arrived, an id belongs
            to two keys, a sum is too large, or a target cannot be written.
        ValueError: `as_of` has no time zone.
    """
    as_of = in_utc(as_of)
    refuse_one_for_another(events, log, quarantine)
    file = event_file(events, declaration)
    with (
        replacing(log) as log_draft,
        replacing(quarantine) as quarantine_draft,
        embedded_engine(log.parent) as connection,
        readable(file.parts, columns_of(declaration)),
    ):
        refuse_unknown_zone(connection, zone, named_in="--timezone")
        intake = Intake(connection, file, Kernel(declaration, as_of))
        on_step("judging events")
        intake.judge(Admission(as_of, allowed_lateness))
        ingested, accepted, not_yet_arrived = intake.counts(as_of)
        intake.refuse_moved_ids()
        on_step("writing quarantined events")
        intake.write_quarantine(quarantine_draft)
        on_step("aggregating")
        rows, keys = _write(intake, zone, log_draft)
    became = intake.kernel.counts
    if accepted != became.kept + became.superseded + became.filtered:
        raise AssertionError(f"events were lost or doubled on the way in: {became} of {accepted}")
    return Computed(
        ingested=ingested,
        kept=became.kept,
        superseded=became.superseded,
        filtered=became.filtered,
        quarantined=ingested - accepted,
        not_yet_arrived=not_yet_arrived,
        log_rows=rows,
        keys=keys,
    )


def _write(intake: Intake, zone: str, target: Path) -> tuple[int, int]:
    """Write the log's rows; how many, and of how many keys.

    Raises:
        RefusedError: a sum is beyond what a feature can hold.
    """
    kernel, rows, keys = intake.kernel, 0, 0
    try:
        with pq.ParquetWriter(target, kernel.log_schema, use_dictionary=_texts(kernel)) as writer:
            for batch in whole_keys(intake, zone):
                made = kernel.rows_of(batch)
                writer.write_batch(made)
                rows += len(made)
                names = [key.name for key in kernel.declaration.keys]
                keys += int(np.count_nonzero(row_begins([made[name] for name in names])))
    except OverflowError as error:
        raise RefusedError(
            f"the sums of {intake.file.events} grow too large ({error}): mend the amounts, or "
            "declare them in larger units; nothing was written"
        ) from error
    return rows, keys


def _texts(kernel: Kernel) -> list[str]:
    """Columns that are much smaller as a dictionary; for the others it takes twice the time."""
    return [field.name for field in kernel.log_schema if pa.types.is_string(field.type)]
