"""Out of a time that has not come: log, online store, registry and records are as if none had."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest
import typer
from engines import terms_of
from feast_copy import HISTORY, apply, copy_of_the_project
from feast_households import HOUSEHOLDS, LEAKY, PRESENT, UNKNOWN, VIEW, at, expected
from feast_households import profiles as profiles_of
from oracle import ZEROS, Event, Profile, differences, read_change_log, write_events
from step_back_stories import (
    CAME,
    DAY,
    FUTURE,
    HOUR,
    KNOWN,
    NOW,
    ORACLE,
    POINTS,
    SEEN,
    KilledError,
    answered,
    ends_of,
    opened,
    taken_back,
)
from typer.testing import CliRunner

from contract_checks.language.loader import load
from contract_checks.operations.log import ADDRESS_VARIABLE, OperationsLog, Record
from feature_access.errors import OnlineStoreEmptyError
from feature_access.offline_stores.offline_table import NotYetKnownError
from jobs import repository as here
from jobs.privacy import erased
from jobs.refreshing import refresh, step_back
from jobs.reporting import recording
from jobs.repository import CONTRACT
from scripts import step_back as door
from storage.errors import RefusedError

pytest_plugins = ["engines", "feast_repository", "feast_online"]

TERMS = terms_of(ORACLE)


# The change log alone, on each engine


@pytest.mark.parametrize("known_to", [KNOWN, datetime(1970, 1, 1, tzinfo=UTC)])
def test_the_log_is_as_if_the_future_had_never_been_refreshed(engine, known_to):
    with engine.place() as place:
        place.deliver(SEEN)
        if known_to == KNOWN:
            place.bring_up_to(KNOWN, TERMS)
        ahead = place.bring_up_to(FUTURE, TERMS)
        place.deliver(CAME)
        with pytest.raises(RefusedError, match=r"name a later time; .* scripts/step_back\.py"):
            place.bring_up_to(NOW, TERMS)
        kept = [row for row in place.log().rows if row.event_timestamp <= known_to]
        assert taken_back(place, known_to) == ahead.history_rows - len(kept) > 0
        assert place.log().rows == kept
        assert taken_back(place, known_to) == 0
        done = place.bring_up_to(NOW, TERMS)
        assert done.made_anew
        assert vars(done.events) == ORACLE.counts(NOW)._asdict()
        known = [point for point in POINTS if point[1] <= NOW]
        assert differences(ORACLE, place.log(), known) == []
        assert max(row.event_timestamp for row in place.log().rows) <= NOW
        later = place.bring_up_to(NOW + DAY, TERMS)
        assert (later.made_anew, later.since) == (None, NOW)


def test_what_was_known_is_not_told_in_another_way(engine):
    """As ever: an event that says it had arrived before is named, not slipped in."""
    with engine.place() as place:
        place.deliver(SEEN)
        place.bring_up_to(KNOWN, TERMS)
        place.bring_up_to(FUTURE, TERMS)
        place.deliver([Event(9, KNOWN - DAY, KNOWN - HOUR, 1, Decimal(1), 1)])
        taken_back(place, KNOWN)
        with pytest.raises(RefusedError, match="would be added to what"):
            place.bring_up_to(NOW, TERMS)


# The online store and the registry, of one view


def test_one_view_is_brought_back_and_its_neighbour_is_left_alone(either, log):
    from feast import FeatureView

    from feature_pipeline.online.materialize import materialize_again, materialize_up_to
    from jobs.privacy.row_deleting import row_deleting

    store, _flush = either
    customers = [*HOUSEHOLDS[:300], LEAKY, UNKNOWN]
    ours = store.get_feature_view(VIEW)
    neighbour = FeatureView(
        name="neighbour",
        entities=[store.get_entity(name) for name in ours.entities],
        ttl=ours.ttl,
        schema=ours.features,
        source=ours.batch_source,
    )
    store.apply([neighbour])
    materialize_up_to(store, PRESENT - HOUR)
    before = answered(store, "neighbour", customers)
    ahead = PRESENT + 60 * DAY
    store.materialize(PRESENT - HOUR, ahead, [VIEW])
    assert answered(store, VIEW, customers) != expected(log, at(PRESENT, customers))
    row_deleting(store).forget_view(store.config, store.get_feature_view(VIEW))
    with pytest.raises(OnlineStoreEmptyError):
        answered(store, VIEW, customers)
    assert answered(store, "neighbour", customers) == before
    materialize_again(store, VIEW, PRESENT)
    assert answered(store, VIEW, customers) == expected(log, at(PRESENT, customers))
    assert answered(store, "neighbour", customers) == before
    assert ends_of(store, VIEW) == [PRESENT - HOUR, PRESENT]
    assert ends_of(store, "neighbour") == [PRESENT - HOUR]
    materialize_up_to(store, PRESENT + HOUR)
    assert answered(store, VIEW, customers) == expected(log, at(PRESENT + HOUR, customers))


# The job, killed at each of its steps and run again


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Applied, refreshed at the right time and then ahead of it; the jobs' functions work on it."""
    copy = copy_of_the_project(tmp_path_factory.mktemp("ahead") / "repository")
    events = write_events(SEEN, copy / HISTORY.with_name("customer_events.parquet"))
    apply(copy)
    with pytest.MonkeyPatch.context() as patch:
        for script in (here, recording, step_back):
            patch.setattr(script, "ROOT", copy)
        for script in (refresh, step_back):
            patch.setattr(script, "HISTORY", copy / HISTORY)
        patch.setattr(refresh, "QUARANTINE", copy / HISTORY.with_name("quarantine.parquet"))
        patch.setattr(erased, "ERASED", copy / "data" / "erased_customers.txt")
        patch.setenv(ADDRESS_VARIABLE, f"sqlite:///{copy}/operations.db")
        store, contract = opened(copy), load(CONTRACT)
        for moment in (KNOWN, FUTURE):
            refresh.refresh(store, contract, moment, events)
        alert = Record("alert", VIEW, FUTURE, False, None, {"state": "begun"})
        other = Record("refresh", "another_v1", FUTURE, True)
        OperationsLog(f"sqlite:///{copy}/operations.db").append(alert, other)
        yield copy


