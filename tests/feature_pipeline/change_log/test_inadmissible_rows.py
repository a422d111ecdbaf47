"""A row that breaks a rule by itself is set aside with its reason, and stops nobody else.

On each engine, whether its log is continued or made anew; events come to the warehouse as a file.
"""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from engines import Engine, Place, Warehouse, in_warehouse
from event_strategies import DAY, HOUR, MONTH
from oracle import MICROSECOND, Event, row_differences, write_events
from sound_rows import NOON, SOUND
from warehouse import PIPELINE, QUARANTINE, SECRET

from feature_pipeline.compute_engines.postgres.load import load_events
from feature_pipeline.refreshed import RefreshResult, Terms
from storage.duckdb_session import parquet_at

pytest_plugins = ["engines"]
pytestmark = pytest.mark.usefixtures("one_engine")

BEFORE = [
    SOUND._replace(customer_id=n, event_timestamp=NOON, created_timestamp=NOON) for n in (1, 2)
]
LEAST, GREATEST = -(2**63), 2**63 - 1
YEAR_1, YEAR_10000 = -62_135_596_800 * 10**6, 253_402_300_800 * 10**6

NEGATIVE = "malformed: {} is negative"
ITS_OWN_FAULT: dict[str, tuple[dict[str, Any], str]] = {
    "a refund alone": ({"order_value": -7.5, "orders": 0}, NEGATIVE.format("order_value")),
    "a refund of less than a cent": ({"order_value": -1e-15}, NEGATIVE.format("order_value")),
    "endless debt": ({"order_value": float("-inf")}, NEGATIVE.format("order_value")),
    "fewer orders than none": ({"orders": -1}, NEGATIVE.format("orders")),
    "fewer sessions than none": ({"sessions": -3}, NEGATIVE.format("sessions")),
    "nobody": ({"customer_id": None}, "malformed: customer_id is null"),
    "never": ({"event_timestamp": None}, "malformed: event_timestamp is null"),
    "no value": ({"order_value": None}, "malformed: order_value is null"),
    "no number": ({"order_value": float("nan")}, "malformed: order_value is not an amount"),
    **{
        f"happened at {instant}": (
            {"event_timestamp": instant},
            "malformed: event_timestamp is no instant",
        )
        for instant in (LEAST, LEAST + 1, GREATEST, GREATEST - 1, YEAR_1 - 1, YEAR_10000)
    },
    "happened in the year 1": (
        {"event_timestamp": YEAR_1},
        "late: arrived after the allowed lateness",
    ),
    "happened in the year 9999": (
        {"event_timestamp": YEAR_10000 - 1},
        "future-dated: happened after it arrived",
    ),
}
ARRIVED_AT_NO_INSTANT = {
    None: "malformed: created_timestamp is null",
    **dict.fromkeys(
        (LEAST, LEAST + 1, GREATEST, GREATEST - 1, YEAR_1 - 1, YEAR_10000),
        "malformed: created_timestamp is no instant",
    ),
}


def deliver(place: Place, events: Iterable[Event], folder: Path) -> None:
    if isinstance(place, Warehouse):
        pipeline = place.database.seen_by(PIPELINE, SECRET)
        load_events(pipeline.address, write_events(events, folder / "delivered.parquet"))
    else:
        place.deliver(events)


@pytest.fixture
def place(engine: Engine, tmp_path: Path) -> Iterator[Place]:
    """Refreshed at noon, after events of two customers."""
    with engine.place(in_parts=True) as place:
        deliver(place, BEFORE, tmp_path)
        assert brought_up_to(place, NOON).events.quarantined == 0
        yield place


def brought_up_to(place: Place, as_of) -> RefreshResult:
    return place.bring_up_to(as_of, Terms(MONTH, DAY))


def set_aside(place: Place) -> list[tuple[Any, ...]]:
    """Whose, why, and what they said; instants that Python cannot name are left out."""
    columns = "reason, customer_id, orders, CAST(order_value AS DOUBLE PRECISION), sessions"
    if isinstance(place, Warehouse):
        with place.database.connect() as connection:
            rows = connection.execute(f"SELECT {columns} FROM {QUARANTINE}").fetchall()
    else:
        rows = (
            duckdb.read_parquet(parquet_at(place.tables.quarantine), union_by_name=True)
            .select(columns.replace("DOUBLE PRECISION", "DOUBLE"))
            .fetchall()
        )
    return sorted(rows, key=str)


def reasons(place: Place) -> list[str]:
    return [row[0] for row in set_aside(place)]


