"""The sanctioned way to another history: told first, made on demand, on record with its reason."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from shutil import rmtree
from typing import Any

import pytest
import typer
from engines import terms_of
from feast_copy import HISTORY, apply, copy_of_the_project
from feast_households import VIEW
from moved_bits import moved, of_another_aggregation
from oracle import ZEROS, Event, Oracle, differences, read_change_log, write_events
from step_back_stories import KilledError, answered, ends_of, opened, taken_back
from typer.testing import CliRunner

from contract_checks.language.loader import load
from contract_checks.operations.log import ADDRESS_VARIABLE, OperationsLog
from feature_access.errors import OnlineStoreEmptyError
from jobs import repository as here
from jobs.privacy import erased
from jobs.refreshing import rebuild, refresh
from jobs.rehearsal import backfill
from jobs.reporting import recording
from jobs.repository import CONTRACT
from scripts import rebuild as door
from storage.errors import RefusedError

pytest_plugins = ["engines"]

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
KNOWN = datetime(2026, 3, 1, 12, tzinfo=UTC)
NOW = KNOWN + HOUR
DELIVERED = [
    Event(c, KNOWN - d * DAY, KNOWN - d * DAY + HOUR, c, Decimal(9), d)
    for c in (1, 2, 3)
    for d in (1, 2, 9)
]
CORRECTED = [event._replace(orders=7) if event.customer_id == 2 else event for event in DELIVERED]
"""Upstream had counted customer 2's orders wrongly."""
BACKDATED = Event(4, KNOWN - 5 * DAY, KNOWN - 4 * DAY, 1, Decimal(5), 1)
ORACLE = Oracle([*CORRECTED, BACKDATED], lookback_window=30 * DAY, allowed_lateness=DAY)
TERMS = terms_of(ORACLE)
CUSTOMERS = [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    "events", [[*CORRECTED, BACKDATED], [*DELIVERED, BACKDATED], DELIVERED[1:]]
)
def test_the_refusal_names_the_way_and_the_way_works(engine: Any, events: list[Event]) -> None:
    """The steps of the job, on each engine."""
    right = Oracle(events, lookback_window=30 * DAY, allowed_lateness=DAY)
    with engine.place() as place:
        place.deliver(DELIVERED)
        place.bring_up_to(KNOWN, TERMS)
        if hasattr(place, "database"):
            with place.database.connect() as owner:
                owner.execute("TRUNCATE data_warehouse.customer_events")
        else:
            remove(place.tables.events)
            place.delivered.clear()
        place.deliver(events)
        with pytest.raises(
            RefusedError, match=r"nothing was written\. Mend .*scripts/rebuild\.py tells"
        ):
            place.bring_up_to(NOW, TERMS)
        made_again(place)
        points = [point for point in sorted(right.change_points()) if point[1] <= NOW]
        assert differences(right, place.log(), points) == []


def test_a_corrected_aggregation_is_made_known_in_the_same_way(engine: Any) -> None:
    with engine.place() as place:
        place.deliver(DELIVERED)
        place.bring_up_to(KNOWN, TERMS)
        right = place.log().rows
        moved(place, 2.0)
        of_another_aggregation(place)
        with pytest.raises(
            RefusedError, match=r"nothing was written\. .*scripts/rebuild\.py tells"
        ):
            place.bring_up_to(NOW, TERMS)
        assert place.log().rows != right
        made_again(place)
        assert place.log().rows == right


def made_again(place: Any) -> None:
    taken_back(place, datetime(1970, 1, 1, tzinfo=UTC) - timedelta(microseconds=1))
    assert place.log().rows == []
    place.bring_up_to(NOW, TERMS)


def remove(table: Path) -> None:
    if table.is_dir():
        rmtree(table)
    else:
        table.unlink()


