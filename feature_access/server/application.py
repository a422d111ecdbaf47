"""Online features over HTTP: Feast's requests and answers, in the contract's limits.

Of the routes of Feast's server one is served, the online read; it writes, materializes, searches
and chats as well, for anybody. A request's caller is known and approved and the request understood
before the store is asked, once, by a reader that was prepared for those features; the registry is
followed in the background. The columns stand in their order, which Feast varies from process to
process.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from feast import FeatureStore
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from feature_access.entities.keys import UnusableKeysError
from feature_access.errors import OnlineStoreUnavailableError
from feature_access.online_stores.freshness import fresh_within, in_the_future
from feature_access.registry import read_again
from feature_access.server.authentication import Callers
from feature_access.server.catalogue import Asked, BadRequestError, Catalogue
from feature_access.server.feast_json import answer
from feature_access.server.metrics import (
    DEFAULTS,
    REQUESTS,
    ROWS,
    SECONDS,
    Standing,
    exposition,
)
from feature_access.server.read_ledger import ReadLedger, Recorder
from feature_access.terms import Terms
from storage.errors import RefusedError

_READ = "/get-online-features"
_LARGEST_BODY = 256 * 1024
_BODY_SECONDS = 5.0
_REGISTRY_SECONDS = 30.0

_log = logging.getLogger(__name__)


class FeatureServer:
    """The application of one worker."""

    def __init__(
        self,
        store: FeatureStore,
        terms: Mapping[str, Terms],
        callers: Callers,
        clock: Callable[[], datetime],
        most_rows: int,
        record: Recorder,
    ) -> None:
        self._store = store
        self._terms = terms
        self._callers = callers
        self._clock = clock
        self._most_rows = most_rows
        self._catalogue = Catalogue(store, terms, most_rows)
        self._ledger = ReadLedger(clock, record)

    def application(self) -> Starlette:
        """What an ASGI server runs."""
        application = Starlette(
            routes=[
                Route(_READ, self.read, methods=["POST"]),
                Route("/health", self.health),
                Route("/metrics", self.metrics),
            ],
            lifespan=self._lifespan,
            exception_handlers={404: _not_served, 405: _not_served},
        )
        application.router.redirect_slashes = False  # a redirection would tell no reason
        return application

    async def read(self, request: Request) -> Response:
        """The features of the entities asked for, in Feast's own format; errors as one reason."""
        started = time.perf_counter()
        consumer = self._callers.named(request.headers.get("authorization"))
        response = await self._answer(request, consumer)
        status = str(response.status_code)
        SECONDS.labels(status).observe(time.perf_counter() - started)
        REQUESTS.labels(consumer or "", status).inc()
        return response

    async def _answer(self, request: Request, consumer: str | None) -> Response:
        try:
            if consumer is None:
                self._ledger.refused(self._terms, consumer)
                raise BadRequestError(401, "no consumer's bearer token")
            asked = self._catalogue.asked(await _body(request))
            self._refuse_stranger(asked, consumer)
            return await self._read(asked, consumer)
        except BadRequestError as error:
            return _reason(error.status, error.reason)
        except UnusableKeysError as error:
            return _reason(422, str(error))
        except RefusedError as error:
            return _reason(403, str(error))
        except OnlineStoreUnavailableError as error:
            return _reason(503, str(error))
        except ClientDisconnect:
            return _reason(400, "the client went away")
        except Exception:
            _log.exception("an online read failed")
            return _reason(500, "the server failed; its log says why")

    def _refuse_stranger(self, asked: Asked, consumer: str) -> None:
        try:
            asked.terms.refuse_stranger(consumer)
        except RefusedError:
            self._ledger.refused([asked.view], consumer)
            raise

    async def _read(self, asked: Asked, consumer: str) -> Response:
        with fresh_within(asked.terms.max_age, self._clock()) as reading:
            # On the loop, unpacking a large answer would make the others miss their time-outs.
            body = await run_in_threadpool(_answered, asked)
        ROWS.labels(asked.view).inc(asked.rows)
        DEFAULTS.labels(asked.view).inc(reading.unknown)
        self._ledger.answered(asked.view, consumer, asked.rows)
        return Response(body, media_type="application/json")

    async def health(self, request: Request) -> Response:
        """200 while every view that has terms can be read and is fresh enough, else 503."""
        try:
            stands = await run_in_threadpool(self._stand)
        except OnlineStoreUnavailableError as error:
            return _reason(503, str(error))
        if missing := self._terms.keys() - stands.keys():
            return _reason(503, f"not registered: {', '.join(sorted(missing))}; run `feast apply`")
        return JSONResponse({view: until.isoformat() for view, until in stands.items()})

    def _stand(self) -> dict[str, datetime]:
        """How far each view is materialized.

        Raises:
            OnlineStoreUnavailableError: see `HeartbeatOnlineStore`.
        """
        stands = {}
        for view, terms in self._catalogue.views.values():
            with fresh_within(terms.max_age, self._clock()) as reading:
                reading.found(view.name, until := self._heartbeat(view), unknown=0)
            stands[view.name] = until
        return stands

    def _heartbeat(self, view: Any) -> datetime:
        online_store = self._store._get_provider().online_store
        until: datetime = online_store.stands_at(self._store.config, view)
        return until

    async def metrics(self, request: Request) -> Response:
        """Everything counted, and how the store stands now."""
        accepted = request.headers.get("accept")
        text, format_ = await run_in_threadpool(exposition, self._standings, accepted)
        return Response(text, headers={"content-type": format_})

    def _standings(self) -> Iterator[Standing]:
        """The age, by view that has terms, of what the store holds of it, if it answers."""
        now, views = self._clock(), self._catalogue.views
        for name in self._terms:
            try:
                until = self._heartbeat(views[name][0])
            except (KeyError, OnlineStoreUnavailableError):  # or it is not registered
                yield name, None
            else:
                yield name, None if in_the_future(until, now) else now - until

    @asynccontextmanager
    async def _lifespan(self, application: Starlette) -> AsyncIterator[None]:
        beside = [
            asyncio.create_task(self._follow_the_registry()),
            asyncio.create_task(self._ledger.keep()),
        ]
        try:
            yield
        finally:
            for task in beside:
                task.cancel()
            await self._ledger.put_on_record()

    async def _follow_the_registry(self) -> None:
        """Take up a moved pointer or a new version; never while a request waits."""
        while True:
            await asyncio.sleep(_REGISTRY_SECONDS)
            try:
                self._catalogue = await run_in_threadpool(self._looked_up)
            except Exception as error:  # one that holds no secret is its kind
                kind = type(error).__name__
                _log.warning("the registry cannot be read (%s): what was read is served", kind)

    def _looked_up(self) -> Catalogue:
        read_again(self._store)
        return Catalogue(self._store, self._terms, self._most_rows)


def _answered(asked: Asked) -> bytes:
    named = asked.named()
    rows = named.reader.read(named.each)
    return answer(named.entities, named.names, rows)


async def _body(request: Request) -> bytes:
    """The request's body.

    Raises:
        BadRequestError: it is larger than any request has to be, or does not come.
    """
    body = bytearray()
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > _LARGEST_BODY:
                    raise BadRequestError(413, f"the body is over {_LARGEST_BODY:,} bytes")
    except TimeoutError as error:
        raise BadRequestError(408, f"the body took over {_BODY_SECONDS:g} s") from error
    return bytes(body)


def _reason(status: int, reason: str) -> JSONResponse:
    return JSONResponse({"reason": " ".join(reason.split())}, status_code=status)


async def _not_served(request: Request, error: Exception) -> Response:
    return _reason(404, f"POST {_READ}, GET /health and GET /metrics are served, nothing else")