def run(script: ModuleType, moment: datetime, events: Path, *arguments: str) -> Any:
    app = typer.Typer()
    app.command()(script.main)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(script, "now", lambda: moment)
        done = CliRunner().invoke(app, ["--events", str(events), *arguments])
    assert done.exit_code == 0, done.output
    return done.output


def test_the_job_is_safe_to_kill_and_leaves_the_stores_as_they_should_be(repository, monkeypatch):
    store, contract = opened(repository), load(CONTRACT)
    events = repository / HISTORY.with_name("customer_events.parquet")
    write_events([*SEEN, *CAME], events)
    assert set(answered(store, VIEW, [1, 2, 3])) == {ZEROS}  # whoever has shopped, forgotten
    with pytest.raises(RefusedError, match=r"name a later time; .* scripts/step_back\.py"):
        refresh.refresh(store, contract, NOW, events)

    files = {f: f.read_bytes() for f in (repository / "data").rglob("*") if f.is_file()}
    told = run(door, NOW, events)
    assert f"the offline table is known up to {FUTURE.isoformat()}" in told
    assert f"{VIEW} is online up to {FUTURE.isoformat()}" in told
    assert f"known by {KNOWN.isoformat()} stays as it is" in told
    assert {f: f.read_bytes() for f in (repository / "data").rglob("*") if f.is_file()} == files

    from feature_access.online_stores.sqlite_store import DefaultingSqliteOnlineStore
    from feature_pipeline.online import materialize

    def dies(*arguments: Any, **options: Any) -> None:
        raise KilledError

    for owner, step in (
        (step_back, "step_back_in_lake"),
        (step_back, "aggregated"),
        (DefaultingSqliteOnlineStore, "forget_view"),
        (materialize, "materialize_again"),
    ):
        with monkeypatch.context() as patch, pytest.raises(KilledError):
            patch.setattr(owner, step, dies)
            step_back.step_back(opened(repository), contract, NOW, events)
    with pytest.raises(OnlineStoreEmptyError):
        answered(opened(repository), VIEW, [1])
    assert "both are taken back to" in run(door, NOW, events, "--confirm")

    store = opened(repository)
    customers = [1, 2, 3, 4, 5]
    right = [ORACLE.profile(customer, NOW) for customer in customers]
    assert answered(store, VIEW, customers) == right
    assert ends_of(store, VIEW) == [KNOWN, NOW]
    known = [point for point in POINTS if point[1] <= NOW]
    log = read_change_log(repository / HISTORY)
    assert differences(ORACLE, log, known) == []
    frame = pd.DataFrame({"customer_id": customers, "event_timestamp": NOW})
    features = [f"{VIEW}:{name}" for name in Profile._fields]
    offline = store.get_historical_features(frame, features).to_df()
    assert list(profiles_of(offline)) == right
    with pytest.raises(NotYetKnownError):
        store.get_historical_features(frame.assign(event_timestamp=FUTURE), features).to_arrow()

    always = datetime.max.replace(tzinfo=UTC)
    left = OperationsLog(f"sqlite:///{repository}/operations.db").records(always)
    assert [(r.job, r.at) for r in left if r.subject == VIEW and r.job != "step_back"] == [
        ("refresh", KNOWN),
        ("alert", NOW),
        ("refresh", NOW),  # the one that was refused
    ]
    assert [(r.subject, r.at) for r in left if r.at > NOW] == [("another_v1", FUTURE)]
    back = [r for r in left if r.job == "step_back"]
    assert [(r.at, r.passed) for r in back] == [(NOW, False)] * 4 + [(NOW, True)]
    first, last = back[0].figures, back[-1].figures
    assert (first["known_to"], first["log"]) == (KNOWN.isoformat(), FUTURE.isoformat())
    assert (last["views"], last["log"]) == ({VIEW: FUTURE.isoformat()}, None)
    assert (last["history_rows"], last["records"]) == (len(log.rows), 2)

    assert "nothing to do" in run(door, NOW, events, "--confirm")
    done = refresh.refresh(store, contract, NOW + HOUR, events)
    assert (done.made_anew, done.since) == (None, NOW)
    assert answered(store, VIEW, [4]) == [ORACLE.profile(4, NOW + HOUR)] != [ZEROS]

    # Killed before its last step it left a record of the future, which the next run takes out.
    OperationsLog(f"sqlite:///{repository}/operations.db").append(
        Record("refresh", VIEW, FUTURE, True)
    )
    assert "of a later time in the operations log: 1" in run(door, NOW + HOUR, events)
    before = read_change_log(repository / HISTORY).rows
    assert "both are taken back to" in run(door, NOW + HOUR, events, "--confirm")
    left = OperationsLog(f"sqlite:///{repository}/operations.db").records(always)
    assert [(r.subject, r.at) for r in left if r.at > NOW + HOUR] == [("another_v1", FUTURE)]
    assert read_change_log(repository / HISTORY).rows == before
