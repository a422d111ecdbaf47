"""The log made in one pass is the one that a warehouse's statement makes, however rows are cut."""

from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from unittest.mock import patch

import numpy as np
import pyarrow as pa
import pytest
from engines import by_duckdb
from event_strategies import (
    DAY,
    LEAP_DAY,
    MONTH,
    fractions,
    oracles,
    thorough,
    turning_point,
)
from hypothesis import example, given
from hypothesis import strategies as st
from oracle import Event, Oracle

from feature_pipeline.change_log import running_sums
from storage.errors import RefusedError

pytestmark = pytest.mark.usefixtures("one_engine")


@thorough(150)
@given(oracles(), fractions)
def test_in_one_pass_and_in_sql_one_log_is_made(oracle: Oracle, fraction: float) -> None:
    as_of = turning_point(oracle, fraction)
    in_sql = by_duckdb(oracle, as_of, in_sql=True)
    in_one_pass = by_duckdb(oracle, as_of)
    assert in_one_pass.log.rows == in_sql.log.rows
    assert in_one_pass._replace(log=in_sql.log) == in_sql


@given(
    st.lists(st.sampled_from([1, 1, 1, 2, 3]) | st.integers(), max_size=40).map(sorted),
    st.lists(st.integers(0, 6), max_size=20),
)
def test_no_customer_is_parted_and_no_row_lost(customers: list[int], cuts: list[int]) -> None:
    rows = pa.record_batch(
        {"customer_id": pa.array([str(c) for c in customers]), "row": range(len(customers))}
    )
    batches, start = [], 0
    for length in [*cuts, len(customers)]:  # some of them empty
        batches.append(rows.slice(start, length))
        start += length
    blocks = list(running_sums._of_whole_customers(batches))
    assert [row for block in blocks for row in block["row"].to_pylist()] == list(
        range(len(customers))
    )
    of_block = [set(block["customer_id"].to_pylist()) for block in blocks]
    assert all(of_block)
    assert sum(map(len, of_block)) == len(set(customers))


def test_more_customers_than_two_bytes_can_tell_apart() -> None:
    many = range(2 * running_sums.AT_ONCE + 1)
    assert running_sums.AT_ONCE < 2**16
    events = [Event(n, LEAP_DAY + DAY, LEAP_DAY + DAY, 1 + n % 3, 10.0, 1) for n in many]
    oracle = Oracle(events, lookback_window=MONTH, allowed_lateness=DAY)
    rows = by_duckdb(oracle, LEAP_DAY + 2 * DAY).log.rows
    assert [(row.customer_id, row.profile.orders_30d) for row in rows] == [
        (n, 1 + n % 3) for n in many
    ]


@given(st.lists(st.tuples(st.integers(0, 2**16 - 1), st.integers(-(2**63), 2**63 - 1))))
@example([(0, 2**63 - 1), (0, -(2**63))])
@example([(2**15, 0), (0, 2**47)])  # a bit too much for one number
@example([(2**15, 0), (0, 2**47 - 1)])
@example([(2**16 - 1, 0), (0, 2**47 - 1)])
def test_in_order_of_customer_and_instant(deltas: list[tuple[int, int]]) -> None:
    customer, instant = np.array(deltas, dtype=np.int64).reshape(-1, 2).T
    order = running_sums._by_customer_and_instant(customer, instant)
    assert [deltas[place] for place in order] == sorted(deltas)


def bought(value: Decimal | float, orders: int = 1, after: int = 0) -> Event:
    return Event(1, at := LEAP_DAY + after * DAY, at + timedelta(hours=1), orders, value, 1)


@pytest.mark.parametrize("in_sql", [False, True])
@pytest.mark.parametrize(
    "value",
    [
        "0.000000000001",
        "4.294967296",
        "9007.199254740993",
        "4611686.018427387904",
        "18446744.073709551616",
        "9e25",
    ],
)
def test_money_of_any_size_is_exact(value: str, in_sql: bool) -> None:
    """Next to amounts that fill each half of 64 bits, and all 128; and when they are gone again."""
    quarter = Decimal(f"{int(Fraction(value) * 10**12) // 4}e-12")
    amounts = [Decimal(value), Decimal("0.01"), quarter]
    events = [bought(amount, after=n) for n, amount in enumerate(amounts)]
    oracle = Oracle(events, lookback_window=MONTH, allowed_lateness=DAY)
    rows = by_duckdb(oracle, LEAP_DAY + 3 * MONTH, in_sql=in_sql).log.rows
    standing = [amounts[:1], amounts[:2], amounts, amounts[1:], amounts[2:]]
    expected = [float(sum(map(Fraction, those)) / len(those)) for those in standing]
    assert [row.profile.avg_order_value_30d for row in rows] == [*expected, 0]


@pytest.mark.parametrize("in_sql", [False, True])
def test_counts_are_exact_up_to_64_bits_and_then_refused(in_sql: bool) -> None:
    made = lambda *orders: by_duckdb(  # noqa: E731
        Oracle(
            [bought(1.0, count, after=n) for n, count in enumerate(orders)],
            lookback_window=MONTH,
            allowed_lateness=DAY,
        ),
        LEAP_DAY + 3 * DAY,
        in_sql=in_sql,
    )
    assert [row.profile.orders_30d for row in made(2**62, 2**62 - 1).log.rows] == [2**62, 2**63 - 1]
    with pytest.raises(RefusedError, match="grow beyond what a feature can hold"):
        made(2**62, 2**62)


def test_what_else_goes_wrong_is_not_called_a_sum() -> None:
    def broken(*_: object) -> None:
        raise MemoryError("no room")

    oracle = Oracle([bought(1.0)], lookback_window=MONTH, allowed_lateness=DAY)
    with (
        patch.object(running_sums, "_superseded", broken),
        pytest.raises(Exception, match="no room") as met,
    ):
        by_duckdb(oracle, LEAP_DAY + DAY)
    assert not isinstance(met.value, RefusedError)
