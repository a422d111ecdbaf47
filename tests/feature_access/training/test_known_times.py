"""Nothing is known that has not arrived: a time beyond the log has no answer, on any engine."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from engines import in_warehouse, terms_of
from feast_over_a_log import FEATURES, opened
from oracle import MICROSECOND, Event, Oracle, Profile
from postgres_server import Database
from warehouse import LOG

from feature_access.offline_stores.offline_table import NotYetKnownError
from storage.errors import RefusedError

pytest_plugins = ["engines"]

KEY = b"a key of the tests alone"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
KNOWN = datetime(2017, 12, 1, tzinfo=UTC)
LATER, FAR = KNOWN + DAY, datetime(2031, 1, 1, tzinfo=UTC)
EVENTS = [
    Event(1, KNOWN - 2 * DAY, KNOWN - 2 * DAY + HOUR, 2, Decimal(30), 3),
    Event(2, KNOWN - 30 * DAY + HOUR, KNOWN - 29 * DAY, 1, Decimal(9), 1),  # leaves after KNOWN
    Event(1, KNOWN + HOUR, KNOWN + 2 * HOUR, 5, Decimal(10), 1),
]
ORACLE = Oracle(EVENTS, lookback_window=30 * DAY, allowed_lateness=DAY)


def frame(*asked: tuple[int, Any]) -> pd.DataFrame:
    return pd.DataFrame(list(asked), columns=["customer_id", "event_timestamp"])


def answers(store: Any, *asked: tuple[int, datetime]) -> list[Profile]:
    answer = store.get_historical_features(frame(*asked), FEATURES).to_arrow()
    return list(map(Profile, *(answer[name].to_pylist() for name in Profile._fields)))


def test_each_engine_answers_up_to_its_last_refresh_and_no_further(engine, tmp_path):
    asked = [(c, at) for c in (1, 2, 3) for at in (KNOWN - 3 * DAY, KNOWN - HOUR, KNOWN)]
    beyond = [
        (1, KNOWN + MICROSECOND),
        (2, KNOWN + 2 * HOUR),
        (3, datetime(2031, 1, 1, tzinfo=UTC)),
    ]
    with engine.place() as place:
        place.deliver(EVENTS)
        place.bring_up_to(KNOWN, terms_of(ORACLE))
        store = opened(place, tmp_path)
        then = answers(store, *asked)
        assert then == [ORACLE.profile(*one) for one in asked]
        for n in range(1, 4):
            says = f"^{n} rows ask customer_profile_v1 for times after 2017-12-01T00:00:00"
            with pytest.raises(NotYetKnownError, match=says):
                answers(store, *asked, *beyond[:n])
        place.bring_up_to(LATER, terms_of(ORACLE))
        assert answers(store, *asked) == then  # asked for twice is the same twice
        assert answers(store, *beyond[:2]) == [ORACLE.profile(*one) for one in beyond[:2]]
        assert ORACLE.profile(*beyond[1]) != ORACLE.profile(2, KNOWN)
        with pytest.raises(NotYetKnownError, match="times after 2017-12-02T00:00:00"):
            answers(store, *beyond)


def test_a_warehouse_that_was_not_migrated_is_not_read_beyond_it(shared_warehouse, tmp_path):
    with in_warehouse(shared_warehouse) as place:
        place.deliver(EVENTS)
        place.bring_up_to(KNOWN, terms_of(ORACLE))
        store = opened(place, tmp_path)
        with (
            without_view(shared_warehouse, f"{LOG}_known_up_to"),
            pytest.raises(RefusedError, match="migrate"),
        ):
            answers(store, (1, KNOWN))
        assert answers(store, (1, KNOWN)) == [ORACLE.profile(1, KNOWN)]


def test_a_purchase_dated_ahead_of_its_arrival_never_counts_however_near(engine, tmp_path):
    """Not even where the clock of whoever refreshes is ahead, and the purchase is past for it."""
    ahead = KNOWN + timedelta(seconds=60)
    future = Event(1, KNOWN + timedelta(seconds=30), KNOWN, 9, Decimal(9), 9)
    with engine.place() as place:
        place.deliver([*EVENTS[:2], future])
        done = place.bring_up_to(ahead, terms_of(ORACLE))
        assert (done.events.quarantined, done.events.kept) == (1, 2)
        assert place.quarantined()[0][-1] == "future-dated: happened after it arrived"
        store = opened(place, tmp_path)
        assert answers(store, (1, ahead)) == [ORACLE.profile(1, ahead)]


@contextmanager
def without_view(database: Database, view: str) -> Iterator[None]:
    """It has another name for a while."""
    with database.connect() as owner:
        owner.execute(f"ALTER VIEW {view} RENAME TO elsewhere")
    yield
    with database.connect() as owner:
        owner.execute(f"ALTER VIEW data_warehouse.elsewhere RENAME TO {view.split('.')[1]}")


# Training sets, of tables that are known as far as the test says


@pytest.fixture
def services(tmp_path: Path) -> Callable[..., Any]:
    """A store whose service `s` has a view for each instant that it is known up to, or None."""

    def store(*known: datetime | None) -> Any:
        from feast import (
            Entity,
            FeatureService,
            FeatureStore,
            FeatureView,
            Field,
            FileSource,
            RepoConfig,
            ValueType,
        )
        from feast.types import Int64

        customer = Entity(name="customer_id", join_keys=["customer_id"], value_type=ValueType.INT64)
        views = []
        for n, until in enumerate(known):
            source = FileSource(path=str(table(n, until)), timestamp_field="event_timestamp")
            fields = [Field(name=f"orders_{n}", dtype=Int64, tags={"default": "0"})]
            views.append(
                FeatureView(name=f"view_{n}", entities=[customer], schema=fields, source=source)
            )
        feast = FeatureStore(
            config=RepoConfig(
                project="known",
                provider="local",
                registry=str(tmp_path / "registry.db"),
                offline_store={
                    "type": "feature_access.offline_stores.duckdb_store.PointInTimeOfflineStore"
                },
                online_store={"type": "sqlite", "path": str(tmp_path / "online.db")},
                entity_key_serialization_version=3,
            )
        )
        feast.apply([customer, *views, FeatureService(name="s", features=views)])
        return feast

    def table(n: int, until: datetime | None) -> Path:
        folder = tmp_path / f"log_{n}.parquet"
        folder.mkdir(exist_ok=True)
        stamps = pa.array([KNOWN - DAY], pa.timestamp("us", "UTC"))
        rows = {"customer_id": [1], "event_timestamp": stamps, f"orders_{n}": [n + 7]}
        pq.write_table(pa.table(rows), folder / "part.parquet")
        if until:
            (folder / "_watermark.json").write_text(json.dumps({"as_of": until.isoformat()}))
        return folder

    return store


def built(store: Any, entities: Any, **options: Any) -> Any:
    from feature_access.training.training_set import build_training_set

    return build_training_set(store, "s", entities, KEY, **options)


NEW_YORK = ZoneInfo("America/New_York")
FORMS = {
    "naive": lambda at: at.replace(tzinfo=None),
    "utc": lambda at: at,
    "new york": lambda at: at.astimezone(NEW_YORK),
    "text": lambda at: at.isoformat(timespec="microseconds"),
    "nanoseconds": lambda at: pd.Timestamp(at).as_unit("ns") + pd.Timedelta(999, "ns"),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_known_instant_counts_and_a_microsecond_later_does_not(services, form):
    store, spelled = services(KNOWN), FORMS[form]
    at_it = built(store, frame((1, spelled(KNOWN))))
    assert at_it.rows["orders_0"].to_pylist() == [7]
    assert (at_it.known_up_to, at_it.left_out) == (KNOWN, 0)
    entities = frame((1, spelled(KNOWN + MICROSECOND)), (1, spelled(KNOWN)), (2, spelled(LATER)))
    for given in (entities, pa.Table.from_pandas(entities)):
        with pytest.raises(NotYetKnownError, match=r"^2 rows .* view_0 is known: .*--known-only"):
            built(store, given)
        known_only = built(store, given, known_only=True)
        assert known_only.rows["orders_0"].to_pylist() == [7]
        assert (known_only.known_up_to, known_only.left_out) == (KNOWN, 2)


@pytest.mark.parametrize(
    ("known", "as_of", "until", "because"),
    [
        ((LATER, KNOWN), None, KNOWN, "view_1 is known"),
        ((KNOWN, LATER), None, KNOWN, "view_0 is known"),
        ((LATER, None), None, LATER, "view_0 is known"),
        ((LATER, LATER), KNOWN, KNOWN, "this run reads"),
        ((None,), KNOWN, KNOWN, "this run reads"),
        ((KNOWN,), LATER, KNOWN, "view_0 is known"),
    ],
)
def test_of_several_ends_the_first_counts(services, known, as_of, until, because):
    store = services(*known)
    entities = frame((1, until), (1, until + MICROSECOND))
    with pytest.raises(NotYetKnownError, match=f"^1 rows .*{because}"):
        built(store, entities, as_of=as_of)
    whole = built(store, entities, as_of=as_of, known_only=True)
    assert whole.rows["event_timestamp"].to_pylist() == [until]
    assert (whole.known_up_to, whole.left_out) == (until, 1)
    assert whole.matched == {f"view_{n}": 1 for n in range(len(known))}


def test_a_table_of_which_nothing_says_so_is_known_to_any_time(services):
    whole = built(services(None), frame((1, FAR)))
    assert whole.rows["orders_0"].to_pylist() == [7]
    assert (whole.known_up_to, whole.left_out) == (None, 0)


@pytest.mark.parametrize("known_only", [False, True])
def test_times_before_anything_happened_have_defaults_and_none_is_refused_as_ever(
    services, known_only
):
    store = services(KNOWN)
    entities = frame((1, datetime(1960, 1, 1, tzinfo=UTC)), (1, KNOWN - DAY - MICROSECOND))
    assert built(store, entities, known_only=known_only).rows["orders_0"].to_pylist() == [0, 0]
    nobody = built(store, entities[:0], known_only=known_only)
    assert (nobody.rows.num_rows, nobody.left_out, nobody.known_up_to) == (0, 0, KNOWN)
    with pytest.raises(ValueError, match="1 entity rows have no event_timestamp"):
        built(store, frame((1, KNOWN), (2, pd.NaT)), known_only=known_only)
    with pytest.raises(ValueError, match="name no unit"):
        built(store, frame((1, 1_511_737_200)), known_only=known_only)


def test_where_every_row_is_beyond_it_the_set_is_empty_and_counts_them(services):
    none = built(services(KNOWN), frame((1, LATER), (2, LATER)), known_only=True)
    assert (none.rows.num_rows, none.left_out) == (0, 2)
    assert none.rows.column_names == ["customer_id", "event_timestamp", "orders_0"]
