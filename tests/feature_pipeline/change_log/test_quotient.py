"""An average is the double nearest to the true quotient, on every engine and at every size.

The oracle is Python's own fractions: `float` of one is rounded once.
"""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from random import Random

import numpy as np
import pytest
from engines import Engine, by_duckdb
from event_strategies import DAY, LEAP_DAY, MONTH
from hypothesis import example, given, settings
from hypothesis import strategies as st
from oracle import Event, Oracle
from tries import tries

from feature_pipeline.change_log.quotient import nearest_quotients

pytest_plugins = ["engines"]
pytestmark = pytest.mark.usefixtures("one_engine")

UNIT = 10**12


def nearest(units: int, count: int) -> float:
    return float(Fraction(units, count * UNIT)) if count else 0.0


counts = st.one_of(
    st.integers(0, 60),
    st.integers(9_000, 9_020),  # a count of units that a double just holds, or no more
    st.integers(0, 2**63 - 1),
    st.integers(0, 62).map(lambda bits: 2**bits),
)
amounts = st.one_of(
    st.integers(0, 10**6).map(lambda cents: cents * 10**10),
    st.integers(2**53 - 2, 2**53 + 2),
    st.integers(2**53 - 2, 2**53 + 2).map(lambda cents: cents * 10**10),
    st.integers(0, 10**14),
    st.integers(0, 10**38 - 1),
)


@settings(max_examples=tries(100))
@given(st.lists(st.tuples(amounts, counts), min_size=1, max_size=40))
@example([(1, 2**63 - 1), (10**38 - 1, 1), (2**53 + 1, UNIT), (0, 3), (5, 0)])
def test_whatever_is_divided_is_rounded_once(pairs: list[tuple[int, int]]) -> None:
    units, divisors = (list(values) for values in zip(*pairs, strict=True))
    expected = [nearest(*pair) for pair in pairs]
    assert nearest_quotients(np.array(units, object), np.array(divisors, object)).tolist() == (
        expected
    )
    if max(*units, *divisors, 0) < 2**63:
        got = nearest_quotients(np.array(units, np.int64), np.array(divisors, np.int64))
        assert got.tolist() == expected


# A customer each, whose one day is an amount and a count; then what any engine says of them.


def customers() -> list[tuple[Decimal, int]]:
    random, pairs = Random(11), []
    pairs += [(Decimal("19.90") * n, n) for n in range(1, 200)]
    pairs += [(Decimal("0.07") * n, 3 * n) for n in (1, 9_007, 9_008, 90_071_992_547_409, 2**52)]
    pairs += [(Decimal(cents).scaleb(-2), n) for cents in (2**53, 2**53 + 1) for n in (1, 3, 7)]
    pairs += [
        (Decimal(random.randrange(10**digits)).scaleb(-12), random.randrange(1, 2**bits))
        for digits in (3, 12, 16, 17, 20, 28, 37)
        for bits in (1, 5, 14, 33, 53, 63)
        for _ in range(8)
    ]
    # A hair beside the middle of two doubles, and the middle itself, to be rounded to the even one.
    for count in (1, 2**20, 2**41, 3 * 2**30):
        middle = (2**53 + 1) * count * UNIT // 2**53
        pairs += [(Decimal(middle + hair).scaleb(-12), count) for hair in (-1, 0, 1)]
    pairs += [(Decimal(0), 5), (Decimal("7.50"), 0), (Decimal("0.000000000001"), 2**63 - 1)]
    return [pair for pair in pairs if pair[0] < Decimal("9e25")]


@pytest.fixture(scope="module")
def oracle() -> Oracle:
    at = LEAP_DAY + DAY
    events = [
        Event(n, at, at + timedelta(hours=1), count, amount, 1)
        for n, (amount, count) in enumerate(customers())
    ]
    return Oracle(events, lookback_window=MONTH, allowed_lateness=DAY)


@pytest.fixture(scope="module")
def expected() -> Iterator[list[float]]:
    yield [float(Fraction(amount) / count) if count else 0.0 for amount, count in customers()]


def test_each_engine_says_the_double_nearest_to_the_true_average(
    engine: Engine, oracle: Oracle, expected: list[float]
) -> None:
    log = engine.at_once(oracle, LEAP_DAY + 2 * DAY).log
    assert [row.profile.avg_order_value_30d for row in log.rows] == expected


def test_the_statement_says_the_same(oracle: Oracle, expected: list[float]) -> None:
    log = by_duckdb(oracle, LEAP_DAY + 2 * DAY, in_sql=True).log
    assert [row.profile.avg_order_value_30d for row in log.rows] == expected


@pytest.mark.parametrize("price", ["19.90", "0.07", "1.10", "4.35"])
def test_what_always_costs_the_same_costs_that_on_average(engine: Engine, price: str) -> None:
    """Order by order; two roundings gave 19.900000000000002 for a third of the counts."""
    events = [
        Event(1, at := LEAP_DAY + n * timedelta(hours=24), at, 1, Decimal(price), 1)
        for n in range(29)
    ]
    oracle = Oracle(events, lookback_window=MONTH, allowed_lateness=DAY)
    rows = engine.at_once(oracle, LEAP_DAY + 29 * DAY).log.rows
    assert len(rows) == 29
    assert {row.profile.avg_order_value_30d for row in rows} == {float(price)}
