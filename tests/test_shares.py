"""Sums made of some customers after the others are those of all at once, in the same order."""

from datetime import timedelta
from pathlib import Path
from unittest.mock import patch

import pyarrow.parquet as pq
from engines import by_duckdb
from hypothesis import given
from hypothesis import strategies as st
from oracle import Event, Oracle
from test_change_log_exactness import DAY, LEAP_DAY, MONTH, oracles, thorough

from feature_pipeline import change_log, engine


@thorough(60)
@given(oracles(), st.integers(1, 10))
def test_a_log_made_in_shares_is_the_one_made_at_once(oracle: Oracle, share: int) -> None:
    as_of = oracle.events[-1].event_timestamp + 2 * MONTH
    at_once = by_duckdb(oracle, as_of)
    with patch.object(change_log, "SHARE", share):
        in_shares = by_duckdb(oracle, as_of)
    assert in_shares.log.rows == at_once.log.rows
    assert in_shares._replace(log=at_once.log) == at_once


def test_a_share_is_of_a_few_customers(tmp_path: Path) -> None:
    """Of nine events three of customer 5, who cannot be parted; and the parts do not stay."""
    customers = [1, 2, 3, 4, 5, 5, 5, 6, 7]
    oracle = Oracle(
        [
            Event(customer, at := LEAP_DAY + n * DAY, at + timedelta(hours=1), 1, 10.0, 1)
            for n, customer in enumerate(customers)
        ],
        lookback_window=MONTH,
        allowed_lateness=DAY,
    )
    parts: list[list[int]] = []
    join = engine.join

    def noting(connection, files, target):
        parts.extend(sorted(set(pq.read_table(f)["customer_id"].to_pylist())) for f in files)
        join(connection, files, target)

    with patch.object(change_log, "SHARE", 2), patch.object(change_log, "join", noting):
        log = by_duckdb(oracle, LEAP_DAY + 2 * MONTH).log
    assert [customer for part in parts for customer in part] == [1, 2, 3, 4, 5, 6, 7]
    assert 2 < len(parts) <= 5
    assert {row.customer_id for row in log.rows} == set(customers)
