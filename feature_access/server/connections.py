"""Connections of the feature server, none of which may hold up the others.

Uvicorn waits for ever for a request's head, which may grow without end, and for a client to take
its answer. Its `limit_concurrency` counts connections that ask for nothing, and turns away those
that ask; gunicorn's limits of a request are for its own parsers. So here:

- a head is to come within 5 s, and is of 16 KiB and 100 headers at most;
- an answer is to be taken within 10 s;
- of more connections than a worker holds, those go that have waited longest without asking.
"""

import asyncio
import json
import resource
from collections.abc import Callable
from functools import cache
from typing import Any, ClassVar

from starlette.responses import JSONResponse
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

_HEAD_SECONDS = 5.0
_ANSWER_SECONDS = 10.0
_LARGEST_HEAD = 16 * 1024  # bytes
_MOST_HEADERS = 100
_MOST_CONNECTIONS = 4_096
_OTHER_FILES = 128
"""Files that a worker may need besides: stores, registry, log, modules."""

_TOO_LARGE = f"the request's head is over {_LARGEST_HEAD:,} bytes or {_MOST_HEADERS} headers"
_TOO_SLOW = f"the request's head took over {_HEAD_SECONDS:g} s"
_TOO_MANY = "the server holds as many connections as it can: try again"
_NO_HTTP = "no HTTP request"


@cache
def most_connections() -> int:
    """How many a worker holds.

    As many again may be waiting to be accepted, all at once, and each takes a file.
    """
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return _MOST_CONNECTIONS
    return max(1, min(_MOST_CONNECTIONS, (files - _OTHER_FILES) // 2))


class GuardedConnection(HttpToolsProtocol):
    """One of uvicorn's, which keeps to those limits."""

    _asking_nothing: ClassVar[dict["GuardedConnection", None]] = {}
    """This process's connections that wait for a request, the longest waiting first."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._in_head = False
        self._held = 0
        """Bytes since the parser last gave something; it keeps what a head begins with."""
        self._awaiting_head: asyncio.TimerHandle | None = None
        self._awaiting_reader: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See asyncio.Protocol."""
        super().connection_made(_Transport(transport, self._await_the_reader))  # type: ignore[arg-type]
        self._asking_nothing[self] = None
        self._await_the_head()
        if len(self.connections) > most_connections():
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._asking_nothing.pop(self, None)
        self._stop_awaiting_the_head()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        self._held += len(data)
        super().data_received(data)
        if self._held > _LARGEST_HEAD:
            self._turn_away(431, _TOO_LARGE)
        elif self in self._asking_nothing and self._awaiting_head is None:
            self._await_the_head()

    def on_message_begin(self) -> None:
        """See httptools."""
        self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """See httptools."""
        self._in_head, self._held = False, 0
        self._asking_nothing.pop(self, None)
        self._stop_awaiting_the_head()
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > _LARGEST_HEAD or len(self.headers) > _MOST_HEADERS:
            self.app = _refusal(431, _TOO_LARGE)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """See httptools."""
        self._held = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """See httptools."""
        self._held = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """See uvicorn, which gives the next request its time from now on."""
        super().on_response_complete()
        if self.cycle.response_complete and not self.transport.is_closing():
            self._asking_nothing[self] = None

    def pause_writing(self) -> None:
        """See asyncio.Protocol."""
        super().pause_writing()
        self._await_the_reader()

    def resume_writing(self) -> None:
        """See asyncio.Protocol."""
        super().resume_writing()
        if self._awaiting_reader is not None:
            self._awaiting_reader.cancel()
            self._awaiting_reader = None

    def send_400_response(self, msg: str) -> None:
        """See uvicorn; here too, one reason."""
        self._turn_away(400, _NO_HTTP)

    def _unsupported_upgrade_warning(self) -> None:
        """Nobody is to fill the log by asking: a request to upgrade is answered as any other."""

    def _make_room(self) -> None:
        longest = next(iter(self._asking_nothing))
        if longest is self:  # all the others are being answered
            self.app = _refusal(503, _TOO_MANY)
        else:
            longest._turn_away(503, _TOO_MANY)

    def _await_the_head(self) -> None:
        self._awaiting_head = self.loop.call_later(_HEAD_SECONDS, self._turn_away, 408, _TOO_SLOW)

    def _stop_awaiting_the_head(self) -> None:
        if self._awaiting_head is not None:
            self._awaiting_head.cancel()
            self._awaiting_head = None

    def _await_the_reader(self) -> None:
        """Some of an answer has not been taken, or may not have been when the connection ends."""
        if self._awaiting_reader is None:
            self._awaiting_reader = self.loop.call_later(_ANSWER_SECONDS, self.transport.abort)

    def _turn_away(self, status: int, reason: str) -> None:
        """Shut the connection, with a word where one is waited for."""
        answering = self.cycle is not None and not self.cycle.response_complete
        if not self.transport.is_closing() and not answering and (self._in_head or status == 400):
            body = json.dumps({"reason": reason}).encode()
            self.transport.write(
                STATUS_LINE[status] + b"content-type: application/json\r\n"
                b"content-length: %d\r\nconnection: close\r\n\r\n" % len(body) + body
            )
        self._asking_nothing.pop(self, None)
        self._stop_awaiting_the_head()
        self.transport.close()


class _Transport:
    """A transport that may be written to when its client has gone, as asyncio's own may.

    Uvloop's raises an error between a reset and `connection_lost`, which uvicorn takes for one of
    the application. Either's `close` waits for the client to take what was written before.
    """

    def __init__(self, transport: asyncio.Transport, closes: Callable[[], None]) -> None:
        self._transport = transport
        self._closes = closes

    def write(self, data: bytes) -> None:
        """Send, or forget what nobody waits for."""
        if not self._transport.is_closing():
            self._transport.write(data)

    def close(self) -> None:
        """See asyncio.Transport."""
        if not self._transport.is_closing():
            self._closes()
            self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


def _refusal(status: int, reason: str) -> Any:
    return JSONResponse({"reason": reason}, status, headers={"connection": "close"})
