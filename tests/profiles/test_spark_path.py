"""The demonstration's whole path on the Spark profile, each job as a person runs it."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from shutil import copytree
from typing import NamedTuple

import pytest
from conftest import its_own
from feast_copy import ROOT, copy_of_the_whole_project
from feast_engines import asked_for
from redis_server import RedisServer
from two_versions import UNHURRIED_START
from warm_start import run_warm

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

BEFORE, PRESENT = "2017-11-30T23:00Z", "2017-12-01T00:00Z"
LATER = "2018-03-01T00:00Z"


class Jobs(NamedTuple):
    repository: Path
    staging: Path
    environment: dict[str, str]

    def run(self, command: str, *arguments: str, code: int = 0) -> str:
        program = Path(sys.executable).with_name(command)
        words = arguments if command == "python" else (program, *arguments)
        done = run_warm(words, self.repository, self.environment, timeout=600)
        said = done.stdout + done.stderr
        assert done.returncode == code, said
        return said

    def script(self, name: str, *arguments: str, code: int = 0) -> str:
        start = [str(UNHURRIED_START)] if name == "promote" else []
        return self.run("python", *start, f"scripts/{name}.py", *arguments, code=code)


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    """Applied, with nothing there yet."""
    repository = copy_of_the_whole_project(tmp_path / "repository")
    copytree(ROOT / "profiles", repository / "profiles")
    (tmp_path / "redis").mkdir(), (tmp_path / "staging").mkdir()
    redis = RedisServer(tmp_path / "redis")
    held = its_own(repository) | asked_for(tmp_path / "staging", redis)
    jobs = Jobs(
        repository,
        tmp_path / "staging",
        held | {"FEATURE_STORE_HASH_KEY": "sixteen or more characters"},
    )
    jobs.run("feast", "apply")
    yield jobs
    redis.kill()


def entities(jobs: Jobs) -> str:
    file = jobs.repository / "data" / "entities.csv"
    rows = [f"{customer},2017-11-{customer % 28 + 1:02}T12:00:00Z" for customer in range(1, 200)]
    file.write_text("\n".join(["customer_id,event_timestamp", *rows]) + "\n")
    return str(file)


def test_from_events_to_a_contract_of_which_every_clause_is_kept_to_letting_go(jobs: Jobs) -> None:
    jobs.script("ingest", "--as-of", BEFORE)
    assert "events need no loading" in jobs.script("load_events", code=2)
    assert "237,351 rows added" in jobs.script("refresh", "--as-of", BEFORE)
    built = ("data/training_set.parquet", "--consumer", "ML Platform", "--as-of", BEFORE)
    assert "180 of them known" in jobs.script("build_training_set", entities(jobs), *built)
    assert "customer_profile_v1 is promoted" in jobs.script("promote", "--as-of", BEFORE)
    told = jobs.run("contract-checks", "verify", "data/receipts/customer_profile_v1.json")
    assert "14 of 14 items as they were" in told

    assert "54 rows added" in jobs.script("refresh", "--as-of", PRESENT)
    checked = jobs.run("contract-checks", "check", "--as-of", PRESENT)
    assert "71 clauses checked, 71 kept, 0 broken, 0 unknown" in checked
    assert "orders_30d" in jobs.script("look_up", "1")
    assert len(re.findall(r"_30d .* kept", jobs.script("drift", "--as-of", PRESENT))) == 4

    assert "something left in 0" in jobs.script("erase", "1", "--as-of", PRESENT)
    jobs.script("ingest", "--as-of", BEFORE)  # which still delivers them
    after = jobs.script("refresh", "--as-of", "2017-12-01T02:00Z")
    assert "events of erased customers were delivered and left out" in after
    assert ", 0 differ" in jobs.script("backfill", "--as-of", "2017-12-01T02:00Z")
    jobs.script("retain", "--as-of", LATER)
    assert "source silent" in jobs.script("refresh", "--as-of", LATER, code=1)
    select = ("contract-checks", "check", "--as-of", LATER, "--select", "§9 retention policy")
    assert "1 clauses checked, 1 kept, 0 broken" in jobs.run(*select)
    assert list(jobs.staging.iterdir()) == []
