"""A log whose averages were rounded twice is mended by the next refresh, and nothing else is.

On each engine: averages on record are moved by hand, and the log is said to be another
aggregation's.
"""

import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from math import inf, nextafter

import psycopg
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from engines import Engine, Lake, Place, Warehouse
from oracle import Event, Row
from postgres_server import Database
from test_refresh_exactness import DAY, HOUR, MONTH, NOON
from warehouse import LOG, PIPELINE, REFRESHES, SECRET

from feature_pipeline.refreshed import Terms
from storage.errors import RefusedError
from storage.parquet_table import parts_of

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


def moved(place: Place, factor: float) -> None:
    """Averages of the first customer times that."""
    if isinstance(place, Warehouse):
        with place.database.connect() as owner:
            owner.execute(
                f"UPDATE {LOG} SET avg_order_value_30d = avg_order_value_30d * %s::float8 "
                "WHERE customer_id = 1",
                [factor],
            )
        return
    assert isinstance(place, Lake)
    for part in parts_of(place.tables.history):
        rows, name = pq.read_table(part), "avg_order_value_30d"
        times = pc.if_else(pc.equal(rows["customer_id"], 1), factor, 1.0)
        column = pc.multiply(rows[name], times)
        part.unlink()  # other versions may hold it, too
        pq.write_table(rows.set_column(rows.column_names.index(name), name, column), part)


def of_another_aggregation(place: Place) -> None:
    if isinstance(place, Warehouse):
        with place.database.connect() as owner:
            owner.execute(f"UPDATE {REFRESHES} SET aggregation = 'another'")
        return
    file = place.tables.history / "_watermark.json"
    told = json.loads(file.read_text())
    file.unlink()
    file.write_text(json.dumps(told | {"terms": "others"}))


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
