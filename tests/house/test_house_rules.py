"""The rules of the house that no linter knows."""

import ast
import re
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings
from loopback import OutsideError

ROOT = Path(__file__).parents[2]
ROOMS = (
    "feature_repo",
    "feature_pipeline",
    "feature_access",
    "contract_checks",
    "jobs",
    "scripts",
    "storage",
)
MODULES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
CLOCKS = {"now", "utcnow", "today", "localtime", "gmtime", "ctime"}
TESTS = sorted((ROOT / "tests").rglob("*.py"))
STOPWATCHES = {"time", "perf_counter", "monotonic", "process_time", "thread_time", "getrusage"}
STOPWATCHES |= {f"{name}_ns" for name in STOPWATCHES} | {"timeit", "default_timer"}


def clock_reads(source: str) -> list[str]:
    """Calls in Python source that read the wall clock."""
    return [
        ast.unparse(node)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and (node.func.attr in CLOCKS or ast.unparse(node.func) == "time.time")
    ]


def test_the_clock_is_read_in_one_place() -> None:
    reads = {
        str(path.relative_to(ROOT)): found
        for path in MODULES
        if (found := clock_reads(path.read_text(encoding="utf-8")))
    }
    assert reads == {"contract_checks/clock.py": ["datetime.now(UTC)"]}


def test_a_clock_read_would_be_seen() -> None:
    assert clock_reads("import datetime\nx = datetime.datetime.now()")
    assert clock_reads("import time\nx = time.time()")
    assert not clock_reads("x = as_of - timedelta(days=1)")


def stopwatches(source: str) -> set[str]:
    """What Python source takes of the standard library to measure how long something took."""
    nodes = list(ast.walk(ast.parse(source)))
    attributes = [
        node.attr
        for node in nodes
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id in ("time", "resource", "timeit")
    ]
    imported = [
        alias.name
        for node in nodes
        if isinstance(node, ast.ImportFrom) and node.module in ("time", "resource", "timeit")
        for alias in node.names
    ]
    return STOPWATCHES.intersection(attributes + imported)


def test_no_test_holds_a_clock_to_a_bound() -> None:
    """A busy machine is no fault: attempts and the time limits handed on are counted instead."""
    found = {path.name: used for path in TESTS if (used := stopwatches(path.read_text("utf-8")))}
    assert found == {
        "waiting.py": {"monotonic"},
        "test_contract_time.py": {"process_time"},
        "unhurried.py": {"process_time"},
    }
    assert stopwatches("import time\nx = time.perf_counter()") == {"perf_counter"}
    assert stopwatches("from time import monotonic_ns as m") == {"monotonic_ns"}
    assert stopwatches("import resource\nresource.getrusage(0)") == {"getrusage"}
    assert not stopwatches("import time\ntime.sleep(0.1)")


def test_hypothesis_has_no_deadline_and_it_is_said_once() -> None:
    assert settings().deadline is None
    named = [p.name for p in TESTS if re.search(r"\bdeadline *=", p.read_text("utf-8"))]
    assert named == ["conftest.py"]


@pytest.mark.parametrize("address", ["192.0.2.1", "10.0.0.1", "2001:db8::1"])
def test_tests_talk_to_this_machine_alone(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as outside:
        outside.settimeout(0)
        for connect in (outside.connect, outside.connect_ex):
            with pytest.raises(OutsideError, match=address):
                connect((address, 9))


@pytest.mark.parametrize("name", ["192.0.2.1", "feast.dev"])
@pytest.mark.parametrize("ask", [socket.getaddrinfo, lambda *a: socket.create_connection(a)])
def test_tests_ask_for_no_other_machine(name: str, ask: Callable[..., object]) -> None:
    with pytest.raises(OutsideError, match=name):
        ask(name, 9)


def test_this_machine_is_reached() -> None:
    for host in ("127.0.0.1", "localhost"):
        with socket.create_server(("127.0.0.1", 0)) as server:
            socket.create_connection((host, server.getsockname()[1])).close()


def test_sql_does_not_read_the_clock() -> None:
    statements = sorted(ROOT.glob("feature_*/**/*.sql"))
    assert statements
    words = re.compile(r"\b(now\s*\(|current_(timestamp|date|time)|today\s*\()", re.IGNORECASE)
    assert [path.name for path in statements if words.search(path.read_text("utf-8"))] == []
    assert [path.name for path in MODULES if "current_timestamp" in path.read_text("utf-8")] == []


def test_rooms_are_small() -> None:
    assert len(MODULES) > 30
    lengths = {p.relative_to(ROOT): len(p.read_text("utf-8").splitlines()) for p in MODULES}
    assert {path: lines for path, lines in lengths.items() if lines > 400} == {}


def test_a_number_of_the_contract_stands_in_the_contract() -> None:
    """The pipeline is told its window and lateness; it knows neither."""
    pipeline = [path for path in MODULES if (ROOT / "feature_pipeline") in path.parents]
    assert pipeline
    told = re.compile(r"timedelta\((days=30|hours=24|hours=2)\)|INTERVAL\s+'?30'?\s+DAY")
    sources = [*pipeline, *ROOT.glob("feature_pipeline/**/*.sql")]
    assert [path.name for path in sources if told.search(path.read_text("utf-8"))] == []


def test_a_docstring_names_its_subject() -> None:
    nameless = re.compile(r'"""(Of|The same|Those of|Those on|Such as)\b')
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in MODULES
        for line in path.read_text("utf-8").splitlines()
        if nameless.search(line)
    ]
    assert found == []


def test_no_test_imports_from_a_test() -> None:
    """What two of them need stands in tests/support/."""
    tests = [path for path in TESTS if path.name.startswith("test_")]
    assert len(tests) > 100
    names = "|".join(path.stem for path in tests)
    taken = re.compile(rf"^\s*(from|import) ({names})\b", re.MULTILINE)
    assert [path.name for path in TESTS if taken.search(path.read_text("utf-8"))] == []


def test_nothing_made_is_kept_in_git() -> None:
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert tracked
    made = re.compile(r"(\.parquet|\.db|report\.html|\.egg-info/.*)$")
    assert [path for path in tracked if made.search(path)] == []


@pytest.mark.parametrize(
    ("room", "least"), [("", 80), ("customer_activity", 40), ("schedules", 100)]
)
def test_a_lock_has_hashes_and_no_address(room: str, least: int) -> None:
    lock = (ROOT / room / "requirements.lock").read_text(encoding="utf-8")
    pins = re.findall(r"^[a-z0-9][\w.\-\[\]]*==", lock, flags=re.MULTILINE)
    assert len(pins) > least
    assert lock.count("--hash=sha256:") > len(pins)
    assert re.findall(r"https?://|--(extra-)?index-url|--find-links|file:", lock) == []
