"""The days that are counted are the contract's zone's, on every engine, whatever its clocks do."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from engines import Engine, Place, by_duckdb, terms_of
from event_strategies import DAY, HOUR, MONTH
from oracle import MICROSECOND, Event, Oracle, differences

from contract_checks.language.loader import load
from feature_pipeline.refreshed import Terms
from jobs.refreshing.ingest import ingest
from jobs.repository import CONTRACT
from storage.errors import RefusedError

pytest_plugins = ["engines"]
pytestmark = pytest.mark.usefixtures("one_engine")


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]


# A zone, and a local midnight or a change of its clocks, in UTC.
ZONES = {
    "UTC": ("UTC", utc(2024, 3, 31)),
    "winter": ("Europe/Berlin", utc(2024, 1, 14, 23)),
    "a day of 23 hours": ("Europe/Berlin", utc(2024, 3, 30, 23)),
    "a day of 25 hours": ("Europe/Berlin", utc(2024, 10, 26, 22)),
    "half-hour offset": ("Asia/Kolkata", utc(2024, 2, 28, 18, 30)),
    "an older name": ("Asia/Calcutta", utc(2024, 2, 28, 18, 30)),
    "quarters of an hour": ("Asia/Kathmandu", utc(2024, 2, 28, 18, 15)),
    "southern summer": ("Pacific/Auckland", utc(2024, 4, 6, 11)),
    "half an hour of summer": ("Australia/Lord_Howe", utc(2024, 4, 6, 13)),
    "no midnight": ("America/Sao_Paulo", utc(2017, 10, 15, 3)),
    "midnight twice": ("America/Sao_Paulo", utc(2018, 2, 18, 2)),
    "a day goes on after the next has begun": ("America/St_Johns", utc(2006, 10, 29, 2, 31)),
    "a day that was left out": ("Pacific/Apia", utc(2011, 12, 30, 10)),
    "half a day behind": ("Etc/GMT+12", utc(2024, 2, 29, 12)),
}
DEAR = ("a day of 23 hours", "a day of 25 hours", "a day goes on after the next has begun")
"""Those that Spark is asked for."""

BESIDE = (
    *(timedelta(0), MICROSECOND, -MICROSECOND, 30 * MICROSECOND, HOUR / 120, HOUR / 2, -HOUR / 2),
    *(
        HOUR,
        -HOUR,
        1.5 * HOUR,
        2 * HOUR,
        3 * HOUR,
        22.5 * HOUR,
        23.5 * HOUR,
        24.5 * HOUR,
        -23 * HOUR,
    ),
)


def oracle_beside(zone: str, turn: datetime, window: timedelta = MONTH) -> Oracle:
    """Two customers' states on both sides of the turn, some of which arrive in another order."""
    events = [
        Event(customer, at := turn + beside, at + delay * HOUR, 1 + n, Decimal(n), 1)
        for customer, every, delays in ((1, 1, (0, 5)), (2, 3, (9, 1, 20)))
        for n, beside in enumerate(sorted(BESIDE)[::every])
        for delay in [delays[n % len(delays)]]
    ]
    return Oracle(events, lookback_window=window, allowed_lateness=DAY, zone=zone)


@pytest.mark.parametrize("name", ZONES)
@pytest.mark.parametrize(
    "window", [MONTH, pytest.param(30 * HOUR, marks=pytest.mark.slow)], ids=["30d", "30h"]
)
def test_at_once_and_step_by_step_the_zones_days_count(
    engine: Engine, name: str, window: timedelta
) -> None:
    if engine.name == "spark" and (name not in DEAR or window == MONTH):
        pytest.skip("the same on Spark at ten times the price")
    oracle = oracle_beside(*ZONES[name], window)
    turn = ZONES[name][1]
    with engine.place() as place:
        place.deliver(oracle.events)
        for at in (turn + HOUR / 4, turn + 2 * HOUR, turn + DAY, turn + 2 * MONTH):
            done = place.bring_up_to(at, terms_of(oracle))
            assert vars(done.events) == oracle.counts(at)._asdict()
        assert done.made_anew is None
        log = place.log()
    points = oracle.change_points()
    assert differences(oracle, log, points) == []
    if oracle.zone != "UTC":
        in_utc = Oracle(oracle.events, lookback_window=window, allowed_lateness=DAY)
        assert differences(in_utc, log, points), "days of UTC would be seen"


@pytest.mark.parametrize("name", ZONES)
def test_the_statement_counts_the_same_days(name: str) -> None:
    oracle = oracle_beside(*ZONES[name])
    at = ZONES[name][1] + 2 * MONTH
    in_sql, in_one_pass = by_duckdb(oracle, at, in_sql=True), by_duckdb(oracle, at)
    assert in_sql.log.rows == in_one_pass.log.rows
    assert in_sql.counts == in_one_pass.counts


