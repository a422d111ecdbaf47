"""`scripts/serve.py` as a process of a repository, and one of its consumers."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import copytree
from typing import Any

import requests
from feast_copy import ROOT
from feast_households import PRESENT, SERVICE
from waiting import GIVE_UP_SECONDS, eventually
from warm_start import Started

TOKENS = {
    "ML Platform": "the token of ML Platform",
    "marketing analytics": "the token of Marketing",
    "Ad Sales": "the token of Ad Sales, approved by nobody",
}
READ = "/get-online-features"


@dataclass
class Server:
    """A running server and one of its consumers."""

    address: str
    process: "Started | subprocess.Popen[str]"
    token: str = TOKENS["ML Platform"]
    printed: str = ""
    """All of it, once it has stopped."""

    def post(self, body: Any, path: str = READ, token: str | None = None) -> requests.Response:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {token or self.token}"}
        return requests.post(self.address + path, data, headers=headers, timeout=GIVE_UP_SECONDS)

    def read(self, customers: list[Any], **more: Any) -> requests.Response:
        entities = {"customer_id": customers}
        return self.post({"feature_service": SERVICE, "entities": entities} | more)

    def get(self, path: str) -> requests.Response:
        return requests.get(self.address + path, timeout=GIVE_UP_SECONDS)

    def connection(self) -> socket.socket:
        port = int(self.address.rpartition(":")[2])
        return socket.create_connection(("127.0.0.1", port), timeout=GIVE_UP_SECONDS)

    def workers(self) -> set[str]:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return set(children.read_text().split())


def as_a_person_does(
    words: Sequence[str | Path], cwd: Path, env: Mapping[str, str], files: int | None
) -> "subprocess.Popen[str]":
    """Start a script with nothing loaded before; all else is as with `Started`."""
    assert files is None
    return subprocess.Popen(
        [sys.executable, *words],
        cwd=cwd,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


@contextmanager
def serving(
    repository: Path,
    *options: str,
    as_of: Any = PRESENT,
    files: int | None = None,
    start: "Callable[..., Started | subprocess.Popen[str]]" = Started,
    stop: Callable[[Any], object] = lambda process: process.terminate(),
    killed: bool = False,
) -> Iterator[Server]:
    """`scripts/serve.py` of the repository, up once it answers at all.

    Its processes may have so many `files` open each. Whatever was asked, they stop without a word
    of an error once they are told to `stop`; one that is `killed` cannot say so.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = start(
        [
            *(repository / "scripts" / "serve.py", "--port", str(port)),
            *("--as-of", as_of.isoformat(), *options),
        ],
        repository,
        os.environ | {"PYTHONPATH": str(repository), "FEATURE_STORE_TOKENS": json.dumps(TOKENS)},
        files,
    )
    server = Server(f"http://127.0.0.1:{port}", process)
    try:

        def ask() -> None:
            assert process.poll() is None, process.communicate()[0]
            server.get("/health")

        eventually(ask, requests.ConnectionError)
        yield server
    finally:
        stop(process)
        server.printed = process.communicate(timeout=GIVE_UP_SECONDS)[0]
        for word in ("Traceback", *TOKENS.values()):
            assert word not in server.printed, server.printed
        ended = (process.returncode, server.printed.splitlines()[-1:])
        assert ended == ((-signal.SIGKILL, []) if killed else (0, ["stopped"]))


def press_ctrl_c(process: "Started | subprocess.Popen[str]") -> None:
    """As a terminal does: every process of the group is told."""
    os.killpg(process.pid, signal.SIGINT)


def with_contracts(repository: Path) -> Path:
    copytree(ROOT / "contracts", repository / "contracts")
    return repository


def columns(response: requests.Response) -> dict[str, list[Any]]:
    assert response.status_code == 200, response.text
    answer = response.json()
    names = answer["metadata"]["feature_names"]
    return {n: r["values"] for n, r in zip(names, answer["results"], strict=True)}


def reason(response: requests.Response) -> tuple[int, str]:
    """A refusal: its status, and the one line that says why."""
    assert response.headers["content-type"] == "application/json"
    assert set(response.json()) == {"reason"}, response.text
    told = response.json()["reason"]
    assert told
    assert not re.search(r"\n|Traceback|File \"|\.py\b(?<!refresh\.py)", told)
    return response.status_code, told


def metric(server: Server, name: str) -> float:
    shown = re.search(rf"^{re.escape(name)} (\S+)$", server.get("/metrics").text, re.MULTILINE)
    return float(shown[1]) if shown else 0.0
