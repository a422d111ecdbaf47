"""A file of events, or a folder of its parts, as a declaration needs it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from feature_pipeline.aggregation.declaration import TIMES, Declaration
from feature_pipeline.change_log.event_parts import event_parts
from feature_pipeline.change_log.events_table import is_zoned_timestamp
from feature_pipeline.declared.event_types import EVENT_TYPES, INSTANT, layout_free
from storage.errors import RefusedError

PLACE = ("file_group", "file_index", "file_row_number")
"""The place of a row: of which group of files, and DuckDB's own names for file and number there."""


@dataclass(frozen=True)
class EventFile:
    """What can be read as the events of a declaration."""

    events: Path
    groups: tuple[tuple[Path, ...], ...]
    """The parts; those of one group have the same columns of the same types."""
    rows: int
    """By the footers of the parts."""

    @property
    def parts(self) -> tuple[Path, ...]:
        return tuple(part for group in self.groups for part in group)


def event_file(events: Path, declaration: Declaration) -> EventFile:
    """The events at a path; nothing of them is read but their footers.

    Raises:
        RefusedError: there are none, a part cannot be read, or it lacks a column or its type.
    """
    parts = event_parts(events, columns_of(declaration))
    if not parts:
        raise RefusedError(
            f"no events file at {events}: write the events of {declaration.view} there as parquet, "
            "or name another"
        )
    groups: dict[pa.Schema, list[Path]] = {}
    rows = 0
    for part in parts:
        schema, rows_of_part = _footer(part)
        for fault in _faults(part, schema, declaration):
            raise RefusedError(fault)
        groups.setdefault(schema.remove_metadata(), []).append(part)
        rows += rows_of_part
    if rows == 0:
        raise RefusedError(f"{events} has no rows: nothing to aggregate; check the ingestion job")
    return EventFile(events, tuple(map(tuple, groups.values())), rows)


def columns_of(declaration: Declaration) -> tuple[str, ...]:
    """The names that are read: the times, the keys, the columns."""
    return (*TIMES, *(one.name for one in (*declaration.keys, *declaration.columns)))


def _footer(part: Path) -> tuple[pa.Schema, int]:
    try:
        metadata = pq.read_metadata(part)
        return metadata.schema.to_arrow_schema(), metadata.num_rows
    except (pa.ArrowException, OSError) as error:
        why = str(error).splitlines()[0]
        raise RefusedError(
            f"{part} is not a readable parquet file ({why}): write the events anew"
        ) from error


def _faults(part: Path, schema: pa.Schema, declaration: Declaration) -> Iterator[str]:
    """What is wrong with a part's columns; the first fault hides those after it."""
    columns = columns_of(declaration)
    lower = [name.lower() for name in schema.names]  # to DuckDB they are one
    if doubled := [name for name in columns if lower.count(name.lower()) > 1]:
        yield f"{part} has two columns {', '.join(doubled)}: write each once"
    if missing := [name for name in columns if name not in schema.names]:
        yield (
            f"{part} lacks {', '.join(missing)}, which {declaration.view} is declared to be made "
            f"of; it has {', '.join(schema.names)}: write the events with them, or declare what is "
            "there"
        )
    if taken := [name for name in lower if name in PLACE]:
        yield f"{part} has a column {taken[0]}, the reader's own name for a row's place: rename it"
    wrong = list(_wrong_types(schema, declaration))
    if wrong:
        yield (
            f"{part} has columns of a wrong type: {'; '.join(wrong)}. Write them in these types, "
            "or declare what is there"
        )


def _wrong_types(schema: pa.Schema, declaration: Declaration) -> Iterator[str]:
    for name in TIMES:
        if not is_zoned_timestamp(layout_free(schema.field(name).type)):
            yield f"{name} is {schema.field(name).type}, expected {INSTANT}"
    for column in (*declaration.keys, *declaration.columns):
        told, expected = schema.field(column.name).type, EVENT_TYPES[column.kind]
        if not expected.fits(layout_free(told)):
            yield f"{column.name} is {told}, declared {column.kind}, expected {expected.expected}"
