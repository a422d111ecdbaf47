"""The feature server, while its processes are killed and the files below it are not whole.

Whatever happens, an answer is right or says why there is none; and once it is over, or the server
is started again, every answer is right.
"""

import os
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

import pytest
import requests
from fault_cases import SERVED_FILES, SERVED_SIGNALS, place_of
from fault_injection import DAMAGE
from fault_jobs import PRESENT, refreshed
from fault_table import PROPERTY, note
from feature_servers import Server, columns, reason, serving
from waiting import eventually, wait_until

pytestmark = pytest.mark.slow

CUSTOMERS = [1, 2, 4, 999]
REQUESTS = 200


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where it lies when it is served, as a registry holds absolute paths, and a copy of it."""
    repository = tmp_path_factory.mktemp("served") / "repository"
    refreshed(repository)
    shutil.copytree(repository, repository.with_name("pristine"), symlinks=True)
    return repository.with_name("pristine")


@pytest.fixture
def repository(pristine: Path) -> Path:
    place = pristine.with_name("repository")
    shutil.rmtree(place)
    return shutil.copytree(pristine, place, symlinks=True)


@pytest.fixture(scope="module")
def right(pristine: Path) -> dict[str, list[Any]]:
    """What a server answers that nothing happens to."""
    with serving(pristine.with_name("repository"), as_of=PRESENT) as server:
        return columns(server.read(CUSTOMERS))


@pytest.fixture
def told(record_property: Callable[[str, object], None]) -> Callable[[str, Counter[str]], None]:
    def told(kind: str, answers: Counter[str]) -> None:
        outcome = " and ".join(sorted(answers))
        record_property(PROPERTY, ["serve", kind, outcome])
        note("serve", kind, outcome)

    return told


def answered(server: Server, right: dict[str, list[Any]]) -> str:
    """How one request ends: rightly, with a reason, or with nobody there."""
    try:
        response = server.read(CUSTOMERS)
    except requests.ConnectionError:
        return "no answer"
    if response.status_code == 200:
        assert columns(response) == right
        return "200"
    status, _ = reason(response)
    assert status == 503
    return "503"


def answered_rightly(server: Server, right: dict[str, list[Any]]) -> None:
    assert answered(server, right) == "200"


@pytest.mark.parametrize(("kind", "number"), SERVED_SIGNALS)
def test_a_server_whose_processes_are_signalled(
    repository: Path,
    right: dict[str, list[Any]],
    told: Callable[[str, Counter[str]], None],
    kind: str,
    number: int,
) -> None:
    drawn = Random(f"{kind} {number}")
    name, _, of_worker = kind.partition(" ")
    which, ends = signal.Signals[name], not of_worker and name != "SIGHUP"
    killed = kind == "SIGKILL"
    with (
        serving(repository, as_of=PRESENT, killed=killed) as server,
        ThreadPoolExecutor(4) as clients,
    ):
        asking = [clients.submit(answered, server, right) for _ in range(REQUESTS)]
        time.sleep(drawn.uniform(0, 0.5))
        process = drawn.choice(sorted(server.workers())) if of_worker else server.process.pid
        os.kill(int(process), which)
        answers = Counter(each.result() for each in asking)
        if ends:
            wait_until(lambda: server.process.poll() is not None)
            wait_until(lambda: answered(server, right) == "no answer")  # its workers, too
        else:
            eventually(lambda: answered_rightly(server, right), AssertionError)
    assert set(answers) <= ({"200", "no answer"} if ends or of_worker else {"200"})
    with serving(repository, as_of=PRESENT) as again:
        assert columns(again.read(CUSTOMERS)) == right
    told(kind, answers)


@pytest.mark.parametrize(("kind", "damage"), SERVED_FILES)
def test_a_server_over_a_file_that_is_not_whole(
    repository: Path,
    pristine: Path,
    right: dict[str, list[Any]],
    told: Callable[[str, Counter[str]], None],
    kind: str,
    damage: str,
) -> None:
    file = place_of(kind, repository)
    with serving(repository, as_of=PRESENT) as server:
        answered_rightly(server, right)
        DAMAGE[damage](file)
        answers = Counter(answered(server, right) for _ in range(30))
        file.unlink(missing_ok=True)
        shutil.copy2(pristine / file.relative_to(repository), file)
        eventually(lambda: answered_rightly(server, right), AssertionError)
    assert set(answers) <= {"200", "503"}
    told(kind, answers)