def test_each_is_set_aside_with_its_reason_and_the_others_go_on(
    place: Place, engine: Engine, tmp_path: Path
) -> None:
    faulty = [
        SOUND._replace(customer_id=n, **fault)
        if "customer_id" not in fault
        else SOUND._replace(**fault)
        for n, (fault, _) in enumerate(ITS_OWN_FAULT.values(), start=100)
    ]
    sound = [SOUND, SOUND._replace(customer_id=3, event_timestamp=NOON + MICROSECOND)]
    deliver(place, [sound[0], *faulty, sound[1]], tmp_path)
    done = brought_up_to(place, NOON + 2 * HOUR)
    assert done.made_anew is None, "one bad row does not cost a rebuild"
    aside = [reason for _, reason in ITS_OWN_FAULT.values()]
    log, quarantined = place.log().rows, set_aside(place)
    again = brought_up_to(place, NOON + 2 * HOUR)
    assert (again.events, again.new_rows) == (done.events, 0)

    with engine.place() as anew:
        deliver(anew, [*BEFORE, *faulty, *sound], tmp_path)
        whole = brought_up_to(anew, NOON + 2 * HOUR)
        assert whole.events == done.events
        assert row_differences(anew.log().rows, log) == []
        assert str(set_aside(anew)) == str(quarantined)  # NaN is not equal to itself
    with engine.place() as plain:
        deliver(plain, [*BEFORE, *sound], tmp_path)
        brought_up_to(plain, NOON + 2 * HOUR)
        assert row_differences(plain.log().rows, log) == []
    assert [row[0] for row in quarantined] == sorted(aside)
    assert (done.events.kept, done.events.superseded) == (3, 1)


def test_what_arrived_at_no_instant_is_there_and_set_aside(
    place: Place, engine: Engine, tmp_path: Path
) -> None:
    undated = [
        SOUND._replace(customer_id=n, created_timestamp=instant)
        for n, instant in enumerate(ARRIVED_AT_NO_INSTANT, start=100)
    ]
    deliver(place, [SOUND, *undated], tmp_path)
    done = brought_up_to(place, NOON + 2 * HOUR)
    aside = sorted(ARRIVED_AT_NO_INSTANT.values())
    assert reasons(place) == aside
    assert (done.events.ingested, done.events.quarantined) == (3 + len(aside), len(aside))
    assert done.events.not_yet_arrived == 0
    assert done.newest_arrival == SOUND.created_timestamp
    deliver(place, [SOUND._replace(customer_id=4, created_timestamp=NOON + 3 * HOUR)], tmp_path)
    later = brought_up_to(place, NOON + 3 * HOUR)
    assert later.made_anew is None, "they are not met as new again"
    assert (reasons(place), later.events.quarantined) == (aside, len(aside))


REPEATED = "doubled: stands there more than once"
CONFLICTING = "doubled: stands there more than once, with other amounts"


def test_of_rows_that_say_the_same_one_counts_and_of_others_none(
    place: Place, engine: Engine, tmp_path: Path
) -> None:
    conflict = SOUND._replace(customer_id=2)
    delivered = [SOUND, SOUND, SOUND, conflict, conflict._replace(orders=5), conflict]
    # What is inadmissible by itself is no other account of an event.
    delivered += [SOUND._replace(customer_id=3, orders=-1), SOUND._replace(customer_id=3)]
    deliver(place, delivered, tmp_path)
    done = brought_up_to(place, NOON + 2 * HOUR)
    aside = sorted([REPEATED] * 2 + [CONFLICTING] * 3 + [NEGATIVE.format("orders")])
    assert reasons(place) == aside
    assert (done.made_anew, done.events.ingested, done.events.quarantined) == (None, 10, 6)
    newest = {row.customer_id: row.profile for row in place.log().rows}
    assert [newest[n].orders_30d for n in (1, 2, 3)] == [1, 1, 1]

    next_one = SOUND._replace(customer_id=2, created_timestamp=NOON + 3 * HOUR)
    deliver(place, [next_one], tmp_path)
    later = brought_up_to(place, NOON + 3 * HOUR)
    assert (later.made_anew, later.events.quarantined) == (None, 6)
    assert reasons(place) == aside
    log, quarantined = place.log().rows, set_aside(place)
    with engine.place() as anew:
        deliver(anew, [*BEFORE, *delivered, next_one], tmp_path)
        assert brought_up_to(anew, NOON + 3 * HOUR).events == later.events
        assert row_differences(anew.log().rows, log) == []
        assert set_aside(anew) == quarantined


def test_a_repeated_delivery_is_another_day_of_doubles_and_no_other_log(
    place: Place, engine: Engine, tmp_path: Path
) -> None:
    """Of the lake: into the warehouse an event that is held does not come again."""
    log = place.log().rows
    deliver(place, [BEFORE[0]], tmp_path)
    done = brought_up_to(place, NOON + MICROSECOND)
    assert place.log().rows == log
    assert done.events.quarantined == (engine.name != "postgresql")


def test_another_account_of_what_was_served_is_not_loaded_and_does_not_stop_the_load(
    shared_warehouse, tmp_path: Path
) -> None:
    with in_warehouse(shared_warehouse) as place:
        deliver(place, BEFORE, tmp_path)
        brought_up_to(place, NOON)
        log = place.log().rows
        other = BEFORE[0]._replace(order_value=Decimal("99.00"))
        pipeline = shared_warehouse.seen_by(PIPELINE, SECRET)
        file = write_events(
            [*BEFORE, other, SOUND._replace(order_value=Decimal(3))][2:], tmp_path / "e"
        )
        loaded = [load_events(pipeline.address, file) for _ in range(2)]
        assert [vars(one) for one in loaded] == [
            {"appended": 1, "there_already": 0, "set_aside": 1, "left_out": 0},
            {"appended": 0, "there_already": 1, "set_aside": 1, "left_out": 0},
        ]
        done = brought_up_to(place, NOON + 2 * HOUR)
        assert (done.made_anew, done.events.quarantined) == (None, 0)
        assert set(log) < set(place.log().rows)
        assert reasons(place) == ["doubled: the warehouse holds it with other amounts"]
