"""A row that was changed in the log is told from an event that was changed since."""

import random
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from backfill_stories import AS_OF, DAY, HOUR, orders_of
from oracle import Event, write_events
from refreshes import bring_up_to

from feature_pipeline.change_log.backfill import compare_with_rebuild
from feature_pipeline.change_log.backfill_causes import (
    EITHER,
    EVENT_CAME,
    EVENT_CHANGED,
    EVENT_GONE,
    OTHER_TERMS,
    ROW_ADDED,
    ROW_CHANGED,
    ROW_DOUBLED,
    ROW_GONE,
)
from feature_pipeline.refreshed import Tables, Terms
from storage.parquet_table import parts_of

EVENTS = [event for customer in range(1, 5) for event in orders_of(customer)]
ARRIVED = AS_OF - 3 * DAY
"""An arrival in the middle of the stretch, of each customer."""


class Place:
    """A log as a refresh left it, of which rows and events can be changed afterwards."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.tables = Tables(
            folder / "events.parquet", folder / "history.parquet", folder / "quarantine.parquet"
        )
        write_events(EVENTS, self.tables.events)
        bring_up_to(AS_OF, self.tables, Terms(30 * DAY, DAY))

    def rows(self, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> None:
        (part,) = parts_of(self.tables.history)
        table = pq.read_table(part)
        pq.write_table(pa.Table.from_pylist(change(table.to_pylist()), table.schema), part)

    def causes(self, lookback: timedelta = 30 * DAY) -> dict[str, int]:
        compared = compare_with_rebuild(
            self.tables.events,
            self.tables.history,
            as_of=AS_OF,
            stretch=7 * DAY,
            lookback_window=lookback,
            allowed_lateness=DAY,
        )
        assert bool(compared.causes) == bool(compared.differing)
        return dict(compared.causes)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "place")


def is_at(row: dict[str, Any], at: datetime, customer: int) -> bool:
    return (row["customer_id"], row["event_timestamp"]) == (customer, at)


def row_changed(place: Place, at: datetime, customer: int) -> None:
    place.rows(lambda rows: [r | {"orders_30d": 9} if is_at(r, at, customer) else r for r in rows])


def row_gone(place: Place, at: datetime, customer: int) -> None:
    place.rows(lambda rows: [r for r in rows if not is_at(r, at, customer)])


def row_doubled(place: Place, at: datetime, customer: int) -> None:
    place.rows(lambda rows: rows + [r for r in rows if is_at(r, at, customer)])


def row_added(place: Place, at: datetime, customer: int) -> None:
    earlier = {"event_timestamp": at - HOUR / 2}
    place.rows(lambda rows: rows + [r | earlier for r in rows if is_at(r, at, customer)])


def event_changed(place: Place, at: datetime, customer: int) -> None:
    write_events(_where(at, customer, lambda e: [e._replace(orders=5)]), place.tables.events)


def event_gone(place: Place, at: datetime, customer: int) -> None:
    write_events(_where(at, customer, lambda e: []), place.tables.events)


def event_came(place: Place, at: datetime, customer: int) -> None:
    def and_another(event: Event) -> list[Event]:
        yesterday = event.event_timestamp - DAY + 3 * HOUR
        return [event, Event(customer, yesterday, at - HOUR / 4, 2, 7.0, 1)]

    write_events(_where(at, customer, and_another), place.tables.events)


def _where(at: datetime, customer: int, put: Callable[[Event], list[Event]]) -> Iterator[Event]:
    for event in EVENTS:
        here = (event.customer_id, event.created_timestamp) == (customer, at)
        yield from put(event) if here else [event]


CHANGES = {
    ROW_CHANGED: row_changed,
    ROW_GONE: row_gone,
    ROW_DOUBLED: row_doubled,
    ROW_ADDED: row_added,
    EVENT_CHANGED: event_changed,
    EVENT_GONE: event_gone,
    EVENT_CAME: event_came,
}


@pytest.mark.parametrize("cause", CHANGES)
def test_each_cause_is_named_and_no_other(place: Place, cause: str) -> None:
    CHANGES[cause](place, ARRIVED, 2)
    # An event moves its own row and the three that arrive after it within the stretch.
    rows = 4 if cause in (EVENT_CHANGED, EVENT_GONE, EVENT_CAME) else 1
    assert place.causes() == {cause: rows + (cause == EVENT_CAME)}


def test_without_a_change_there_is_no_cause(place: Place) -> None:
    assert place.causes() == {}


def test_at_the_end_of_the_stretch_nothing_tells_a_row_from_an_event(place: Place) -> None:
    row_changed(place, AS_OF, 2)
    assert place.causes() == {EITHER: 1}


def test_a_log_made_by_other_terms_is_blamed_on_them(place: Place) -> None:
    (cause, keys), *others = place.causes(lookback=5 * DAY).items()
    assert (cause, others) == (OTHER_TERMS, []) and keys >= 28


def test_of_changes_at_random_the_cause_is_right(tmp_path: Path) -> None:
    """Two changes of two customers at once: each is named, and nothing else."""
    dice, right = random.Random(11), 0
    for n in range(12):
        place = Place(tmp_path / str(n))
        expected = dice.sample(sorted(CHANGES), 2)
        # Rows first: they are changed where the log lies, events in the file beside it.
        ordered = sorted(expected, key=lambda cause: "event" in cause)
        events_changed = sum("event" in cause for cause in expected)
        if events_changed == 2:
            ordered = ordered[:1]
        for customer, cause in enumerate(ordered, start=1):
            CHANGES[cause](place, AS_OF - dice.randint(1, 5) * DAY, customer)
        right += place.causes().keys() == set(ordered)
    assert right == 12
