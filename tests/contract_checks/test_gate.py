"""`contract-checks gate` and `verify`: a receipt for what is kept, and for that alone."""

import hashlib
import json
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from kept_evidence import AS_OF, TESTED_CODE, VIEW, gathered, kept_signatures, kept_view, serving
from tries import WHOLE, tries
from typer.testing import CliRunner

from contract_checks.cli import app
from contract_checks.commands.gate import gate
from contract_checks.evidence.declared import Registry
from contract_checks.evidence.evidence import Evidence
from contract_checks.evidence.facts import MissingEvidence
from contract_checks.evidence.operations import read_operations
from contract_checks.findings import Outcome
from contract_checks.language.contract import Contract
from contract_checks.language.loader import load
from contract_checks.language.signing import as_text, signatures_of
from contract_checks.operations.log import OperationsLog, Record, address_of
from contract_checks.receipts.receipt import NoReceipt
from contract_checks.receipts.verification import Item, verify

ROOT = Path(__file__).parents[2]
DATA = "data/data_warehouse"
RECEIPT = f"data/receipts/{VIEW}.json"
REPORT = f"data/receipts/{VIEW}.report.json"
NAMED = {  # by path from the repository: what it is in the receipt
    f"contracts/{VIEW}.md": "contract",
    f"contracts/{VIEW}.signatures.json": "signatures",
    f"contracts/{VIEW}.probes.toml": "probes",
    f"{DATA}/customer_features_offline.parquet": "data",
    f"{DATA}/customer_events.parquet": "data",
    f"{DATA}/customer_events_quarantine.parquet": "data",
    REPORT: "report",
}
NO_ERASURES: dict[str, Any] = {"view": lambda view: replace(view, owner="Nobody")}


class Small:
    """A repository of a few small files, and what Feast would say of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.document = folder / "contracts" / f"{VIEW}.md"
        self.log = OperationsLog(address_of(folder, {}))
        self.changes: dict[str, Any] = {}
        self.while_judged: Callable[[], object] = lambda: None
        self.registry: Callable[[Registry], Registry] = lambda registry: registry

    def gather(self, contract: Contract, repository: Path, as_of: datetime) -> Evidence:
        """What the contract was kept on, after the changes; the operations are those on record."""
        assert (repository, as_of) == (self.folder, AS_OF)
        scratch = self.folder / "scratch"
        scratch.mkdir(exist_ok=True)
        evidence = gathered(contract, scratch, **self.changes)
        operations = read_operations(repository, as_of)
        self.while_judged()
        return replace(evidence, gathered_operations=operations)

    def read_registry(self, repository: Path) -> Registry:
        view = kept_view(repository.resolve() / DATA / "customer_features_offline.parquet")
        entities = {entity.name: entity for entity in view.entities}
        return self.registry(
            Registry("feature_store", entities, {VIEW: view}, {VIEW: serving(VIEW)})
        )

    def stands_in(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """For the real evidence, and for Feast."""
        monkeypatch.setattr("contract_checks.evidence.gather.gather", self.gather)
        monkeypatch.setattr("contract_checks.evidence.registry.read_registry", self.read_registry)
        monkeypatch.delenv("FEATURE_STORE_OPERATIONS_LOG", raising=False)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one, judged never."""
    folder = tmp_path_factory.mktemp("made") / "repository"
    warehouse, contracts = folder / DATA, folder / "contracts"
    warehouse.mkdir(parents=True)
    contracts.mkdir()
    for file in (ROOT / "contracts").glob(f"{VIEW}.*"):
        shutil.copy(file, contracts)
    contract = load(contracts / f"{VIEW}.md")
    signatures_of(contract).write_text(as_text(kept_signatures(contract)), encoding="utf-8")
    evidence = gathered(contract, warehouse)
    (folder / "a.sql").write_bytes(TESTED_CODE)
    (warehouse / "customer_events_quarantine.parquet").write_bytes(b"three late events")
    OperationsLog(address_of(folder, {})).append(*evidence.operations.records)
    return folder


