"""A log whose averages were rounded twice is mended by the next refresh, and nothing else is.

On each engine: averages on record are moved by hand, and the log is said to be another
aggregation's.
"""

from collections.abc import Callable, Iterator
from decimal import Decimal
from math import inf, nextafter

import psycopg
import pytest
from engines import Engine, Place
from moved_bits import moved, of_another_aggregation
from oracle import Event, Row
from postgres_server import Database
from refresh_stories import DAY, HOUR, MONTH, NOON
from warehouse import LOG, PIPELINE, SECRET

from feature_pipeline.refreshed import Terms
from storage.errors import RefusedError

pytest_plugins = ["engines"]
pytestmark = pytest.mark.usefixtures("one_engine")

TERMS = Terms(MONTH, DAY)
EVENTS = [
    Event(customer, at := NOON - n * DAY, at, 1, Decimal("19.90"), 1)
    for customer in (1, 2)
    for n in range(1, 5)
]


@pytest.fixture
def place(engine: Engine) -> Iterator[Place]:
    with engine.place() as place:
        place.deliver(EVENTS)
        place.bring_up_to(NOON, TERMS)
        yield place


def averages(rows: list[Row]) -> set[float]:
    return {row.profile.avg_order_value_30d for row in rows}


ULP = nextafter(1.0, inf)


@pytest.mark.parametrize("factor", [ULP, 2 - ULP, 1 + 3 * (ULP - 1)])
def test_another_aggregations_last_bits_are_mended(place: Place, factor: float) -> None:
    before = place.log().rows
    moved(place, factor)
    assert averages(place.log().rows) == {19.9, 19.9 * factor}
    of_another_aggregation(place)
    done = place.bring_up_to(NOON + HOUR, TERMS)
    assert done.made_anew == (
        "the aggregation or its terms are others now; 4 rows had an average with other last "
        "bits, now mended"
    )
    assert place.log().rows == before
    assert (done.new_rows, done.history_rows) == (0, len(before))
    assert place.bring_up_to(NOON + 2 * HOUR, TERMS).made_anew is None


@pytest.mark.parametrize("factor", [1 + 1e-14, 1 - 1e-12, 2.0])
def test_what_is_more_than_last_bits_is_refused(place: Place, factor: float) -> None:
    moved(place, factor)
    of_another_aggregation(place)
    spoiled = place.log().rows
    with pytest.raises(RefusedError, match=r"4 rows of .* would be taken back"):
        place.bring_up_to(NOON + HOUR, TERMS)
    assert place.log().rows == spoiled


def test_without_another_aggregation_a_last_bit_is_refused(place: Place) -> None:
    """Then an event has changed: one that had not arrived makes all be made anew."""
    moved(place, ULP)
    place.deliver([Event(7, NOON - 9 * DAY, NOON - DAY, 1, Decimal(1), 1)])
    with pytest.raises(RefusedError, match=r"4 rows of .* would be taken back"):
        place.bring_up_to(NOON + HOUR, TERMS)


def test_an_events_change_is_refused_beside_mended_averages(place: Place) -> None:
    moved(place, ULP)
    of_another_aggregation(place)
    place.deliver([Event(2, NOON - DAY + HOUR, NOON - DAY + HOUR, 1, Decimal("19.90"), 2)])
    with pytest.raises(RefusedError, match="would be added to what"):
        place.bring_up_to(NOON + HOUR, TERMS)


def as_owner(database: Database, statement: str) -> None:
    with database.connect() as owner:
        owner.execute(statement)


def test_the_pipeline_can_change_no_more_than_last_bits(shared_warehouse: Database) -> None:
    as_owner(shared_warehouse, f"TRUNCATE {LOG}")
    as_owner(shared_warehouse, f"INSERT INTO {LOG} VALUES (1, '2024-01-01Z', 19.9, 1, 1, 1)")
    mend: Callable[..., str] = "SELECT data_warehouse.mend_average(1, '2024-01-01Z', {})".format
    with shared_warehouse.seen_by(PIPELINE, SECRET).connect() as pipeline:
        pipeline.execute(mend(19.900000000000002))
        for value in ("19.91", "0", "-19.9", "'NaN'", "'Infinity'"):
            with pytest.raises(psycopg.errors.RaiseException, match="more than its last bits"):
                pipeline.execute(mend(value))
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            pipeline.execute(f"UPDATE {LOG} SET avg_order_value_30d = 1")
        assert pipeline.execute(f"SELECT avg_order_value_30d FROM {LOG}").fetchall() == [
            (19.900000000000002,)
        ]
