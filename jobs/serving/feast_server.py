"""Feast's own feature server, started for as long as a caller needs it."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

_START_SECONDS = 60.0
_FEAST = (sys.executable, "-c", "import feast_start; from feast.cli.cli import cli; cli()")
"""The command `feast`, without the checks of definitions that take most of its start."""


@contextmanager
def feature_server(repository: Path) -> Iterator[str]:
    """`feast serve` of the repository on a free port; gives its address, stops it at the end.

    Raises:
        RuntimeError: it did not come up; the message holds what it printed.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [*_FEAST, "serve", "--host", "127.0.0.1", "--port", str(port), "--no-access-log"],
        cwd=repository,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        _await_health(address, server)
        yield address
    finally:
        server.terminate()
        try:
            server.wait(timeout=10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def online_features(address: str, service: str, entities: dict[str, list[Any]]) -> dict[str, Any]:
    """The server's answer as a column per name, in the order of the request's rows."""
    body = json.dumps({"feature_service": service, "entities": entities}).encode()
    request = Request(  # noqa: S310  (the address is our own server's)
        f"{address}/get-online-features", body, {"Content-Type": "application/json"}
    )
    with urlopen(request, timeout=30) as response:  # noqa: S310
        answer = json.load(response)
    # Their order differs from process to process, so columns go by name.
    names = answer["metadata"]["feature_names"]
    return {n: r["values"] for n, r in zip(names, answer["results"], strict=True)}


def _await_health(address: str, server: "subprocess.Popen[str]") -> None:
    give_up = time.monotonic() + _START_SECONDS
    while time.monotonic() < give_up:
        if server.poll() is not None:
            break
        try:
            with urlopen(f"{address}/health", timeout=1):  # noqa: S310
                return
        except (URLError, OSError):
            time.sleep(0.1)
    server.kill()
    printed = server.communicate()[0]
    raise RuntimeError(f"feast serve did not come up at {address}; it printed:\n{printed}")
