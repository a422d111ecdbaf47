"""Purchases that reach `raw` late, and money that goes back, in the dbt project customer_activity.

Every customer here is a case. The households of the demonstration have neither.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import duckdb
import pytest
from built_upstream import built, login_of
from oracle import Event, Oracle, Profile
from postgres_server import Database
from warehouse import PIPELINE, allow_raw

pytest_plugins = ["postgres_server", "warehouse"]

FIRST, SECOND, THIRD = map(
    datetime.fromisoformat, ("2026-03-01T20:10", "2026-03-02T06:10", "2026-03-02T12:30")
)
RUNS = (FIRST, SECOND, THIRD)


class Payment(NamedTuple):
    customer: int
    at: str
    """Day of March 2026 and time of day."""
    paid: str
    known: datetime = FIRST
    """The run that finds it in `raw`."""
    basket: int = 0
    """Products of one basket name it; otherwise each payment is a basket of its own."""

    @property
    def time(self) -> datetime:
        day, clock = self.at.split()
        return datetime.fromisoformat(f"2026-03-{day}T{clock}")


LATE_AMID, LATE_BEFORE_THE_FIRST, LATE_ALONE, TWO_LATE, LATE_THEN_ON_TIME = range(1, 6)
SAME_INSTANT, TOO_LATE, OUT_OF_ORDER, MERGED_SESSIONS, A_WEEK_LATE = range(6, 11)
ALONE, COVERED, ONE_OF_TWO, REFUND_FIRST, COVERED_LATE = range(11, 16)
AT_ONCE, MIXED_BASKET, LATE_REFUND, OTHER_DAY, WHOLE, FREE = range(16, 22)

PAYMENTS = [
    Payment(LATE_AMID, "01 10:00", "10"),
    Payment(LATE_AMID, "01 15:00", "20"),
    Payment(LATE_AMID, "01 11:00", "5.55", SECOND),  # 19 hours late
    Payment(LATE_BEFORE_THE_FIRST, "01 12:00", "10"),
    Payment(LATE_BEFORE_THE_FIRST, "01 08:00", "1", SECOND),
    Payment(LATE_ALONE, "01 11:30", "3", SECOND),
    Payment(TWO_LATE, "01 10:00", "10"),
    Payment(TWO_LATE, "01 11:00", "1", SECOND),
    Payment(TWO_LATE, "01 12:00", "2", SECOND),
    Payment(LATE_THEN_ON_TIME, "01 10:00", "10"),
    Payment(LATE_THEN_ON_TIME, "01 11:00", "1", SECOND),
    Payment(LATE_THEN_ON_TIME, "01 21:00", "2", SECOND),
    Payment(SAME_INSTANT, "01 10:00", "10"),
    Payment(SAME_INSTANT, "01 10:00", "1", SECOND),
    Payment(TOO_LATE, "01 11:00", "9", THIRD),  # 25.5 hours late
    Payment(OUT_OF_ORDER, "01 15:00", "2", SECOND),
    Payment(OUT_OF_ORDER, "01 14:00", "1", THIRD),
    Payment(MERGED_SESSIONS, "01 10:00", "1"),
    Payment(MERGED_SESSIONS, "01 10:40", "1"),
    Payment(MERGED_SESSIONS, "01 10:20", "1", SECOND),
    Payment(A_WEEK_LATE, "01 10:00", "1"),
    Payment(ALONE, "01 10:00", "-7.50"),
    Payment(COVERED, "01 09:00", "20"),
    Payment(COVERED, "01 10:00", "-7.50"),
    Payment(ONE_OF_TWO, "01 09:00", "5"),
    Payment(ONE_OF_TWO, "01 10:00", "-3"),
    Payment(ONE_OF_TWO, "01 11:00", "-3"),
    Payment(REFUND_FIRST, "01 09:00", "-7.50"),
    Payment(REFUND_FIRST, "01 10:00", "20"),
    Payment(COVERED_LATE, "01 10:00", "-7.50"),
    Payment(COVERED_LATE, "01 09:00", "20", SECOND),
    Payment(AT_ONCE, "01 09:00", "-7.50"),
    Payment(AT_ONCE, "01 09:00", "7.50"),
    Payment(MIXED_BASKET, "01 09:00", "20", basket=1_000),
    Payment(MIXED_BASKET, "01 09:00", "-5", basket=1_000),
    Payment(LATE_REFUND, "01 09:00", "20"),
    Payment(LATE_REFUND, "01 11:00", "-7.50", SECOND),
    Payment(OTHER_DAY, "01 00:30", "20"),
    Payment(OTHER_DAY, "02 00:30", "-7.50", SECOND),
    Payment(WHOLE, "01 09:00", "20"),
    Payment(WHOLE, "01 10:00", "-20"),
    Payment(FREE, "01 09:00", "0"),
]


def raw_rows(known: datetime) -> list[tuple[int, int, int, float, datetime]]:
    """What the tills had delivered by a run, with one purchase that is eight days late."""
    rows = [
        (p.customer, 1, p.basket or n, float(p.paid), p.time)
        for n, p in enumerate(PAYMENTS, start=1)
        if p.known <= known
    ]
    if known == THIRD:
        rows.append((A_WEEK_LATE, 1, 999, 5.0, THIRD - timedelta(days=8)))
    return rows


# The oracle: each day told from its payments, one after the other


def states(known: datetime) -> dict[tuple[int, datetime], tuple[int, Decimal, int]]:
    """Orders, value and sessions of the day so far, by customer and instant."""
    baskets: dict[tuple[int, datetime, int], Decimal] = defaultdict(Decimal)
    for n, p in enumerate(PAYMENTS, start=1):
        if p.known <= known and p.time + timedelta(hours=1) <= known:
            baskets[p.customer, p.time, p.basket or n] += Decimal(p.paid)
    told: dict[tuple[int, datetime], tuple[int, Decimal, int]] = {}
    day, orders, value, sessions, last = None, 0, Decimal(0), 0, None
    for (customer, time, _), paid in sorted(
        baskets.items(), key=lambda basket: (*basket[0][:2], basket[1] < 0, basket[0][2])
    ):
        if day != (customer, time.date()):
            day, orders, value, sessions, last = (customer, time.date()), 0, Decimal(0), 0, None
        if value + paid < 0:
            continue
        value += paid
        if paid >= 0:
            orders += 1
            sessions += last is None or time - last >= timedelta(minutes=30)
            last = time
        told[customer, time] = (orders, value, sessions)
    return told


def delivered() -> list[Event]:
    """What the three runs deliver: whatever is new, or other than what was delivered last."""
    events: list[Event] = []
    latest: dict[tuple[int, datetime], tuple[int, Decimal, int]] = {}
    for run in RUNS:
        for (customer, time), state in sorted(states(run).items()):
            if latest.get((customer, time)) != state:
                hour = time.replace(minute=0) + timedelta(hours=1)
                created = hour if run == FIRST else run
                stamps = (at.replace(tzinfo=UTC) for at in (time, created))
                events.append(Event(customer, *stamps, *state))
        latest |= states(run)
    return sorted(events, key=lambda e: (e.created_timestamp, e.customer_id, e.event_timestamp))


def by_customer(events: Iterable[Event], customer: int) -> list[tuple[str, str, int, str, int]]:
    return [
        (f"{e[1]:%d %H:%M}", f"{e[2]:%d %H:%M}", e.orders, str(e.order_value), e.sessions)
        for e in events
        if e.customer_id == customer
    ]


TOLD = {
    LATE_AMID: [
        ("01 10:00", "01 11:00", 1, "10.00", 1),
        ("01 15:00", "01 16:00", 2, "30.00", 2),
        ("01 11:00", "02 06:10", 2, "15.55", 2),
        ("01 15:00", "02 06:10", 3, "35.55", 3),
    ],
    LATE_ALONE: [("01 11:30", "02 06:10", 1, "3.00", 1)],
    SAME_INSTANT: [
        ("01 10:00", "01 11:00", 1, "10.00", 1),
        ("01 10:00", "02 06:10", 2, "11.00", 1),
    ],
    TOO_LATE: [("01 11:00", "02 12:30", 1, "9.00", 1)],
    A_WEEK_LATE: [("01 10:00", "01 11:00", 1, "1.00", 1)],
    ALONE: [],
    COVERED: [("01 09:00", "01 10:00", 1, "20.00", 1), ("01 10:00", "01 11:00", 1, "12.50", 1)],
    REFUND_FIRST: [("01 10:00", "01 11:00", 1, "20.00", 1)],
    MIXED_BASKET: [("01 09:00", "01 10:00", 1, "15.00", 1)],
}
QUARANTINE_ROWS = [
    [(ALONE, "7.50"), (ONE_OF_TWO, "3.00"), (REFUND_FIRST, "7.50"), (COVERED_LATE, "7.50")],
    [(ALONE, "7.50"), (ONE_OF_TWO, "3.00"), (REFUND_FIRST, "7.50"), (OTHER_DAY, "7.50")],
    [(ALONE, "7.50"), (ONE_OF_TWO, "3.00"), (REFUND_FIRST, "7.50"), (OTHER_DAY, "7.50")],
]
ASIDE = "SELECT customer_id, refund_value FROM {}.refunds_set_aside ORDER BY 1, 2"


def assert_as_told(events: list[Event]) -> None:
    assert events == delivered()
    assert {customer: by_customer(events, customer) for customer in TOLD} == TOLD
    oracle = Oracle(
        events, lookback_window=timedelta(days=30), allowed_lateness=timedelta(hours=24)
    )
    at = THIRD.replace(tzinfo=UTC)
    assert [e.customer_id for e in events if not oracle.admits(e)] == [TOO_LATE]
    assert oracle.profile(LATE_AMID, at) == Profile(float(Decimal("35.55") / 3), 3, 3, 1)
    assert oracle.profile(MERGED_SESSIONS, at).sessions_30d == 1
    assert oracle.profile(OUT_OF_ORDER, at).orders_30d == 2
    assert oracle.profile(COVERED_LATE, at).avg_order_value_30d == 12.5


@pytest.mark.slow
def test_what_comes_late_is_delivered_when_it_comes_and_no_day_falls_below_zero(
    tmp_path: Path,
) -> None:
    purchases, before, aside = tmp_path / "purchases.parquet", [], []
    for run in RUNS:
        with duckdb.connect() as raw:
            raw.execute(
                "CREATE TABLE purchases (household_id bigint, store_id bigint, basket_id bigint, "
                "sales_value double, transaction_timestamp timestamp)"
            )
            raw.executemany("INSERT INTO purchases VALUES (?, ?, ?, ?, ?)", raw_rows(run))
            raw.execute(f"COPY purchases TO '{purchases}' (FORMAT parquet)")
        built(tmp_path, as_of=f"{run:%FT%T}", CUSTOMER_ACTIVITY_PURCHASES=str(purchases))
        with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as made:
            made.execute("SET TimeZone = 'UTC'")
            events = made.execute(f"FROM read_parquet('{tmp_path / 'events.parquet'}')").fetchall()
            aside.append(
                [(c, str(v)) for c, v in made.execute(ASIDE.format("data_warehouse")).fetchall()]
            )
        assert events[: len(before)] == before  # what was delivered stays as it was
        before = events
    assert_as_told([Event(*row) for row in events])
    assert aside == QUARANTINE_ROWS


@pytest.mark.slow
def test_the_warehouse_gets_the_same(tmp_path: Path, warehouse: Database) -> None:
    with warehouse.connect() as owner:
        allow_raw(owner)
    for run in (*RUNS[:2], RUNS[1], RUNS[2]):  # the second run is made again, and adds nothing
        with warehouse.connect() as owner, owner.cursor() as tills:
            tills.execute("DELETE FROM raw.purchases")
            tills.executemany(
                "INSERT INTO raw.purchases VALUES (%s, %s, %s, %s, %s)", raw_rows(run)
            )
        built(
            tmp_path,
            "--target",
            "production",
            as_of=f"{run:%FT%T}",
            **login_of(warehouse, PIPELINE),
        )
    with warehouse.connect() as owner:
        owner.execute("SET TIME ZONE 'UTC'")
        events = owner.execute(
            "SELECT customer_id, event_timestamp, created_timestamp, orders, order_value, sessions "
            "FROM data_warehouse.customer_events ORDER BY 3, 1, 2"
        ).fetchall()
        aside = owner.execute(ASIDE.format("customer_activity")).fetchall()
    assert_as_told([Event(*row) for row in events])
    assert [(customer, str(value)) for customer, value in aside] == QUARANTINE_ROWS[-1]
