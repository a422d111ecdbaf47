"""What a feature server serves: the services of views with terms, as the registry has them now."""

import asyncio
import json
from datetime import timedelta

import pytest
from feast_households import FEATURES, PRESENT, SERVICE, VIEW

pytest_plugins = ["feast_repository"]

NEXT = "customer_profile_v2"
ONE = {"customer_id": [1]}


def terms(*views):
    from feature_access.terms import Terms

    return {view: Terms(view, (f"reader of {view}",), timedelta(hours=2)) for view in views}


def catalogue(store, *views):
    from feature_access.server.catalogue import Catalogue

    return Catalogue(store, terms(*views), most_rows=10)


def promote(store) -> None:
    """The next version, with fewer features, and the pointer moved to it."""
    from feast import FeatureService, FeatureView

    first = store.get_feature_view(VIEW)
    second = FeatureView(
        name=NEXT,
        entities=[store.get_entity(name) for name in first.entities],
        ttl=first.ttl,
        schema=first.features[1:],
        source=first.batch_source,
    )
    both = FeatureService(name="both", features=[first[["orders_30d"]], second])
    store.apply([second, both])
    moved = FeatureService(name=SERVICE, features=[second])
    store.registry.apply_feature_service(moved, project=store.project)
    store.refresh_registry()


def test_a_service_is_served_under_the_terms_of_its_view(fresh_store):
    promote(fresh_store)
    served = catalogue(fresh_store, VIEW, NEXT)
    assert set(served.views) == {VIEW, NEXT}
    pinned = served.asked(json.dumps({"feature_service": VIEW, "entities": ONE}).encode())
    moved = served.asked(json.dumps({"feature_service": SERVICE, "entities": ONE}).encode())
    assert (pinned.terms.consumers, pinned.features) == ((f"reader of {VIEW}",), FEATURES)
    assert (moved.terms.consumers, moved.features) == ((f"reader of {NEXT}",), FEATURES[1:])
    assert moved.view == NEXT


@pytest.mark.parametrize(
    "request_",
    [
        {"feature_service": SERVICE},
        {"feature_service": "both"},
        {"features": [f"{NEXT}:orders_30d"]},
        {"features": [f"{VIEW}:orders_30d", f"{NEXT}:orders_30d"]},
    ],
)
def test_what_has_no_terms_or_terms_of_two_is_not_served(fresh_store, request_):
    from feature_access.server.catalogue import BadRequestError

    promote(fresh_store)
    with pytest.raises(BadRequestError) as refused:
        catalogue(fresh_store, VIEW).asked(json.dumps(request_ | {"entities": ONE}).encode())
    assert refused.value.status == 404


def test_the_server_follows_a_moved_pointer_and_outlasts_a_registry_that_fails(
    fresh, fresh_store, monkeypatch
):
    from feature_access.registry import open_store
    from feature_access.server import application
    from feature_access.server.authentication import Callers

    monkeypatch.setattr(application, "_REGISTRY_SECONDS", 0.05)
    serving = application.FeatureServer(
        open_store(fresh, registry_expires=False),
        terms(VIEW, NEXT),
        Callers({}),
        lambda: PRESENT,
        most_rows=10,
        record=lambda reads, at: None,
    )
    body = json.dumps({"feature_service": SERVICE, "entities": ONE}).encode()
    refresh, failures = serving._store.refresh_registry, []

    def failing_twice() -> None:
        if len(failures) < 2:
            failures.append(1)
            raise OSError("no registry")
        refresh()

    monkeypatch.setattr(serving._store, "refresh_registry", failing_twice)

    async def follow() -> str:
        following = asyncio.create_task(serving._follow_the_registry())
        while serving._catalogue.asked(body).view != NEXT:
            await asyncio.sleep(0.05)
        following.cancel()
        return serving._catalogue.asked(body).view

    assert serving._catalogue.asked(body).view == VIEW
    promote(fresh_store)
    assert asyncio.run(follow()) == NEXT
    assert len(failures) == 2