@pytest.fixture(scope="module")
def gated(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one that passed the gate."""
    small = Small(shutil.copytree(made, tmp_path_factory.mktemp("gated") / "repository"))
    with pytest.MonkeyPatch.context() as monkeypatch:
        small.stands_in(monkeypatch)
        done = run_gate(small)
    assert done.exit_code == 0, done.output
    return small.folder


@pytest.fixture
def small(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Small:
    copy = Small(shutil.copytree(made, tmp_path / "repository"))
    copy.stands_in(monkeypatch)
    return copy


@pytest.fixture
def passed(gated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Small:
    copy = Small(shutil.copytree(gated, tmp_path / "repository"))
    copy.stands_in(monkeypatch)
    return copy


def run_gate(small: Small, *more: str) -> Result:
    where = [str(small.document), "--repository", str(small.folder), "--as-of", AS_OF.isoformat()]
    return CliRunner().invoke(app, ["gate", *where, *more])


def run_verify(repository: Path, receipt: str = RECEIPT) -> Result:
    arguments = [str(repository / receipt), "--repository", str(repository)]
    return CliRunner().invoke(app, ["verify", *arguments])


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def canonical(content: Any) -> str:
    return json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "scratch" not in path.parts
    }


# gate


def test_a_kept_contract_has_a_receipt_of_everything_it_was_judged_on(small: Small) -> None:
    records = read_operations(small.folder, AS_OF)
    assert not isinstance(records, MissingEvidence)
    done = run_gate(small)
    assert (done.exit_code, done.stderr) == (0, "")
    assert "customer_profile v1: " in done.stdout
    assert done.stdout.endswith(f"receipt: {small.folder / RECEIPT}\n")

    text = (small.folder / RECEIPT).read_text(encoding="utf-8")
    receipt = json.loads(text)
    assert text == json.dumps(receipt, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    assert receipt.pop("digest") == sha256(canonical(receipt).encode())

    named = [receipt[role] for role in ("contract", "signatures", "probes", "report")]
    named += receipt["data"]
    assert {file["path"] for file in named} == set(NAMED)
    for file in named:
        content = (small.folder / file["path"]).read_bytes()
        assert (file["sha256"], file["size"]) == (sha256(content), len(content))

    assert receipt["view"] == VIEW
    assert datetime.fromisoformat(receipt["as_of"]) == AS_OF
    assert receipt["outcome"] == "kept"
    assert set(receipt["versions"]) == {"python", "feast", "duckdb", "contract-feature-store"}
    assert receipt["records"] == {
        "count": len(records.records),
        "digest": sha256(
            canonical(
                [
                    {
                        "job": r.job,
                        "subject": r.subject,
                        "at": r.at.isoformat(),
                        "passed": r.passed,
                        "seconds": r.seconds,
                        "figures": r.figures,
                    }
                    for r in records.records
                ]
            ).encode()
        ),
    }
    assert len(records.records) > 20


def test_the_report_beside_the_receipt_is_that_of_check(small: Small) -> None:
    assert run_gate(small).exit_code == 0
    arguments = [str(small.document), "--repository", str(small.folder), "--format", "json"]
    checked = CliRunner().invoke(app, ["check", *arguments, "--as-of", AS_OF.isoformat()])
    (report,) = json.loads(checked.stdout)["reports"]
    (beside,) = json.loads((small.folder / REPORT).read_text(encoding="utf-8"))["reports"]
    assert beside == report | {"contract": f"contracts/{VIEW}.md"}
    assert len(beside["findings"]) > 60


def test_the_receipt_goes_where_it_is_told(small: Small, tmp_path: Path) -> None:
    elsewhere = tmp_path / "shelf" / "receipt.json"
    assert run_gate(small, "--receipt", str(elsewhere)).exit_code == 0
    report = json.loads(elsewhere.read_text(encoding="utf-8"))["report"]
    assert report["path"] == str(tmp_path / "shelf" / "receipt.report.json")
    assert not (small.folder / "data" / "receipts").exists()
    assert all(item.is_same for item in verify(elsewhere, small.folder))


@pytest.mark.parametrize(
    ("changes", "code", "why"),
    [
        (NO_ERASURES, 1, "1 broken and 0 unknown of"),
        ({"registry": lambda registry: replace(registry, views={})}, 1, "1 broken and "),
        (
            {"rows": lambda rows: [row.pop("customer_id") for row in rows]},
            2,
            "0 broken and ",
        ),
    ],
    ids=["broken", "broken and unknown", "unknown"],
)
def test_what_is_not_kept_has_no_receipt(
    changes: dict[str, Any], code: int, why: str, small: Small
) -> None:
    assert run_gate(small).exit_code == 0
    before = {name: content for name, content in files(small.folder).items() if "db" not in name}
    small.changes = changes
    done = run_gate(small)
    assert done.exit_code == code
    assert done.stderr.startswith("no receipt was written: ")
    assert why in done.stderr
    assert "receipt:" not in done.stdout
    after = {name: content for name, content in files(small.folder).items() if "db" not in name}
    assert after == before, "the receipt of before is left as it was"


def test_an_invalid_document_passes_no_gate(small: Small) -> None:
    small.document.write_text("# nothing\n", encoding="utf-8")
    done = run_gate(small)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "§1" in done.stderr
    assert not (small.folder / RECEIPT).exists()


@pytest.mark.parametrize("name", [name for name in NAMED if name != REPORT])
def test_what_changes_while_it_is_judged_has_no_receipt(name: str, small: Small) -> None:
    def write() -> None:
        with (small.folder / name).open("ab") as file:
            file.write(b"\n")

    small.while_judged = write
    done = run_gate(small)
    assert done.exit_code == 2
    assert "changed while it was judged" in done.stderr
    assert not (small.folder / RECEIPT).exists()


def test_a_receipt_that_cannot_be_written_is_none(small: Small, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    done = run_gate(small, "--receipt", str(tmp_path / "file" / "receipt.json"))
    assert done.exit_code == 2
    assert "no receipt was written: " in done.stderr
    (tmp_path / "folder").mkdir()
    done = run_gate(small, "--receipt", str(tmp_path / "folder"))
    assert done.exit_code == 2
    assert list(tmp_path.rglob(".*.draft")) == []


def test_a_script_may_call_the_gate(small: Small, capsys: pytest.CaptureFixture[str]) -> None:
    contract, receipt = load(small.document), small.folder / RECEIPT
    passed = gate(contract, small.folder, AS_OF, receipt)
    assert (passed.report.outcome, passed.receipt, passed.exit_code) == (Outcome.KEPT, receipt, 0)
    small.changes = NO_ERASURES
    stopped = gate(contract, small.folder, AS_OF, receipt)
    assert (stopped.report.outcome, stopped.receipt, stopped.exit_code) == (
        Outcome.BROKEN,
        None,
        1,
    )
    assert "1 broken" in stopped.refusal
    assert capsys.readouterr().out == ""


def test_a_judgement_at_the_gate_is_on_record(small: Small) -> None:
    run_gate(small)
    small.changes = NO_ERASURES
    run_gate(small)
    kept, broken = small.log.records(until=AS_OF, jobs=["check"])
    assert (kept.subject, kept.passed, kept.figures["outcome"]) == (VIEW, True, "kept")
    assert (broken.passed, broken.figures["clauses"]["§1 owner"]) == (False, "broken")


# verify


def differing(small: Small) -> list[str]:
    """What verify says is different; its exit code agrees."""
    done = run_verify(small.folder)
    lines = done.stdout.splitlines()[:-1]
    assert len(lines) == len(NAMED) + 1 + 1 + 1 + 4
    found = [line for line in lines if line.startswith("differs ")]
    assert all(line.startswith("same ") for line in lines if line not in found)
    assert done.exit_code == (1 if found else 0)
    same = f"{len(lines) - len(found)} of {len(lines)} items as they were"
    assert done.stdout.splitlines()[-1].endswith(same)
    return [line.removeprefix("differs ").strip().split(": expected ")[0] for line in found]


def test_all_is_as_it_was(passed: Small) -> None:
    before = files(passed.folder)
    assert differing(passed) == []
    assert files(passed.folder) == before, "looking changes nothing"


def test_a_repository_that_moved_is_the_same(passed: Small, tmp_path: Path) -> None:
    there = shutil.copytree(passed.folder, tmp_path / "there")
    shutil.rmtree(passed.folder)
    assert run_verify(there).exit_code == 0


def flipped(content: bytes, at: int, bit: int) -> bytes:
    return content[:at] + bytes([content[at] ^ (1 << bit)]) + content[at + 1 :]


def unnoticed(path: Path, repository: Path, flips: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The flips (position, bit) of a file after which the receipt still says that all is well."""
    content = path.read_bytes()
    silent = []
    for at, bit in flips:
        path.write_bytes(flipped(content, at, bit))
        if not notices(repository):
            silent.append((at, bit))
    path.write_bytes(content)
    return silent


def notices(repository: Path) -> bool:
    try:
        return not all(item.is_same for item in verify(repository / RECEIPT, repository))
    except NoReceipt:
        return True


def test_every_byte_of_the_receipt_counts(passed: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    records = read_operations(passed.folder, AS_OF)
    monkeypatch.setattr(
        "contract_checks.evidence.operations.read_operations", lambda *_: records
    )  # not what is tested here, and it takes most of the time
    receipt = passed.folder / RECEIPT
    size = receipt.stat().st_size
    assert size > 1500
    assert not notices(passed.folder)
    step = 1 if WHOLE else 3
    every_byte = [(at, at % 7) for at in range(0, size, step)]  # bit 7 alone is no valid UTF-8
    every_bit = [(at, bit) for at in range(0, size, 97 * step) for bit in range(8)]
    assert unnoticed(receipt, passed.folder, every_byte + every_bit) == []
    assert not notices(passed.folder)


def test_every_byte_of_the_report_counts(passed: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    records = read_operations(passed.folder, AS_OF)
    monkeypatch.setattr("contract_checks.evidence.operations.read_operations", lambda *_: records)
    report = passed.folder / REPORT
    size = report.stat().st_size
    flips = [(at, at % 8) for at in {*range(0, size, size // tries(300)), size - 1}]
    assert len(flips) > tries(300)
    assert unnoticed(report, passed.folder, flips) == []


@pytest.mark.parametrize("name", NAMED)
def test_every_file_that_is_named_counts(name: str, passed: Small) -> None:
    path = passed.folder / name
    content = path.read_bytes()
    for at in (0, len(content) // 2, len(content) - 1):
        path.write_bytes(flipped(content, at, 0))
        assert differing(passed) == [f"{NAMED[name]} {name}"]
    path.write_bytes(content + b"\n")
    assert differing(passed) == [f"{NAMED[name]} {name}"]
    path.unlink()
    assert differing(passed) == [f"{NAMED[name]} {name}"]
    assert "; found no such file" in run_verify(passed.folder).stdout
    path.write_bytes(content)
    assert differing(passed) == []


def test_what_was_expected_and_what_was_found_is_told(passed: Small) -> None:
    events = passed.folder / DATA / "customer_events.parquet"
    before = events.read_bytes()
    events.write_bytes(before + b"!")
    (line,) = [x for x in run_verify(passed.folder).stdout.splitlines() if x.startswith("differs")]
    assert line == (
        f"differs  data {DATA}/customer_events.parquet: "
        f"expected sha256 {sha256(before)}, {len(before):,} bytes; "
        f"found sha256 {sha256(before + b'!')}, {len(before) + 1:,} bytes"
    )


def in_view(**changes: Any) -> Callable[[Registry], Registry]:
    return lambda r: replace(r, views={VIEW: replace(r.views[VIEW], **changes)})


@pytest.mark.parametrize(
    "change",
    [
        in_view(owner="Nobody"),
        in_view(ttl=timedelta(days=30, microseconds=1)),
        in_view(tags={"version": "v1"}),
        in_view(description="."),
        in_view(source_path="/elsewhere/customer_features_offline.parquet"),
        in_view(fields=()),
        in_view(online=False),
        lambda r: replace(r, project="other"),
        lambda r: replace(r, services={**r.services, "more": serving(VIEW)}),
        lambda r: replace(r, services={VIEW: serving(VIEW, features=("orders_30d",))}),
        lambda r: replace(r, entities={}),
        lambda r: replace(r, views={**r.views, "more": r.views[VIEW]}),
    ],
)
def test_every_declaration_counts(change: Callable[[Registry], Registry], passed: Small) -> None:
    passed.registry = change
    assert differing(passed) == ["registry"]


def test_how_far_it_was_materialized_does_not_count(passed: Small) -> None:
    passed.registry = in_view(materialized_to=AS_OF + timedelta(days=3))
    assert differing(passed) == []


@pytest.mark.parametrize("served", [VIEW, "customer_profile_v2"])
def test_where_the_pointer_points_does_not_count(served: str, passed: Small) -> None:
    pointer = {"customer_profile": serving(served)}
    passed.registry = lambda r: replace(r, services=r.services | pointer)
    assert differing(passed) == []


def test_a_registry_that_cannot_be_read_differs(
    passed: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(repository: Path) -> Registry:
        raise RuntimeError("file is not a database\nand more")

    monkeypatch.setattr("contract_checks.evidence.registry.read_registry", damaged)
    assert differing(passed) == ["registry"]
    assert (
        "found unreadable: RuntimeError: file is not a database\n"
        in run_verify(passed.folder).stdout
    )


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE operations SET figures = replace(figures, '0.0004', '0.0003') || ' '",
        "UPDATE operations SET passed = 0 WHERE id = 3",
        "UPDATE operations SET subject = 'another' WHERE id = 3",
        "UPDATE operations SET seconds = 2 WHERE id = 3",
        "UPDATE operations SET figures = '{}' WHERE job = 'canary'",
        "DELETE FROM operations WHERE id = 3",
        "DELETE FROM operations",
        "DROP TABLE operations",
    ],
)
def test_every_record_counts(statement: str, passed: Small) -> None:
    connection = sqlite3.connect(passed.folder / "data" / "operations.db")
    with connection:
        changed = connection.execute(statement).rowcount
    connection.close()
    assert changed
    same_json = statement.endswith("|| ' '")
    assert differing(passed) == ([] if same_json else ["records of operations"])


def test_a_log_that_is_gone_differs(passed: Small) -> None:
    (passed.folder / "data" / "operations.db").unlink()
    assert differing(passed) == ["records of operations"]
    assert not (passed.folder / "data" / "operations.db").exists()


def test_a_record_dated_back_counts_and_what_follows_does_not(passed: Small) -> None:
    passed.log.append(Record("promotion", VIEW, AS_OF, True), Record("check", VIEW, AS_OF, False))
    passed.log.append(Record("refresh", VIEW, AS_OF + timedelta(hours=1), True))
    assert differing(passed) == []
    passed.log.append(Record("canary", VIEW, AS_OF - timedelta(hours=3), True))
    assert differing(passed) == ["records of operations"]


def test_the_versions_count(passed: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    from contract_checks.receipts import inputs

    installed = inputs.version
    monkeypatch.setattr(
        inputs, "version", lambda name: "9.9" if name == "duckdb" else installed(name)
    )
    monkeypatch.setattr("platform.python_version", lambda: "3.10.1")
    assert differing(passed) == ["version of duckdb", "version of python"]


def test_everything_that_differs_is_told(passed: Small) -> None:
    (passed.folder / f"contracts/{VIEW}.probes.toml").unlink()
    passed.registry = in_view(owner="Nobody")
    assert differing(passed) == [f"probes contracts/{VIEW}.probes.toml", "registry"]


def rewritten(small: Small, change: Callable[[dict[str, Any]], object]) -> None:
    """The receipt after a change of its content, with a digest that is right again."""
    path = small.folder / RECEIPT
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    del content["digest"]
    content["digest"] = sha256(canonical(content).encode())
    text = json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


def test_a_receipt_made_for_another_contract_is_found_out(passed: Small) -> None:
    rewritten(passed, lambda receipt: None)
    assert differing(passed) == []
    rewritten(passed, lambda receipt: receipt["contract"].update(sha256="0" * 64))
    assert differing(passed) == [f"contract contracts/{VIEW}.md"]


@pytest.mark.parametrize(
    "spelled",
    [
        lambda content: json.dumps(content, indent=2, ensure_ascii=False) + "\n\n",
        lambda content: json.dumps(content, indent=4, ensure_ascii=False) + "\n",
        lambda content: json.dumps(dict(reversed(content.items())), indent=2) + "\n",
        lambda content: "\n" + json.dumps(content, indent=2),
    ],
)
def test_a_receipt_has_one_text(spelled: Callable[[Any], str], passed: Small) -> None:
    path = passed.folder / RECEIPT
    path.write_text(spelled(json.loads(path.read_text(encoding="utf-8"))), encoding="utf-8")
    assert differing(passed) == ["receipt"]


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b"\xff\xfe", b"kept", b"null", b"[" * 99999]
)
def test_what_is_no_receipt_at_all_exits_2(content: bytes, small: Small) -> None:
    path = small.folder / RECEIPT
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    done = run_verify(small.folder)
    assert (done.exit_code, done.stdout) == (2, "")
    assert f"{path} is no receipt" in done.stderr


def test_a_receipt_that_cannot_be_found_exits_2(passed: Small) -> None:
    for name in ("data/receipts/nowhere.json", "data/receipts"):
        done = run_verify(passed.folder, name)
        assert (done.exit_code, done.stdout) == (2, "")
        assert "cannot be read" in done.stderr
    assert run_verify(passed.folder, REPORT).exit_code == 2


def test_an_item_is_the_same_or_not() -> None:
    assert Item("x", "1", "1").is_same
    assert not Item("x", "1", "2").is_same
