"""Plain Feast, online: the store refreshed hour by hour, then read in process and over HTTP."""

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.error import HTTPError

import pytest
from feast_households import (
    AGED,
    FUTURE,
    HOUR,
    HOUSEHOLDS,
    LEAKY,
    PAST,
    PRESENT,
    SERVICE,
    TTL,
    UNKNOWN,
    VIEW,
    at,
    expected,
    offline,
    online,
    profiles,
)
from oracle import ZEROS, Profile

from jobs.serving.feast_server import feature_server, online_features

pytest_plugins = ["feast_repository"]

EVERYBODY = [*HOUSEHOLDS, LEAKY, AGED, UNKNOWN, 0, -5]
EPOCH_SECONDS = 0
TABLE = "feature_store_customer_profile_v1"


def rows_of(repository: Path) -> list[tuple]:
    """What the online store holds, apart from when it was written."""
    with closing(sqlite3.connect(repository / "data" / "online_store.db")) as connection:
        query = f"SELECT entity_key, feature_name, value, event_ts FROM {TABLE} ORDER BY 1, 2"
        return connection.execute(query).fetchall()


def flush(repository: Path) -> None:
    with closing(sqlite3.connect(repository / "data" / "online_store.db")) as connection:
        assert connection.execute(f"DELETE FROM {TABLE}").rowcount > 0
        connection.commit()


def materialize(store, *ends) -> None:
    from feature_pipeline.online.materialize import materialize_up_to

    for end in ends:
        materialize_up_to(store, end)


def test_online_equals_offline_for_every_customer(online_store, store, log):
    right = expected(log, at(PRESENT, EVERYBODY))
    assert len(set(right)) > 1_500
    assert right.count(ZEROS) > 100
    assert list(profiles(online(online_store, EVERYBODY).to_dict())) == right
    assert offline(store, at(PRESENT, EVERYBODY)) == right


def test_full_feature_names_carry_the_view_and_the_same_values(online_store, log):
    answer = online(online_store, EVERYBODY, full_feature_names=True).to_dict()
    assert list(profiles(answer, prefix=f"{VIEW}__")) == expected(log, at(PRESENT, EVERYBODY))
    assert answer["customer_id"] == EVERYBODY


def test_the_last_hours_changes_arrive_and_emptied_windows_read_zeros(online_store, log):
    before = expected(log, at(PRESENT - HOUR, HOUSEHOLDS))
    now = expected(log, at(PRESENT, HOUSEHOLDS))
    changed = [c for c, old, new in zip(HOUSEHOLDS, before, now, strict=True) if old != new]
    emptied = [c for c in changed if log.profile(c, PRESENT, TTL) == ZEROS]
    assert len(changed) > 50
    assert len(emptied) == 5

    served = dict(zip(changed, profiles(online(online_store, changed).to_dict()), strict=True))
    assert served == {c: log.profile(c, PRESENT, TTL) for c in changed}
    assert not [c for c in changed if served[c] == log.profile(c, PRESENT - HOUR, TTL)]
    assert [served[c] for c in emptied] == [ZEROS] * 5


def test_the_first_refresh_starts_a_view_and_the_second_goes_on_from_there(online_store):
    assert online_store.get_feature_view(VIEW).materialization_intervals == [
        (PRESENT - HOUR - TTL, PRESENT - HOUR),
        (PRESENT - HOUR, PRESENT),
    ]


def test_nothing_stamped_after_the_refresh_is_served(fresh_store):
    materialize(fresh_store, PRESENT)
    assert list(profiles(online(fresh_store, [LEAKY]).to_dict())) == [PAST]
    materialize(fresh_store, PRESENT + HOUR)
    assert list(profiles(online(fresh_store, [LEAKY]).to_dict())) == [FUTURE]


def test_a_default_is_stamped_1970_and_a_value_with_its_own_time(online_store, log):
    active = next(c for c in HOUSEHOLDS if log.profile(c, PRESENT, TTL) != ZEROS)
    stamps = [r.event_timestamp for r in log.of_customer[active] if r.event_timestamp <= PRESENT]
    answer = online(online_store, [active, UNKNOWN]).to_dict(include_event_timestamps=True)
    assert answer["orders_30d__ts"] == [int(max(stamps).timestamp()), EPOCH_SECONDS]


def test_refreshing_twice_at_one_instant_changes_nothing(fresh, fresh_store):
    materialize(fresh_store, PRESENT)
    once, answered = rows_of(fresh), online(fresh_store, EVERYBODY).to_dict()
    assert len(once) > 4 * 2_000
    materialize(fresh_store, PRESENT)
    assert rows_of(fresh) == once
    assert online(fresh_store, EVERYBODY).to_dict() == answered


def test_an_hour_without_changes_keeps_the_store_readable(fresh_store, log):
    end = max(row.event_timestamp for row in log.rows)
    materialize(fresh_store, end, end + HOUR)
    assert list(profiles(online(fresh_store, [LEAKY, UNKNOWN]).to_dict())) == [FUTURE, ZEROS]


def test_refreshing_back_in_time_is_refused(fresh, fresh_store):
    from storage.errors import RefusedError

    materialize(fresh_store, PRESENT)
    before = rows_of(fresh)
    with pytest.raises(RefusedError) as refused:
        materialize(fresh_store, PRESENT - HOUR)
    for part in (VIEW, PRESENT.isoformat(), (PRESENT - HOUR).isoformat()):
        assert part in str(refused.value)
    assert rows_of(fresh) == before


def test_refreshing_before_apply_is_refused(fresh):
    from feature_access.registry import open_store
    from storage.errors import RefusedError

    (fresh / "data" / "registry.db").unlink()
    with pytest.raises(RefusedError, match="feast apply"):
        materialize(open_store(fresh), PRESENT)


def test_an_empty_store_is_an_error_and_never_zeros(fresh, fresh_store, log):
    from feature_access.online_stores.sqlite_store import OnlineStoreEmptyError

    with pytest.raises(OnlineStoreEmptyError, match=VIEW):
        online(fresh_store, [1, UNKNOWN])
    materialize(fresh_store, PRESENT)
    right = expected(log, at(PRESENT, [1, UNKNOWN]))
    assert list(profiles(online(fresh_store, [1, UNKNOWN]).to_dict())) == right
    flush(fresh)
    with pytest.raises(OnlineStoreEmptyError, match=VIEW):
        online(fresh_store, [1, UNKNOWN])


@pytest.mark.slow
def test_the_feature_server_serves_the_same_and_fails_while_the_store_is_empty(
    fresh, fresh_store, log
):
    def ask(customers: list[int]) -> list[Profile]:
        answer = online_features(address, SERVICE, {"customer_id": customers})
        assert answer["customer_id"] == customers
        return list(profiles(answer))

    with feature_server(fresh) as address:
        with pytest.raises(HTTPError) as empty:
            ask([1, UNKNOWN])
        materialize(fresh_store, PRESENT - HOUR)
        an_hour_ago = ask(EVERYBODY)
        materialize(fresh_store, PRESENT)
        served = ask(EVERYBODY)
        flush(fresh)
        with pytest.raises(HTTPError) as flushed:
            ask([1, UNKNOWN])

    assert an_hour_ago == expected(log, at(PRESENT - HOUR, EVERYBODY))
    assert served == expected(log, at(PRESENT, EVERYBODY))
    assert served != an_hour_ago
    assert (empty.value.code, flushed.value.code) == (500, 500)
