"""A local HTTP server that plays a Slack webhook: it answers, fails, hangs and limits the rate."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

SECRET = "T000-B000-hush"
"""The part of the webhook's address that nobody may see."""

Answer = Callable[["_Handler"], None]


class Channel(ThreadingHTTPServer):
    """It answers each request by the next of its plan, and the last of it for ever."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.plan: list[Answer] = [ok]
        self.asked: list[str] = []
        """The texts of all requests."""
        self.told: list[str] = []
        """The texts of those that were answered well."""
        self.closing = Event()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/services/{SECRET}"

    def handle_error(self, *_: object) -> None:
        """A client that hangs up is no news here."""


class _Handler(BaseHTTPRequestHandler):
    server: Channel

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.text = json.loads(body)["text"]
        plan = self.server.plan
        self.server.asked.append(self.text)
        (plan.pop(0) if len(plan) > 1 else plan[0])(self)

    def do_GET(self) -> None:
        self.answer(200, b"<html>Please log in</html>")

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


def ok(request: _Handler) -> None:
    request.server.told.append(request.text)
    request.answer(200, b"ok")


def status(code: int, **headers: str) -> Answer:
    return lambda request: request.answer(code, b"no", **headers)


def hang(request: _Handler) -> None:
    """Take the request and never answer."""
    request.server.closing.wait(30)


def drip(request: _Handler) -> None:
    """Answer a byte at a time: each wait is short, and the whole never ends."""
    for byte in b"HTTP/1.1 200 OK\r\n" * 60:
        request.wfile.write(bytes([byte]))
        if request.server.closing.wait(0.05):
            return


def hang_up(request: _Handler) -> None:
    request.connection.close()


def to_a_page(request: _Handler) -> None:
    request.answer(302, Location="/log-in")


def garbage(request: _Handler) -> None:
    request.answer(200, b"\xff\xfe\xff")


@contextmanager
def channel() -> Iterator[Channel]:
    """A channel that is there for as long as it is needed."""
    server = Channel()
    thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        server.shutdown()
        server.server_close()
