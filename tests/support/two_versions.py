"""The project in which the demonstration promoted v1, with v2 beside it, and the commands there."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from conftest import its_own
from feast_copy import run
from next_version import NEXT_DOCUMENT, V2, declare, edit, write_document

from contract_checks.operations.log import OperationsLog, Record, address_of

RELEASE = datetime(2017, 12, 1, 0, 20, tzinfo=UTC)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
POINTER = "customer_profile"
UNHURRIED = "9000ms"
UNHURRIED_START = Path(__file__).with_name("unhurried.py")
TRAINING_SET = Path("data", "training_set_of_v2.parquet")
ROLES = {"data-owner": "J. Smith", "ml-owner": "A. Johnson", "platform": "Platform Lead"}

Done = CompletedProcess[str]


class Copy:
    """The project, its commands, and what its online store answers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def feast(self, *words: str) -> Done:
        return self._run("feast", *words)

    def apply(self) -> None:
        done = self.feast("apply")
        assert done.returncode == 0, done.stdout + done.stderr

    def script(self, name: str, as_of: datetime, *arguments: str | Path) -> Done:
        words = [f"scripts/{name}.py", "--as-of", as_of.isoformat(), *arguments]
        return self._run("python", *([UNHURRIED_START] if name == "promote" else []), *words)

    def checks(self, *arguments: str | Path) -> Done:
        return self._run("contract-checks", *arguments)

    def check(self, as_of: datetime, *documents: Path, select: tuple[str, ...] = ()) -> Done:
        chosen = [word for clause in select for word in ("--select", clause)]
        at = ("--as-of", as_of.isoformat(), "--format", "json")
        return self.checks("check", *documents, *at, *chosen)

    def sign(self, document: Path) -> None:
        for role, name in ROLES.items():
            whose = ("--as", role, "--name", name, "--date", "2026-02-01")
            done = self.checks("sign", document, *whose)
            assert done.returncode == 0, done.stderr

    def train(self, as_of: datetime, customers: list[int]) -> Done:
        """Build a training set of v2, before any pointer leads to it."""
        labels = {"customer_id": customers, "event_timestamp": [as_of] * len(customers)}
        pq.write_table(pa.table(labels), self.folder / "data" / "labels.parquet")
        whose = ("--contract", NEXT_DOCUMENT, "--service", V2, "--consumer", "ML Platform")
        return self.script("build_training_set", as_of, "data/labels.parquet", TRAINING_SET, *whose)

    def records(self) -> tuple[Record, ...]:
        always = datetime.max.replace(tzinfo=UTC)
        return OperationsLog(address_of(self.folder, {})).records(always)

    def serves(self, service: str, customers: list[int]) -> dict[str, list[Any]]:
        """What plain Feast answers to a reader of the service, by feature."""
        from feature_access.registry import open_store

        store = open_store(self.folder)
        rows = [{"customer_id": customer} for customer in customers]
        answer = store.get_online_features(store.get_feature_service(service), rows).to_dict()
        assert answer.pop("customer_id") == customers
        return dict(answer)

    def _run(self, *words: str | Path) -> Done:
        env = its_own(self.folder) | {"FEATURE_STORE_HASH_KEY": "sixteen or more characters"}
        return run(self.folder, *map(str, words), env=env)


def ready_to_promote(kept: Path, folder: Path) -> Copy:
    """v2 is written, signed, registered, refreshed and trained on; the pointer still serves v1.

    It promises no speed that a busy machine might not keep: others test that.
    """
    copy = Copy(folder)
    shutil.copytree(kept, folder)
    write_document(folder)
    edit(folder / NEXT_DOCUMENT, {"latency ≤ 50ms": f"latency ≤ {UNHURRIED}"})
    copy.sign(NEXT_DOCUMENT)
    declare(folder)
    copy.apply()
    refreshed = copy.script("refresh", RELEASE)
    assert refreshed.returncode == 0, refreshed.stderr
    trained = copy.train(RELEASE, [1, 2, 3, 4, 5])
    assert trained.returncode == 0, trained.stderr
    return copy
