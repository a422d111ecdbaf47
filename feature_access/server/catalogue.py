"""What a feature server serves: the services and views that have terms, and what a request means.

Feast's server answers a client's fault with 500, and a mistyped entity with somebody's features.
Here a request is understood in full, or refused with its reason.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple

from feast import FeatureStore, FeatureView

from feature_access.entities.keys import EntityKeys
from feature_access.online_stores.view_reader import ViewReader, with_keys_called
from feature_access.terms import Terms
from storage.errors import RefusedError

_MOST_READERS = 256


class BadRequestError(Exception):
    """A request that cannot be answered, for a reason that its sender can mend."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


@dataclass(frozen=True)
class Asked:
    """What a request asks for."""

    view: str
    called: str
    """What the service calls the view."""
    terms: Terms
    reader: ViewReader
    features: tuple[str, ...]
    """In the order of the answer."""
    entities: dict[str, list[Any]]
    full_feature_names: bool
    keys: EntityKeys

    def named(self) -> "Asked":
        """The request with its entities by their keys, in the declared types.

        Raises:
            UnusableKeysError: a value names no entity.
        """
        declared = zip(self.keys.names, self.entities.values(), strict=True)
        columns = self.keys.columns(dict(declared)).values()
        return replace(self, entities=dict(zip(self.entities, columns, strict=True)))

    @property
    def rows(self) -> int:
        """How many entities are asked for."""
        return len(next(iter(self.entities.values())))

    @property
    def each(self) -> list[dict[str, Any]]:
        """The entities one by one."""
        columns = zip(*self.entities.values(), strict=True)
        return [dict(zip(self.entities, row, strict=True)) for row in columns]

    @property
    def names(self) -> list[str]:
        """What the features are called in the answer."""
        prefix = f"{self.called}__" if self.full_feature_names else ""
        return [prefix + feature for feature in self.features]


@dataclass(frozen=True)
class _Served:
    view: FeatureView
    terms: Terms
    features: tuple[str, ...]
    keys: EntityKeys


class _Shown(NamedTuple):
    """A view as a request means it: some of its features, by the names that a service gives."""

    view: str
    features: tuple[str, ...]
    called: str
    keys: Mapping[str, str]
    """What the service calls a join key, where it calls one otherwise."""


class Catalogue:
    """The views with terms, and the services that serve one of them and nothing else."""

    def __init__(self, store: FeatureStore, terms: Mapping[str, Terms], most_rows: int) -> None:
        self._most_rows = most_rows
        self._store = store
        self._reader = lru_cache(_MOST_READERS)(self._opened)
        self._served = {
            view.name: _Served(
                view, terms[view.name], tuple(f.name for f in view.features), EntityKeys(view)
            )
            for view in store.list_batch_feature_views(allow_cache=True)
            if view.name in terms
        }
        self._services: dict[str, _Shown] = {}
        for service in store.list_feature_services():
            projection, *others = service.feature_view_projections or [None]
            if projection and not others and projection.name in self._served:
                names = tuple(field.name for field in projection.features)
                self._services[service.name] = _Shown(
                    projection.name, names, projection.name_to_use(), projection.join_key_map or {}
                )

    @property
    def views(self) -> dict[str, tuple[FeatureView, Terms]]:
        """Every view that is served."""
        return {name: (served.view, served.terms) for name, served in self._served.items()}

    def asked(self, body: bytes) -> Asked:
        """What a request's body asks for.

        Raises:
            BadRequestError: it is no such request, or asks for what is not served.
        """
        request = _object(body)
        shown = self._shown(request)
        served = self._served[shown.view]
        entities = _object_of_lists(request.get("entities"))
        keys = [shown.keys.get(name, name) for name in served.keys.names]
        self._refuse_uneven(keys, entities)
        full = request.get("full_feature_names", False)
        if not isinstance(full, bool):
            raise BadRequestError(400, "full_feature_names is to be true or false")
        ordered = {name: entities[name] for name in keys}
        reader = with_keys_called(shown.keys, self._reader(shown.view, shown.features))
        return Asked(
            *(shown.view, shown.called, served.terms, reader, shown.features, ordered, full),
            served.keys,
        )

    def _opened(self, view: str, features: tuple[str, ...]) -> ViewReader:
        online_store, served = self._store._get_provider().online_store, self._served[view].view
        try:
            reader: ViewReader = online_store.reader(self._store.config, served, features)
        except RefusedError as error:
            raise BadRequestError(404, str(error)) from error
        return reader

    def _shown(self, request: dict[str, Any]) -> _Shown:
        service, features = request.get("feature_service"), request.get("features")
        if (service is None) == (not features):
            raise BadRequestError(400, "name either a feature_service or features")
        if service is not None:
            if not isinstance(service, str) or service not in self._services:
                known = ", ".join(sorted(self._services)) or "none"
                raise BadRequestError(404, f"no such feature_service is served; known: {known}")
            return self._services[service]
        if not isinstance(features, list) or not all(isinstance(f, str) for f in features):
            raise BadRequestError(400, "features is to be a list of texts, view:feature")
        named = [reference.partition(":") for reference in features]
        views = {view for view, _, _ in named}
        names = tuple(name for _, _, name in named)
        (view, *others) = views
        if others or view not in self._served:
            known = ", ".join(sorted(self._served)) or "none"
            raise BadRequestError(404, f"features are of one view that is served; known: {known}")
        if unknown := [name for name in names if name not in self._served[view].features]:
            raise BadRequestError(404, f"{view} has no feature {unknown[0]!r:.60}")
        if len(set(names)) < len(names):
            raise BadRequestError(400, "a feature is named twice")
        return _Shown(view, names, view, {})

    def _refuse_uneven(self, keys: list[str], entities: dict[str, list[Any]]) -> None:
        if set(entities) != set(keys):
            expected = ", ".join(keys)
            raise BadRequestError(422, f"entities are named by {expected} and nothing else")
        lengths = {len(column) for column in entities.values()}
        if len(lengths) != 1:
            raise BadRequestError(422, "the lists of entities are not of one length")
        (rows,) = lengths
        if rows > self._most_rows:
            raise BadRequestError(413, f"{rows:,} entities; at most {self._most_rows:,} a request")


def _object(body: bytes) -> dict[str, Any]:
    try:
        request = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadRequestError(400, "the body is no JSON") from error
    if not isinstance(request, dict):
        raise BadRequestError(400, "the body is no JSON object")
    return request


def _object_of_lists(entities: object) -> dict[str, list[Any]]:
    if not isinstance(entities, dict) or not all(isinstance(v, list) for v in entities.values()):
        raise BadRequestError(400, "entities is to be an object of lists, one for each join key")
    return entities
