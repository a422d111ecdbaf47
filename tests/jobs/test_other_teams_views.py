"""A refresh brings the feature's own versions online, and touches no other view of the project."""

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from feast_households import (
    DAY,
    HOUR,
    HOUSEHOLDS,
    PRESENT,
    TTL,
    VIEW,
    at,
    expected,
    online,
    profiles,
)
from heartbeats import stands_at

from contract_checks.language.loader import load
from contract_checks.operations.log import ADDRESS_VARIABLE
from jobs import repository
from jobs.refreshing import refresh
from jobs.repository import CONTRACT, NotBegunError
from jobs.versions import versions_of_log

pytest_plugins = ["feast_repository"]

SAME_LOG, OWN_LOG, BASKET = "customer_profile_v2", "customer_profile_v3", "basket_v1"


@pytest.fixture
def crowded(fresh_store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The project with a version that reads the same log, one with its own, and another team's."""
    from feast import FeatureView, Field, FileSource
    from feast.types import Array, Int64

    store, first = fresh_store, fresh_store.get_feature_view(VIEW)
    entities = [store.get_entity(name) for name in first.entities]

    def view(name: str, path: str, schema: list[Field]) -> FeatureView:
        source = FileSource(name=f"{name}_log", path=path, timestamp_field="event_timestamp")
        return FeatureView(name=name, entities=entities, ttl=TTL, schema=schema, source=source)

    theirs = tmp_path / "theirs.parquet"
    write_baskets(theirs, PRESENT - DAY)
    items = [Field(name="items", dtype=Array(Int64))]
    log = first.batch_source.path
    store.apply(
        [
            view(SAME_LOG, log, first.features),
            view(OWN_LOG, str(tmp_path / "own_log.parquet"), first.features),  # not made yet
            view(BASKET, str(theirs), items),
        ]
    )
    monkeypatch.setenv(ADDRESS_VARIABLE, f"sqlite:///{tmp_path}/operations.db")
    (tmp_path / "data").mkdir()
    monkeypatch.setattr(repository, "ROOT", tmp_path)
    counted = SimpleNamespace(ingested=1, kept=1, superseded=0, quarantined=0)
    made = SimpleNamespace(
        events=counted, history_rows=1, new_rows=1, newest=None, newest_arrival=PRESENT
    )
    made.left_out = made.made_anew = None
    monkeypatch.setattr(refresh, "aggregated", lambda *arguments: made)
    monkeypatch.setattr(refresh, "outliers", lambda *arguments: {})
    return store


def write_baskets(to: Path, *stamps: datetime) -> None:
    rows = {"customer_id": [1, 2] * len(stamps), "event_timestamp": sorted([*stamps] * 2)}
    table = pa.table(rows | {"items": [[1, 2]] * len(rows["customer_id"])})
    pq.write_table(table, to)


def refreshed(store, as_of: datetime) -> None:
    refresh.refresh(store, load(CONTRACT), as_of)


def ends(store, view: str) -> list[datetime]:
    return [end for _, end in store.get_feature_view(view).materialization_intervals]


def test_what_reads_the_log_comes_along_and_nothing_else(crowded, log) -> None:
    for end in (PRESENT - HOUR, PRESENT):
        refreshed(crowded, end)
    assert stands_at(crowded) == stands_at(crowded, SAME_LOG) == PRESENT
    assert ends(crowded, OWN_LOG) == ends(crowded, BASKET) == []
    asked = list(HOUSEHOLDS)[:200]
    assert list(profiles(online(crowded, asked).to_dict())) == expected(log, at(PRESENT, asked))


def test_rows_of_another_team_that_come_late_still_come_online(crowded, tmp_path: Path) -> None:
    """They materialize up to a day ago; rows of that day come after our refresh of the present."""
    crowded.materialize(PRESENT - TTL, PRESENT - DAY, [BASKET])
    refreshed(crowded, PRESENT)
    write_baskets(tmp_path / "theirs.parquet", PRESENT - DAY, PRESENT - HOUR)
    crowded.materialize_incremental(PRESENT, [BASKET])
    answer = crowded.get_online_features([f"{BASKET}:items"], [{"customer_id": 1}]).proto
    (stamp,) = answer.results[-1].event_timestamps
    assert datetime.fromtimestamp(stamp.seconds, UTC) == PRESENT - HOUR


@pytest.mark.parametrize("view", [BASKET, OWN_LOG])
def test_a_view_that_is_ahead_bars_nobody_else(crowded, view: str) -> None:
    registered = crowded.get_feature_view(view)
    registered.materialization_intervals.append((PRESENT, PRESENT + DAY))
    crowded.registry.apply_feature_view(registered, crowded.project)
    refresh.refuse_what_was_given(crowded, load(CONTRACT), PRESENT, refresh.EVENTS)
    refreshed(crowded, PRESENT)
    assert stands_at(crowded) == PRESENT
    assert ends(crowded, view) == [PRESENT + DAY]


def test_a_version_of_the_same_log_that_is_ahead_does(crowded) -> None:
    crowded.materialize(PRESENT - TTL, PRESENT + HOUR, [SAME_LOG])
    with pytest.raises(NotBegunError, match=SAME_LOG):
        refresh.refuse_what_was_given(crowded, load(CONTRACT), PRESENT, refresh.EVENTS)


def test_versions_are_told_by_the_log_they_read(crowded) -> None:
    contract = load(CONTRACT)
    assert {v.name for v in versions_of_log(crowded, contract)} == {VIEW, SAME_LOG}
    crowded.apply([], objects_to_delete=[crowded.get_feature_view(VIEW)], partial=False)
    with pytest.raises(NotBegunError, match=f"{VIEW} is registered: run `feast apply`"):
        versions_of_log(crowded, contract)
