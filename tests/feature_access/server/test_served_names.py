"""The server and `OnlineFeatures` name features and entities as Feast's own server does."""

import asyncio
import json
from datetime import timedelta
from types import SimpleNamespace

import pytest
from small_stores import DAY, NOON, driver, drivers

pytest_plugins = ["small_stores"]

ROWS = [
    {"driver_id": 1, "at": NOON, "trips": 3, "tips": 4},
    {"driver_id": 2, "at": NOON, "trips": 5, "tips": 6},
]
MAPPED = {"driver_id": "chauffeur"}


def terms():
    from feature_access.terms import Terms

    return Terms("drivers", ("ML Platform",), timedelta(hours=2))


def services(view):
    from feast import FeatureService

    shown = {
        "plain": view,
        "aliased": view.with_name("dp"),
        "a subset, aliased": view[["tips"]].with_name("dp"),
        "aliased as a feature": view.with_name("trips"),
        "other keys": view.with_join_key_map(MAPPED),
        "other keys, aliased": view[["tips"]].with_name("dp").with_join_key_map(MAPPED),
    }
    return {name: FeatureService(name=name, features=[view]) for name, view in shown.items()}


@pytest.fixture
def store(made):
    from feast.types import Int64

    store = made.store()
    view = drivers(made.table(ROWS), trips=(Int64, "0"), tips=(Int64, "0"))
    store.apply([driver(), view, *services(view).values()])
    store.materialize(NOON - DAY, NOON)
    return store


def of_ours(store, request):
    from feature_access.server.catalogue import Catalogue
    from feature_access.server.feast_json import answer

    asked = Catalogue(store, {"drivers": terms()}, 10).asked(json.dumps(request).encode())
    return json.loads(answer(asked.entities, asked.names, asked.reader.read(asked.each)))


def of_feast(store, request):
    from feast.feature_server_utils import convert_response_to_dict

    named = request.get("feature_service")
    features = store.get_feature_service(named) if named else request["features"]
    full = request["full_feature_names"]
    response = store.get_online_features(features, request["entities"], full_feature_names=full)
    return convert_response_to_dict(response.proto)


def by_name(answer):
    names = answer["metadata"]["feature_names"]
    return sorted(zip(names, answer["results"], strict=True), key=lambda column: column[0])


@pytest.mark.parametrize("full", [False, True])
def test_every_service_is_answered_as_feast_answers_it(store, full):
    for name in services(store.get_feature_view("drivers")):
        key = "chauffeur" if "other keys" in name else "driver_id"
        entities = {key: [1, 9, 2, 1]}
        request = {"feature_service": name, "entities": entities, "full_feature_names": full}
        ours = of_ours(store, request)
        assert by_name(ours) == by_name(of_feast(store, request)), name
        called = "dp" if "aliased" in name and "as a" not in name else "drivers"
        called = "trips" if "as a" in name else called
        names = ours["metadata"]["feature_names"]
        assert (f"{called}__tips" if full else "tips") == names[-1], name


@pytest.mark.parametrize("full", [False, True])
def test_a_list_of_features_names_the_view_and_never_an_alias(store, full):
    from feast.errors import FeatureViewNotFoundException

    from feature_access.server.catalogue import BadRequestError

    request = {"entities": {"driver_id": [1, 9]}, "full_feature_names": full}
    listed = request | {"features": ["drivers:tips"]}
    assert by_name(of_ours(store, listed)) == by_name(of_feast(store, listed))
    aliased = request | {"features": ["dp:tips"]}
    with pytest.raises(FeatureViewNotFoundException):
        of_feast(store, aliased)
    with pytest.raises(BadRequestError, match="known: drivers") as refused:
        of_ours(store, aliased)
    assert refused.value.status == 404


def test_an_entity_is_named_as_the_service_names_it(store):
    from feature_access.entities.keys import UnusableKeysError
    from feature_access.online_features import OnlineFeatures
    from feature_access.server.catalogue import BadRequestError

    features = OnlineFeatures(store, "other keys", "ML Platform", terms())
    asked = [{"chauffeur": 1}, {"chauffeur": 9}]
    for answer in (
        features.read(asked, at=NOON),
        asyncio.run(features.read_async(asked, at=NOON)),
    ):
        assert answer.named() == [{"trips": 3, "tips": 4}, {"trips": 0, "tips": 0}]
    with pytest.raises(UnusableKeysError, match="names its entities by chauffeur"):
        features.read([{"driver_id": 1}], at=NOON)
    request = {"feature_service": "other keys", "entities": {"driver_id": [1]}}
    with pytest.raises(BadRequestError, match="named by chauffeur and nothing else"):
        of_ours(store, request)


# The server's clock


def server_at(store, now):
    from feature_access.server.application import FeatureServer
    from feature_access.server.authentication import Callers

    record = SimpleNamespace()
    return FeatureServer(store, {"drivers": terms()}, Callers({}), lambda: now, 10, record)


SKEW = timedelta(minutes=1)
AGES = {
    "fresh": (NOON, 200, timedelta(0)),
    "old enough": (NOON + 2 * timedelta(hours=1), 200, timedelta(hours=2)),
    "a little ahead": (NOON - SKEW, 200, -SKEW),
    "ahead": (NOON - SKEW - timedelta(microseconds=1), 503, None),
    "a year ahead": (NOON - 365 * DAY, 503, None),
}


@pytest.mark.parametrize("case", AGES)
def test_a_heartbeat_of_the_future_is_no_health(store, case):
    now, status, age = AGES[case]
    server = server_at(store, now)
    health = asyncio.run(server.health(None))
    assert health.status_code == status
    assert (b"in the future" in health.body) == (status == 503)
    assert list(server._standings()) == [("drivers", age)]


def test_a_field_that_is_not_materialized_is_no_health(store, made):
    from feast.types import Int64

    path = str(made.folder / "rows.parquet")
    store.apply([drivers(path, trips=(Int64, "0"), tips=(Int64, "5"))])
    server = server_at(store, NOON)
    health = asyncio.run(server.health(None))
    assert (health.status_code, b"nothing of tips of drivers" in health.body) == (503, True)
    assert list(server._standings()) == [("drivers", None)]
