"""Where a computation of features has gone wrong before: each trap by a small example."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from aggregation_cases import Case, declared
from aggregation_oracle import ARRIVED, HAPPENED, Event
from declared_files import kinds_of, write_part
from hypothesis import given
from hypothesis import strategies as st

from feature_pipeline.aggregation.quotients import UNIT, quotients
from feature_pipeline.aggregation.reading import load
from feature_pipeline.declared import ordered
from feature_pipeline.declared.log import compute_log

pytestmark = pytest.mark.usefixtures("one_engine")

NOON, HOUR, DAY = datetime(2024, 3, 1, 12, tzinfo=UTC), timedelta(hours=1), timedelta(days=1)
COLUMNS = {"n": {"type": "int64", "required": False}, "tag": "string", "id": "int64"}


def event(customer: Any = 1, after: float = 0, delay: float = 0, **values: Any) -> Event:
    """An event so many hours after noon, arriving so many later."""
    happened = NOON + after * HOUR
    times = {HAPPENED: happened, ARRIVED: happened + delay * HOUR}
    return {"customer": customer, "n": 1, "tag": "a", "id": 1} | times | values


def rows(
    folder: Path, features: dict[str, Any], *events: Event, zone: str = "UTC", **parts: Any
) -> list[tuple[Any, ...]]:
    """The log: hours after noon, and the features; before them the key where there are several."""
    text = declared(features, columns=COLUMNS, **parts)
    case = Case(text, events, zone)
    file, declaration = folder / "events.parquet", folder / "one.aggregation.toml"
    write_part(file, kinds_of(case.declaration), list(events), Random(1))
    declaration.write_text(text, encoding="utf-8")
    log = folder / "log.parquet"
    compute_log(
        file,
        log,
        folder / "aside.parquet",
        load(declaration),
        as_of=max(one[ARRIVED] for one in events) + 60 * DAY,
        allowed_lateness=48 * HOUR,
        zone=zone,
    )
    found = [tuple(row.values()) for row in pq.read_table(log).to_pylist()]
    several = len({row[0] for row in found}) > 1
    return [(*row[: 1 if several else 0], (row[1] - NOON) / HOUR, *row[2:]) for row in found]


BY_DAY = {"kind": "period", "by": "day"}
BY_ID = {"kind": "id", "by": "id"}


def test_an_event_leaves_each_window_by_itself(tmp_path: Path) -> None:
    short, long = ({"sum": "n", "window": window} for window in ("90min", "24h"))
    assert rows(tmp_path, {"short": short, "long": long}, event()) == [
        (0, 1, 1),
        (1.5, 0, 1),
        (24, 0, 0),
    ]


def test_a_state_that_arrives_late_may_never_count(tmp_path: Path) -> None:
    later_first = [event(after=2, n=5, delay=0), event(after=1, n=3, delay=3)]
    sums = {"f": {"sum": "n", "window": "24h"}}
    assert rows(tmp_path, sums, *later_first, dedup=BY_DAY) == [(2, 5), (26, 0)]
    by_arrival = BY_ID | {"order": "arrival"}
    assert rows(tmp_path, sums, *later_first, dedup=by_arrival) == [(2, 5), (4, 3), (25, 0)]


def test_texts_are_ordered_by_their_bytes(tmp_path: Path) -> None:
    least = {"f": {"min": "tag", "window": "7d"}, "g": {"max": "tag", "window": "7d"}}
    tags = [event(tag=tag, id=n) for n, tag in enumerate(["b", "B", "ä", "a", "Z"])]
    assert rows(tmp_path, least, *tags)[0] == (0, "B", "ä")


def test_an_event_twice_is_two_where_nothing_tells_them_apart(tmp_path: Path) -> None:
    count = {"f": {"count": True, "window": "1d"}}
    assert rows(tmp_path, count, event(), event())[0] == (0, 2)
    assert rows(tmp_path, count, event(), event(), dedup=BY_ID)[0] == (0, 1)
    assert rows(tmp_path, count, event(), event(id=2), dedup=BY_ID)[0] == (0, 2)
    assert rows(tmp_path, count, event(), event(n=2), dedup=BY_DAY) == []


def test_the_last_of_equal_times_is_told_by_arrival_id_and_value(tmp_path: Path) -> None:
    last = {"f": {"last": "tag", "window": "1d"}, "g": {"first": "tag", "window": "1d"}}
    tied = [event(tag="c", id=1), event(tag="b", id=3), event(tag="a", id=2)]
    assert rows(tmp_path, last, *tied)[0] == (0, "c", "a")
    assert rows(tmp_path, last, *tied, dedup=BY_ID)[0] == (0, "b", "c")
    assert rows(tmp_path, last, *tied, event(tag="0", delay=1))[1] == (1, "0", "a")


def test_a_null_counts_for_nothing_and_meets_no_condition(tmp_path: Path) -> None:
    features = {
        "all": {"count": True, "window": "1d"},
        "other": {"count": True, "where": [["n", "!=", 7]], "window": "1d"},
        "values": {"distinct": "n", "window": "1d"},
        "greatest": {"max": "n", "window": "1d"},
    }
    assert rows(tmp_path, features, event(n=None))[0] == (0, 1, 0, 0, None)


def test_a_condition_before_dedup_is_another_than_one_after_it(tmp_path: Path) -> None:
    states = [event(n=1), event(after=1, n=0)]
    some, positive = {"count": True, "window": "1d"}, [["n", ">", 0]]
    assert rows(tmp_path, {"f": some}, *states, dedup=BY_DAY, where=positive)[-2:] == [
        (0, 1),
        (24, 0),
    ]
    after = {"f": some | {"where": positive}}
    assert rows(tmp_path, after, *states, dedup=BY_DAY) == [(0, 1), (1, 0), (25, 0)]


def test_an_arrival_has_its_row_though_nothing_changes(tmp_path: Path) -> None:
    asked = {"f": {"max": "n", "window": "1d"}}
    assert rows(tmp_path, asked, event(n=5), event(after=1, n=2))[:2] == [(0, 5), (1, 5)]


def test_nothing_is_looked_at(tmp_path: Path) -> None:
    asked = {"f": {"count": True, "window": "1d"}}
    assert rows(tmp_path, asked, event(), where=[["n", ">", 5]]) == []


@pytest.mark.slow
@pytest.mark.parametrize("dedup", [BY_DAY, BY_ID])
def test_a_key_is_whole_however_the_engine_cuts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dedup: dict[str, str]
) -> None:
    hot = [event(7, after=n / 60, n=n % 5, id=n // 2) for n in range(3_000)]
    others = [event(customer, n=2, id=10_000 + customer) for customer in range(900)]
    asked = {"f": {"sum": "n", "window": "90min"}, "g": {"mode": "n", "window": "1d"}}
    monkeypatch.setattr(ordered, "AT_ONCE", 2048)
    in_pieces = rows(tmp_path, asked, *hot, *others[:7], *others[8:], dedup=dedup)
    monkeypatch.setattr(ordered, "AT_ONCE", 1 << 20)
    assert in_pieces == rows(tmp_path, asked, *hot, *others[:7], *others[8:], dedup=dedup)
    assert len({row[0] for row in in_pieces}) == 900


def test_a_bound_of_a_ratio_is_held_to_the_double(tmp_path: Path) -> None:
    parts = [{"count": True, "where": [["n", "=", 1]]}, {"count": True}]
    third = {"ratio": parts, "window": "1d"}
    bounds = {"f": third | {"at_least": Decimal("0.333333333333333333333")}, "g": third}
    three = [event(), event(n=2), event(n=2)]
    assert rows(tmp_path, bounds, *three)[0] == (0, True, 1 / 3)


WHOLE = st.integers(-(2**63), 2**63 - 1) | st.integers(-(10**30), 10**30) | st.integers(-9, 9)


@given(st.lists(st.tuples(WHOLE, WHOLE), min_size=1), st.sampled_from([1, UNIT]))
def test_a_quotient_is_rounded_once(pairs: list[tuple[int, int]], scale: int) -> None:
    above, below = (np.array(one, object) for one in zip(*pairs, strict=True))
    if all(abs(n) < 2**63 for n in [*above, *below]):
        above, below = above.astype(np.int64), below.astype(np.int64)
    expected = [float(Fraction(n, d * scale)) if d else 0.0 for n, d in pairs]
    assert quotients(above, below, scale, 1).tolist() == expected


def test_days_and_hours_of_a_zone_as_its_clock_goes_back(tmp_path: Path) -> None:
    night = datetime(2024, 10, 27, tzinfo=UTC)  # in Berlin 02:00 comes twice: at 0 and 1 UTC
    before = (night - NOON) / HOUR
    states = [event(after=before + hour) for hour in (-3, 0.5, 1.5, 22.5, 23.5)]
    asked = {"f": {"count": True, "window": "7d"}}

    def most(zone: str, by: str) -> int:
        dedup = {"kind": "period", "by": by}
        return max(row[1] for row in rows(tmp_path, asked, *states, zone=zone, dedup=dedup))

    assert (most("Europe/Berlin", "day"), most("UTC", "day")) == (3, 2)
    assert (most("Europe/Berlin", "hour"), most("UTC", "hour")) == (5, 5)