BY_HAND = {
    "two days of Berlin, one of UTC": ("Europe/Berlin", "2024-01-14T22:59", "2024-01-14T23:00", 2),
    "one day of Berlin, two of UTC": ("Europe/Berlin", "2024-01-14T23:30", "2024-01-15T00:30", 1),
    "first and last hour of 23": ("Europe/Berlin", "2024-03-30T23:00", "2024-03-31T21:59", 1),
    "an hour after those 23": ("Europe/Berlin", "2024-03-31T21:59", "2024-03-31T22:00", 2),
    "first and last hour of 25": ("Europe/Berlin", "2024-10-26T22:00", "2024-10-27T22:59", 1),
    "an hour after those 25": ("Europe/Berlin", "2024-10-27T22:59", "2024-10-27T23:00", 2),
    "no midnight": ("America/Sao_Paulo", "2017-10-15T02:59", "2017-10-15T03:00", 2),
    "45 minutes": ("Asia/Kathmandu", "2024-02-28T18:14", "2024-02-28T18:15", 2),
}


@pytest.fixture
def place(engine: Engine) -> Iterator[Place]:
    with engine.place() as place:
        yield place


@pytest.mark.parametrize(("zone", "one", "other", "days"), BY_HAND.values(), ids=BY_HAND)
def test_by_hand(place: Place, zone: str, one: str, other: str, days: int) -> None:
    first, second = (datetime.fromisoformat(f"{at}+00:00") for at in (one, other))
    place.deliver(Event(1, at, at, 1, Decimal(10), 1) for at in (first, second))
    done = place.bring_up_to(second + HOUR, Terms(MONTH, DAY, zone=zone))
    newest = place.log().rows[-1].profile
    assert (newest.orders_30d, newest.distinct_order_days_30d) == (days, days)
    assert (done.events.kept, done.events.superseded) == (days, 2 - days)


@pytest.mark.parametrize("zone", ["Europe/Berln", "", "'; --", "Nowhere/At_All"])
def test_a_zone_that_an_engine_does_not_know_is_refused(place: Place, zone: str) -> None:
    at = datetime(2024, 1, 1, tzinfo=UTC)
    place.deliver([Event(1, at, at, 1, Decimal(10), 1)])
    with pytest.raises(RefusedError, match=r"does not know the time zone .* name it there"):
        place.bring_up_to(at + HOUR, Terms(MONTH, DAY, zone=zone))
    assert place.log().rows == []


def test_another_zone_makes_the_log_anew(place: Place) -> None:
    at = datetime(2024, 1, 1, 12, tzinfo=UTC)
    place.deliver([Event(1, at, at, 1, Decimal(10), 1)])
    place.bring_up_to(at + HOUR, Terms(MONTH, DAY))
    berlin = Terms(MONTH, DAY, zone="Europe/Berlin")
    done = place.bring_up_to(at + 2 * HOUR, berlin)
    assert done.made_anew == "the aggregation or its terms are others now"
    assert place.bring_up_to(at + 3 * HOUR, berlin).made_anew is None


@pytest.mark.parametrize("zone", ["CET", "EST", "MST"])
def test_what_postgresql_takes_for_an_offset_it_is_not_asked_for(
    place: Place, engine: Engine, zone: str
) -> None:
    """CET is a zone with a summer; to PostgreSQL it is an hour, all the year."""
    summer = datetime(2024, 7, 1, 22, 30, tzinfo=UTC)
    place.deliver(Event(1, at, at, 1, Decimal(10), 1) for at in (summer - HOUR, summer))
    terms = Terms(MONTH, DAY, zone=zone)
    if engine.name == "postgresql":
        with pytest.raises(RefusedError, match="does not know the time zone"):
            place.bring_up_to(summer + HOUR, terms)
        return
    place.bring_up_to(summer + HOUR, terms)
    days = {at.astimezone(ZoneInfo(zone)).date() for at in (summer - HOUR, summer)}
    assert place.log().rows[-1].profile.distinct_order_days_30d == len(days)


def test_the_dbt_project_is_not_asked_for_days_of_another_zone(tmp_path: Path) -> None:
    """Its states are of UTC days; nothing is run, and nothing on record."""
    contract = load(CONTRACT)
    elsewhere = contract.model_copy(
        update={"time": contract.time.model_copy(update={"timezone": "Europe/Berlin"})}
    )
    with pytest.raises(RefusedError, match=r"days of Europe/Berlin \(§3\).*upstream of your own"):
        ingest(elsewhere, datetime(2024, 1, 1, tzinfo=UTC), tmp_path / "events.parquet")
    assert list(tmp_path.iterdir()) == []
