"""What a refresh promises that PostgreSQL alone can break: rights, races, what its columns hold.

What it makes, tests/feature_pipeline/change_log/test_refresh_exactness.py asks of every engine.
"""

import multiprocessing
import os
import signal
from collections.abc import Callable
from decimal import Decimal

import psycopg
import pytest
from event_strategies import (
    DAY,
    HOUR,
    MONTH,
    NOON,
)
from oracle import Event
from postgres_server import Database
from refreshes import refresh_warehouse
from waiting import GIVE_UP_SECONDS, eventually
from warehouse import (
    EVENTS,
    PIPELINE,
    QUARANTINE,
    REFRESHES,
    SECRET,
    TRAINING,
    change_log,
    fill,
)
from warehouse_refreshes import FEW, FIRST, SECOND, refresh

from feature_pipeline.refreshed import RefreshResult
from storage.errors import RefusedError

pytest_plugins = ["postgres_server", "warehouse"]


def test_another_aggregation_makes_the_whole_log_again(
    warehouse: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(warehouse, FEW.events)
    refresh(warehouse, FEW, FIRST)
    monkeypatch.setattr(
        "feature_pipeline.compute_engines.postgres.sql.digest_of_aggregation", lambda zone: "other"
    )
    assert refresh(warehouse, FEW, SECOND).made_anew


# What PostgreSQL alone can hold.

REASONS = {
    "malformed: orders is null": (None, 1, 1),
    "malformed: sessions is null": (1, 1, None),
    "malformed: order_value is null": (1, None, 1),
    "malformed: order_value is not an amount": (1, Decimal("NaN"), 1),
}


def test_malformed_events_are_set_aside_with_their_reason(warehouse: Database) -> None:
    amounts = [*REASONS.values(), (1, Decimal("Infinity"), 1), (1, Decimal("1e26"), 1)]
    bad = [Event(n, NOON, NOON, *three) for n, three in enumerate(amounts, start=10)]
    fill(warehouse, [*FEW.events, *bad])
    done = refresh(warehouse, FEW, FIRST)
    assert (done.events.ingested, done.events.quarantined) == (7, 6)
    with warehouse.connect() as connection:
        reasons = {reason for (reason,) in connection.execute(f"SELECT reason FROM {QUARANTINE}")}
        assert reasons == set(REASONS)
        connection.execute(
            f"INSERT INTO {EVENTS} VALUES (30, '-infinity', '{FIRST + HOUR}', 1, 1, 1)"
        )
    refresh(warehouse, FEW, FIRST + HOUR)
    with warehouse.connect() as connection:
        (newest,) = connection.execute(f"SELECT reason FROM {QUARANTINE} WHERE customer_id = 30")
    assert newest == ("malformed: event_timestamp is no instant",)


def test_nothing_to_work_on_is_refused(warehouse: Database) -> None:
    with pytest.raises(RefusedError, match="load events first"):
        refresh(warehouse, FEW, FIRST)


def test_a_login_without_the_role_is_refused(warehouse: Database) -> None:
    with pytest.raises(RefusedError, match="grant the login feature_store_pipeline"):
        refresh_warehouse(
            warehouse.seen_by(TRAINING, SECRET).address,
            as_of=FIRST,
            lookback_window=MONTH,
            allowed_lateness=DAY,
        )


def test_a_wrong_password_is_not_shown(warehouse: Database) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication") as refusal:
        refresh_warehouse(
            warehouse.seen_by(PIPELINE, "guessed-and-wrong").address,
            as_of=FIRST,
            lookback_window=MONTH,
            allowed_lateness=DAY,
        )
    assert "guessed-and-wrong" not in str(refusal.value)


# Two at once, and one that is killed.


def test_of_two_at_once_one_works_and_the_other_says_so(warehouse: Database) -> None:
    fill(warehouse, FEW.events)
    refused = []

    def meanwhile(step: str) -> None:
        with pytest.raises(RefusedError, match="another job is writing") as refusal:
            refresh(warehouse, FEW, SECOND)
        refused.append(refusal)

    done = refresh(warehouse, FEW, FIRST, on_step=meanwhile)
    assert len(refused) == len(STEPS) + 1
    assert done.new_rows == 1
    assert refresh(warehouse, FEW, SECOND).history_rows == 3


STEPS = (
    "checking what is there",
    "checking and staging events",
    "writing quarantined events",
    "aggregating",
    "appending rows",
)


def killed_at(warehouse: Database, as_of, step: str) -> None:
    def die(reached: str) -> None:
        if reached == step:
            os.kill(os.getpid(), signal.SIGKILL)

    refresh(warehouse, FEW, as_of, on_step=die)


@pytest.mark.parametrize("step", STEPS)
def test_killed_anywhere_it_ends_where_one_that_was_not_killed_ends(
    warehouse: Database, step: str
) -> None:
    fill(warehouse, FEW.events)
    refresh(warehouse, FEW, FIRST)
    before = change_log(warehouse).rows
    run = multiprocessing.get_context("spawn").Process(
        target=killed_at, args=(warehouse, SECOND, step)
    )
    run.start()
    run.join(GIVE_UP_SECONDS)
    assert run.exitcode == -signal.SIGKILL
    assert change_log(warehouse).rows == before
    with warehouse.connect() as connection:
        assert connection.execute(f"SELECT count(*) FROM {REFRESHES}").fetchone() == (1,)

    done = once_the_server_knows(lambda: refresh(warehouse, FEW, SECOND))
    assert (done.made_anew, done.new_rows, done.history_rows) == (None, 2, 3)


def once_the_server_knows(attempt: Callable[[], RefreshResult]) -> RefreshResult:
    """A session ends when the server sees that its client is gone: soon, but not at once."""

    class StillThereError(Exception):
        """The session of the killed job."""

    def try_it() -> RefreshResult:
        try:
            return attempt()
        except RefusedError as refusal:
            assert "another job is writing" in str(refusal)
            raise StillThereError from refusal

    return eventually(try_it, StillThereError)
