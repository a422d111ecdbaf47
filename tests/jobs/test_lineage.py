"""Lineage: what jobs read and wrote reaches a collector, and no collector holds a job up."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any
from urllib.parse import urlsplit

import pandas as pd
import pytest
from feast_copy import HISTORY, ROOT, apply, copy_of_the_whole_project, run
from oracle import Event as Activity
from oracle import write_events
from waiting import GIVE_UP_SECONDS
from warm_start import run_warm

from contract_checks.language.loader import load
from jobs.reporting import lineage
from jobs.repository import CONTRACT

VIEW = "customer_profile_v1"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
CUSTOMER = 8_675_309
SECRET = "the key of the collector"
EVENTS = HISTORY.with_name("customer_events.parquet")

Answer = Callable[["_Handler"], None]


class Collector(ThreadingHTTPServer):
    """An HTTP collector that keeps what it is told."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, answer: Answer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = answer
        self.bodies: list[str] = []
        self.keys: set[str | None] = set()
        self.closing = Event()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, *_: object) -> None:
        """A client that hangs up is no news here."""


class _Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        self.server.bodies.append(
            self.rfile.read(int(self.headers["Content-Length"])).decode("utf-8")
        )
        self.server.keys.add(self.headers["Authorization"])
        self.server.answer(self)

    def respond(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Quiet."""


def created(request: _Handler) -> None:
    request.respond(201)


def failing(request: _Handler) -> None:
    request.respond(500)


def forbidden(request: _Handler) -> None:
    request.respond(403)


def hang(request: _Handler) -> None:
    request.server.closing.wait(60)


def drip(request: _Handler) -> None:
    """A byte at a time: no single wait is long, and the whole never ends."""
    while not request.server.closing.wait(0.2):
        request.wfile.write(b"H")


@pytest.fixture
def collecting() -> Iterator[Callable[[Answer], Collector]]:
    servers: list[Collector] = []

    def start(answer: Answer) -> Collector:
        servers.append(Collector(answer))
        Thread(target=servers[-1].serve_forever, args=(0.02,), daemon=True).start()
        return servers[-1]

    yield start
    for server in servers:
        server.closing.set()
        server.shutdown()
        server.server_close()


JOB = f"""
import sys
import threading
from datetime import UTC, datetime
from contract_checks.language.loader import load
from jobs.reporting import lineage, recording
from jobs.repository import CONTRACT

waits, wait_for = [], threading.Condition.wait_for

def noting(changed, settled, seconds):
    waits.append(seconds)
    return wait_for(changed, settled, float(sys.argv[1]))

threading.Condition.wait_for = noting
contract, at = load(CONTRACT), datetime(2026, 3, 1, 12, tzinfo=UTC)
flows = {{
    "refresh": lineage.refresh_flow(contract, "{VIEW}"),
    "promotion": lineage.pointer_flow(contract, "{VIEW}"),
    "rollback": None,
}}
try:
    with recording.recorded(sys.argv[2], "{VIEW}", at, flows[sys.argv[2]]) as figures:
        figures |= {{"new_rows": 7, "customer": {CUSTOMER}}}
        if len(sys.argv) > 3:
            raise RuntimeError("customer {CUSTOMER} is not to be told of")
except RuntimeError:
    pass
print("openlineage" in sys.modules, *waits)
"""


def job(
    tmp_path: Path, *arguments: str, patience: int = GIVE_UP_SECONDS, **environment: str
) -> "subprocess.CompletedProcess[str]":
    """A job that is recorded, in a process of its own: one collector's failure is remembered.

    It prints whether the client was loaded, and how long it would have waited for the collector;
    it waits for so many seconds of patience instead.
    """
    kept = {n: v for n, v in os.environ.items() if not n.startswith("OPENLINEAGE")}
    log = f"sqlite:///{tmp_path / 'operations.db'}"
    script = tmp_path / "job.py"
    script.write_text(JOB, encoding="utf-8")
    env = kept | {"FEATURE_STORE_OPERATIONS_LOG": log, "PYTHONPATH": str(ROOT)} | environment
    done = run_warm([script, str(patience), *arguments], tmp_path, env)
    done.check_returncode()
    return done


def names(datasets: list[dict[str, Any]]) -> list[str]:
    return [dataset["name"] for dataset in datasets]


def test_a_run_is_told_from_start_to_end_by_the_contracts_names(tmp_path, collecting):
    collector = collecting(created)
    done = job(tmp_path, "refresh", OPENLINEAGE_URL=collector.address, OPENLINEAGE_API_KEY=SECRET)
    assert done.stderr == ""
    start, end = map(json.loads, collector.bodies)
    assert [e["eventType"] for e in (start, end)] == ["START", "COMPLETE"]
    assert start["run"]["runId"] == end["run"]["runId"]
    assert end["job"] | {"facets": {}} == {
        "namespace": "feature_store",
        "name": f"refresh.{VIEW}",
        "facets": {},
    }
    assert end["run"]["facets"]["nominalTime"]["nominalStartTime"] == NOON.isoformat()
    assert names(start["inputs"]) == names(end["inputs"]) == ["data_warehouse.customer_events"]
    assert names(end["outputs"]) == [
        "data_warehouse.customer_features_offline",
        "feature_store.customer_profile_v1",
    ]
    assert end["outputs"][0]["outputFacets"]["outputStatistics"]["rowCount"] == 7
    assert "outputStatistics" not in end["outputs"][1].get("outputFacets", {})
    assert collector.keys == {f"Bearer {SECRET}"}
    assert urlsplit(start["producer"]).scheme and urlsplit(end["producer"]).path
    told = "".join(collector.bodies)
    assert SECRET not in told
    assert str(CUSTOMER) not in told


def test_a_run_that_fails_tells_the_kind_of_the_error_and_no_more(tmp_path, collecting):
    collector = collecting(created)
    job(tmp_path, "refresh", "fail", OPENLINEAGE_URL=collector.address)
    end = json.loads(collector.bodies[-1])
    assert (end["eventType"], end["outputs"]) == ("FAIL", [])
    assert end["run"]["facets"]["errorMessage"]["message"] == "RuntimeError"
    assert str(CUSTOMER) not in "".join(collector.bodies)


def test_a_promotion_makes_the_bare_name_of_the_version(tmp_path):
    file = tmp_path / "lineage.ndjson"
    job(
        tmp_path,
        "promotion",
        OPENLINEAGE__TRANSPORT__TYPE="file",
        OPENLINEAGE__TRANSPORT__LOG_FILE_PATH=str(file),
        OPENLINEAGE__TRANSPORT__APPEND="true",
    )
    _, end = map(json.loads, file.read_text("utf-8").splitlines())
    assert names(end["inputs"]) == ["feature_store.customer_profile_v1"]
    assert names(end["outputs"]) == ["feature_store.customer_profile"]


def test_without_a_collector_nothing_is_loaded_or_told(tmp_path, collecting):
    assert job(tmp_path, "refresh").stdout.split() == ["False"]
    collector = collecting(created)
    job(tmp_path, "rollback", OPENLINEAGE_URL=collector.address)  # has no flow here
    assert collector.bodies == []


@pytest.mark.parametrize("answer", [hang, drip, failing, forbidden, None])
def test_a_collector_that_does_not_answer_neither_fails_nor_holds_up(tmp_path, collecting, answer):
    collector = collecting(answer or created)
    if answer is None:  # nobody listens there any more
        collector.shutdown()
        collector.server_close()
    address = collector.address.replace("//", f"//someone:{SECRET.replace(' ', '-')}@")
    done = job(tmp_path, "refresh", patience=1, OPENLINEAGE_URL=address, OPENLINEAGE_API_KEY=SECRET)
    assert done.stdout.split() == ["True", "2.0"]  # the client alone would try for minutes
    assert done.stderr.count("lineage did not arrive") == 1
    assert len(done.stderr.splitlines()) == 1
    assert SECRET not in done.stderr
    assert SECRET.replace(" ", "-") not in done.stderr


def test_names_are_those_of_the_contract():
    contract = load(CONTRACT)
    assert lineage.upstream_flow(contract).writes == ("data_warehouse.customer_events",)
    assert lineage.refresh_flow(contract, "customer_profile_v2").writes == (
        "data_warehouse.customer_features_offline",
        "feature_store.customer_profile_v2",
    )


def test_refresh_and_training_as_a_person_runs_them(tmp_path: Path) -> None:
    repository = copy_of_the_whole_project(tmp_path / "copy")
    at = NOON.replace(hour=1)
    activity = [Activity(CUSTOMER, at, at.replace(hour=2), 1, 10, 1)]
    write_events(activity, repository / EVENTS)
    apply(repository)
    file = tmp_path / "lineage.ndjson"
    env = os.environ | {
        "PYTHONPATH": str(repository),
        "FEATURE_STORE_HASH_KEY": "sixteen or more characters",
        "OPENLINEAGE__TRANSPORT__TYPE": "file",
        "OPENLINEAGE__TRANSPORT__LOG_FILE_PATH": str(file),
        "OPENLINEAGE__TRANSPORT__APPEND": "true",
    }
    moment = ("--as-of", NOON.isoformat())
    labels = tmp_path / f"labels_{CUSTOMER}.parquet"
    pd.DataFrame({"customer_id": [CUSTOMER], "event_timestamp": [NOON]}).to_parquet(labels)
    target = tmp_path / f"set_{CUSTOMER}.parquet"
    train = ("scripts/build_training_set.py", *moment, "--consumer", "ML Platform", labels, target)
    for command in (("scripts/refresh.py", *moment), train):
        done = run(repository, "python", *map(str, command), env=env)
        assert "lineage did not arrive" not in done.stderr, done.stderr
        assert target.exists() or command is not train, done.stderr
    ends = [json.loads(e) for e in file.read_text("utf-8").splitlines() if "COMPLETE" in e]
    assert [end["job"]["name"] for end in ends] == [f"refresh.{VIEW}", f"training_set.{VIEW}"]
    assert names(ends[1]["inputs"]) == ["data_warehouse.customer_features_offline"]
    (made,) = names(ends[1]["outputs"])
    assert made.removeprefix("training_set/") in target.with_name(
        f"{target.stem}.receipt.json"
    ).read_text("utf-8")
    assert str(CUSTOMER) not in file.read_text("utf-8")