# The job, on files


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Applied and refreshed; then the events are delivered anew, otherwise."""
    copy = copy_of_the_project(tmp_path / "repository")
    events = write_events(DELIVERED, copy / HISTORY.with_name("customer_events.parquet"))
    apply(copy)
    for script in (backfill, here, recording):
        monkeypatch.setattr(script, "ROOT", copy)
    for script in (backfill, refresh, rebuild):
        monkeypatch.setattr(script, "HISTORY", copy / HISTORY)
    monkeypatch.setattr(refresh, "QUARANTINE", copy / HISTORY.with_name("quarantine.parquet"))
    monkeypatch.setattr(erased, "ERASED", copy / "data" / "erased_customers.txt")
    monkeypatch.setenv(ADDRESS_VARIABLE, f"sqlite:///{copy}/operations.db")
    refresh.refresh(opened(copy), load(CONTRACT), KNOWN, events)
    write_events([*CORRECTED, BACKDATED], events)
    return copy


def events_of(repository: Path) -> Path:
    return repository / HISTORY.with_name("customer_events.parquet")


def run(repository: Path, *arguments: str, code: int = 0) -> str:
    app = typer.Typer()
    app.command()(door.main)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(door, "now", lambda: NOW)
        done = CliRunner().invoke(app, ["--events", str(events_of(repository)), *arguments])
    assert done.exit_code == code, done.output
    return " ".join(done.output.split())


def records(repository: Path) -> list[Any]:
    log = OperationsLog(f"sqlite:///{repository}/operations.db")
    return [r for r in log.records(NOW) if r.job == "rebuild"]


def is_right(repository: Path, at: datetime) -> bool:
    log = read_change_log(repository / HISTORY)
    points = [point for point in sorted(ORACLE.change_points()) if point[1] <= at]
    right = [ORACLE.profile(customer, at) for customer in CUSTOMERS]
    return (
        differences(ORACLE, log, points) == []
        and answered(opened(repository), VIEW, CUSTOMERS) == right
    )


def test_it_is_told_first_then_done_and_on_record(repository: Path) -> None:
    contract, events = load(CONTRACT), events_of(repository)
    with pytest.raises(RefusedError, match=r"scripts/rebuild\.py"):
        refresh.refresh(opened(repository), contract, NOW, events)
    served = answered(opened(repository), VIEW, CUSTOMERS)
    files = {f: f.read_bytes() for f in (repository / "data").rglob("*") if f.is_file()}
    told = run(repository)
    assert "3 rows differ from what the events make now, which is 4 other rows" in told
    assert f'--confirm --reason "..." makes it anew; reads of {VIEW} fail meanwhile' in told
    assert 'give --reason "..."' in run(repository, "--confirm", "--reason", " ", code=2)
    assert {f: f.read_bytes() for f in (repository / "data").rglob("*") if f.is_file()} == files
    assert answered(opened(repository), VIEW, CUSTOMERS) == served
    assert records(repository) == []

    done = run(repository, "--confirm", "--reason", "orders of customer type B were doubled")
    assert "history is made anew up to 2026-03-01T13:00:00+00:00, on record as rebuild" in done
    assert is_right(repository, NOW)
    assert answered(opened(repository), VIEW, [2, 4]) != served[1::2]
    (record,) = records(repository)
    assert (record.passed, record.subject, record.at) == (True, VIEW, NOW)
    figures = record.figures
    assert figures["reason"] == "orders of customer type B were doubled"
    assert (figures["withdrawn"], figures["added"]) == (3, 4)
    assert figures["known_to"] == KNOWN.isoformat()
    assert "feature_pipeline/change_log/aggregate.sql" in figures["files"]
    assert figures["history_rows"] == len(read_change_log(repository / HISTORY).rows)
    assert ends_of(opened(repository), VIEW)[-1] == NOW

    assert "nothing to do" in run(repository, "--confirm", "--reason", "again")
    later = refresh.refresh(opened(repository), contract, NOW + HOUR, events)
    assert later.made_anew is None
    assert is_right(repository, NOW + HOUR)


STEPS = [
    (rebuild, "step_back_in_lake"),
    (rebuild, "aggregated"),
    ("feature_pipeline.online.materialize", "materialize_again"),
]


@pytest.mark.slow
@pytest.mark.parametrize("by", ["rebuild", "refresh"])
@pytest.mark.parametrize("step", STEPS, ids=[name for _, name in STEPS])
def test_killed_it_serves_nothing_old_and_is_completed(
    repository: Path, monkeypatch: pytest.MonkeyPatch, step: tuple[Any, str], by: str
) -> None:
    from importlib import import_module

    def dies(*arguments: Any, **options: Any) -> None:
        raise KilledError

    contract, events = load(CONTRACT), events_of(repository)
    owner = import_module(step[0]) if isinstance(step[0], str) else step[0]
    with monkeypatch.context() as patch, pytest.raises(KilledError):
        patch.setattr(owner, step[1], dies)
        rebuild.rebuild(opened(repository), contract, NOW, "why", events)
    with pytest.raises(OnlineStoreEmptyError):
        answered(opened(repository), VIEW, [2])
    if by == "rebuild":
        rebuild.rebuild(opened(repository), contract, NOW, "why", events)
    if by == "refresh" and step[1] == "step_back_in_lake":
        with pytest.raises(RefusedError, match=r"scripts/rebuild\.py"):
            refresh.refresh(opened(repository), contract, NOW + HOUR, events)
        rebuild.rebuild(opened(repository), contract, NOW, "why", events)
    refresh.refresh(opened(repository), contract, NOW + HOUR, events)
    assert is_right(repository, NOW + HOUR)
    assert records(repository)[0].passed is False


@pytest.mark.slow
def test_events_that_make_no_history_withdraw_none(repository: Path) -> None:
    served = answered(opened(repository), VIEW, CUSTOMERS)
    events_of(repository).write_bytes(b"PAR1 torn")
    run(repository, "--confirm", "--reason", "why", code=2)
    assert answered(opened(repository), VIEW, CUSTOMERS) == served != [ZEROS] * 5
    assert len(read_change_log(repository / HISTORY).rows) == 9


@pytest.mark.slow
def test_a_damaged_log_is_moved_away_and_made_anew(repository: Path) -> None:
    """As its refusal says; the same events make the same log, and online is as it was."""
    contract, events = load(CONTRACT), write_events(DELIVERED, events_of(repository))
    served, rows = (
        answered(opened(repository), VIEW, CUSTOMERS),
        read_change_log(repository / HISTORY),
    )
    log = (repository / HISTORY).resolve()
    part = next(iter(sorted(log.glob("*.parquet"))))
    part.write_bytes(b"torn")
    with pytest.raises(RefusedError, match="move its table away and refresh"):
        refresh.refresh(opened(repository), contract, NOW, events)
    (repository / HISTORY).rename(repository / "moved_away")
    done = refresh.refresh(opened(repository), contract, NOW, events)
    assert done.made_anew == "no refresh has left a log"
    assert read_change_log(repository / HISTORY).rows == rows.rows
    assert answered(opened(repository), VIEW, CUSTOMERS) == served
