"""`feast apply` registers no view whose table no read could answer from, and says why."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
from feast_copy import HISTORY, copy_of_the_project, run
from next_version import VIEWS, edit
from offline_places import Files, InPostgres, OnSpark, Place
from redis_server import RedisServer

pytest_plugins = ["postgres_server", "warehouse"]

NOON = datetime(2024, 3, 9, 12, tzinfo=UTC)
STAMPS = pa.array([NOON], pa.timestamp("us", "UTC"))
HELD: Mapping[str, pa.Array] = {
    "id": pa.array([1]),
    "name": pa.array(["a"]),
    "at": STAMPS,
    "made": STAMPS,
    "count": pa.array([1]),
    "ratio": pa.array([0.5], pa.float32()),
    "seen": pa.array([True]),
    "counts": pa.array([[1]]),
}


@pytest.fixture(scope="module", params=["duckdb", "postgresql", "spark"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Spark is not started: what the lake's files hold is read from them."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "postgresql":
        return InPostgres(folder, request.getfixturevalue("shared_warehouse"))
    return (Files if request.param == "duckdb" else OnSpark)(folder)


def config_of(place: Place, **options: Any) -> Any:
    from feast import RepoConfig

    return RepoConfig(
        project="asked",
        provider="local",
        registry=str(place.folder / "registry.db"),
        offline_store=place.offline_store(True) | options,
        entity_key_serialization_version=3,
    )


def refusals(
    place: Place,
    source: Any,
    features: Mapping[str, Any],
    key: str = "id",
    options: Mapping[str, Any] | None = None,
) -> list[str]:
    """What is said of a view `odd` of these features, each with the name of its Feast type."""
    from feast import Entity, FeatureView, Field, ValueType, types
    from feast.repo_contents import RepoContents

    from feature_access.usable_sources import unusable_sources

    kinds = {f: getattr(types, k) if isinstance(k, str) else k() for f, k in features.items()}
    customer = Entity(name="customer", join_keys=[key], value_type=ValueType.INT64)
    view = FeatureView(
        name="odd",
        entities=[customer],
        ttl=timedelta(0),
        schema=[Field(name=name, dtype=kind) for name, kind in kinds.items()],
        source=source,
    )
    nothing: list[Any] = []
    declared = RepoContents(
        projects=nothing,
        data_sources=[source],
        feature_views=[view],
        on_demand_feature_views=nothing,
        stream_feature_views=nothing,
        entities=[customer],
        feature_services=nothing,
        permissions=nothing,
        label_views=nothing,
    )
    return unusable_sources(config_of(place, **(options or {})), declared)


def of_lists() -> Any:
    from feast.types import Array, Int64

    return Array(Int64)


PLAIN = {
    "count": "Int64",
    "ratio": "Float64",
    "seen": "Bool",
    "name": "String",
    "made": "UnixTimestamp",
}
WITH_LISTS = PLAIN | {"counts": of_lists}
Case = tuple[Callable[[dict[str, Any]], dict[str, Any]], Mapping[str, Any], str]
NO_TYPE = r"is of the type \S+, which is not read here: cast it"
UNLIKE: dict[str, Case] = {
    "no time": (lambda held: without(held, "at"), PLAIN, "has no column at, it has id"),
    "no key": (lambda held: without(held, "id"), PLAIN, "has no column id, it has name"),
    "no feature": (lambda held: without(held, "count"), PLAIN, "has no column count, it has id"),
    "no creation": (lambda held: without(held, "made"), {"count": "Int64"}, "has no column made"),
    "a time of numbers": (
        lambda held: held | {"at": held["count"]},
        PLAIN,
        "column at .* no times",
    ),
    "a creation of text": (
        lambda held: held | {"made": held["name"]},
        {"count": "Int64"},
        "column made of the table of odd holds no times",
    ),
    "times of day": (
        lambda held: held | {"count": pa.array([time(12)], pa.time64("us"))},
        {"count": "String"},
        "column count of the table of odd " + NO_TYPE,
    ),
    "a number of text": (
        lambda held: held | {"count": held["name"]},
        PLAIN,
        "is of the type string, and count is declared Int64: declare it as it is stored",
    ),
    "a share of times": (lambda held: held | {"ratio": STAMPS}, PLAIN, "ratio is declared Float64"),
    "a truth of numbers": (
        lambda held: held | {"seen": held["id"]},
        PLAIN,
        "seen is declared Bool",
    ),
    "a time of truths": (
        lambda held: held | {"name": held["seen"]},
        {"name": "UnixTimestamp"},
        "name is declared UnixTimestamp",
    ),
    "a list of no list": (
        lambda held: held | {"counts": held["id"]},
        WITH_LISTS,
        r"of the type int64, and counts is declared Array\(Int64\)",
    ),
    "a number of lists": (
        lambda held: held | {"count": held["counts"]},
        PLAIN,
        r"of the type list<.*>, and count is declared Int64",
    ),
    "a key of text": (
        lambda held: held | {"id": held["name"]},
        PLAIN,
        "id cannot be compared with the table of odd: it is declared Int64, and held as string",
    ),
    "a key of times": (lambda held: held | {"id": STAMPS}, PLAIN, "id cannot be compared with"),
}


def without(held: dict[str, Any], column: str) -> dict[str, Any]:
    return {name: values for name, values in held.items() if name != column}


def table(place: Place, name: str, held: Mapping[str, pa.Array], **types: str) -> Any:
    place.write(name, pa.table(dict(held)), **types)
    return place.source(name, timestamp_field="at", created_timestamp_column="made")


def test_a_table_as_it_is_declared_is_taken(place: Place) -> None:
    assert refusals(place, table(place, "as_declared", HELD), WITH_LISTS) == []


@pytest.mark.parametrize("what", UNLIKE)
def test_a_table_unlike_its_declaration_is_refused(place: Place, what: str) -> None:
    changed, features, words = UNLIKE[what]
    name = f"apply_{list(UNLIKE).index(what)}"
    types = {"count": "time"} if what == "times of day" else {}
    source = table(place, name, changed(dict(HELD)), **types)
    (told,) = refusals(place, source, features)
    assert told.startswith(f"feature view odd cannot be read from {name}: ")
    with pytest.raises(ValueError, match=words):
        raise ValueError(told)


def test_an_empty_table_is_held_to_it_too(place: Place) -> None:
    empty = {name: values[:0] for name, values in HELD.items()}
    assert refusals(place, table(place, "empty", empty), PLAIN) == []
    (told,) = refusals(place, table(place, "empty", without(empty, "count")), PLAIN)
    assert "has no column count" in told


def test_renamed_columns_are_looked_for_by_the_tables_own_names(place: Place) -> None:
    place.write("renamed_here", pa.table({"key": HELD["id"], "when": STAMPS, "n": HELD["count"]}))
    back = {"key": "id", "when": "at", "n": "count"}
    right = place.source("renamed_here", timestamp_field="at", field_mapping=back)
    assert refusals(place, right, {"count": "Int64"}) == []
    wrong = place.source("renamed_here", timestamp_field="at", field_mapping={"key": "id"})
    (told,) = refusals(place, wrong, {"count": "Int64"})
    assert "has no column at, count, it has key" in told


def test_a_table_that_is_not_there(place: Place) -> None:
    """In files the refresh writes it, and its folder."""
    source = place.source("nowhere", timestamp_field="at")
    told = refusals(place, source, PLAIN)
    if place.engine == "postgresql":
        assert 'relation "nowhere" does not exist' in told[0]
        assert "migrate the warehouse, grant" in told[0]
        return
    assert told == []
    assert refusals(place, place.source("no/where", timestamp_field="at"), PLAIN) == []
    (place.folder / "torn.parquet").write_bytes(b"PAR1 and no more")
    (told,) = refusals(place, place.source("torn", timestamp_field="at"), PLAIN)
    assert told.startswith("feature view odd cannot be read from torn: ")


def test_nanoseconds_are_refused_where_spark_reads(place: Place) -> None:
    if place.engine == "postgresql":
        pytest.skip("PostgreSQL has microseconds alone")
    fine = HELD | {"at": STAMPS.cast(pa.timestamp("ns", "UTC"))}
    told = refusals(place, table(place, "fine", fine), PLAIN)
    assert [("nanoseconds, which Spark does not" in line) for line in told] == [True] * (
        place.engine == "spark"
    )


def test_the_login_must_be_let_in_and_may_read(place: Place) -> None:
    if not isinstance(place, InPostgres):
        pytest.skip("files have no logins")
    source = table(place, "guarded", HELD)
    asking = {"user": "training_job", "password": "s3cret & more"}
    (told,) = refusals(place, source, PLAIN, options=asking)
    assert "permission denied for table guarded" in told
    assert "grant the login feature_store_training" in told
    (told,) = refusals(place, source, PLAIN, options=asking | {"password": "guessed-and-wrong"})
    assert "the warehouse cannot be reached" in told
    assert "guessed" not in told
    (told,) = refusals(place, source, PLAIN, options={"port": 1})
    assert "the warehouse cannot be reached" in told
    with place.database.connect() as owner:
        owner.execute('GRANT SELECT ON "guarded" TO training_job')
    assert refusals(place, source, PLAIN, options=asking) == []


def test_a_source_of_another_engine_is_refused(place: Place) -> None:
    from feast.infra.offline_stores.bigquery_source import BigQuerySource

    source = BigQuerySource(name="elsewhere", table="a.b", timestamp_field="at")
    (told,) = refusals(place, source, PLAIN)
    assert "declared as a BigQuerySource" in told


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[RedisServer]:
    """A server that answers nobody without its password."""
    server = RedisServer(tmp_path, {"requirepass": "open sesame"})
    yield server
    server.kill()


def test_an_online_store_that_cannot_serve_is_refused(guarded: RedisServer) -> None:
    from feast import FeatureView, FileSource

    from feature_access.online_stores.redis_store import (
        DefaultingRedisOnlineStore,
        DefaultingRedisOnlineStoreConfig,
    )

    source = FileSource(name="rows", path="rows.parquet", timestamp_field="at")
    view = FeatureView(name="odd", entities=[], ttl=timedelta(days=2), source=source)

    def asked(options: str, **more: Any) -> str:
        kind = "feature_access.online_stores.redis_store.DefaultingRedisOnlineStore"
        online = DefaultingRedisOnlineStoreConfig(type=kind, connection_string=options, **more)
        try:
            DefaultingRedisOnlineStore().refuse_unusable(
                SimpleNamespace(online_store=online), [view]
            )
        except ValueError as error:
            return str(error)
        return ""

    here = f"127.0.0.1:{guarded.port}"
    assert asked(f"{here},password=open sesame") == ""
    for wrong in (here, f"{here},password=guessed"):
        assert asked(wrong) == (
            "the online store does not let this login in: see the password in its connection_string"
        )
    assert asked("127.0.0.1:1,password=guessed") == ""  # it may come up
    told = asked(f"{here},password=open sesame", key_ttl_seconds=86_400)
    assert "key_ttl_seconds 86400 is less than the ttl 2 days" in told


# The command.


def test_nothing_is_registered_and_a_person_may_insist(tmp_path: Path) -> None:
    repository = copy_of_the_project(tmp_path / "repository")
    columns = {"customer_id": pa.array([1]), "event_timestamp": STAMPS}
    features = ("orders_30d", "sessions_30d", "distinct_order_days_30d")
    columns |= {"avg_order_value_30d": pa.array([0.5])} | {f: pa.array([1]) for f in features}
    pa.parquet.write_table(pa.table(columns), repository / HISTORY)
    edit(repository / VIEWS, {'name="orders_30d"': 'name="orders_31d"'})
    done = run(repository, "feast", "apply")
    assert done.returncode == 2, done.stdout + done.stderr
    said = done.stderr.splitlines()
    (refusal,) = [line for line in said if line.startswith("refused: ")]
    assert (
        "the table of customer_profile_v1 has no column orders_31d, it has customer_id" in refusal
    )
    assert said[-1] == "Nothing was registered."
    assert "Traceback" not in done.stderr

    from feature_access.registry import open_store

    assert open_store(repository).list_feature_views() == []
    done = run(repository, "feast", "apply", "--skip-source-validation")
    assert done.returncode == 0, done.stderr
