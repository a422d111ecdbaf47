"""`contract-checks check`: what it selects, how it writes it, and its exit codes."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from junitparser import JUnitXml
from kept_evidence import AS_OF, gathered, set_in
from typer.testing import CliRunner

import contract_checks.checks  # noqa: F401  (importing binds them)
from contract_checks.cli import app
from contract_checks.evidence.evidence import Evidence
from contract_checks.findings import Outcome
from contract_checks.judge import CHECKS
from contract_checks.language.contract import Contract
from contract_checks.language.loader import load
from contract_checks.operations.log import OperationsLog
from contract_checks.selection import NothingSelectedError, select

ROOT = Path(__file__).parents[2]
OURS = ROOT / "contracts" / "customer_profile_v1.md"
OTHER = ROOT / "tests" / "contracts" / "merchant_risk_v2.md"


@pytest.mark.parametrize(
    ("selector", "clauses"),
    [
        ("§6 freshness", {"§6 freshness"}),
        ("6  Freshness", {"§6 freshness"}),
        ("features-are-fresh", {"§6 freshness"}),
        ("§5.2", {c.clause for c in CHECKS if c.clause.startswith("§5.2 ")}),
        ("5", {c.clause for c in CHECKS if c.clause.startswith("§5")}),
        ("1", {c.clause for c in CHECKS if c.clause.startswith("§1 ")}),
    ],
)
def test_a_selector_chooses(selector: str, clauses: set[str]) -> None:
    assert clauses
    assert {check.clause for check in select([selector], CHECKS)} == clauses


def test_selectors_add_up() -> None:
    chosen = {check.clause for check in select(["§6 freshness", "§1 version"], CHECKS)}
    assert chosen == {"§6 freshness", "§1 version"}


@pytest.mark.parametrize(
    ("selector", "near"),
    [
        ("§6 freshnes", "'§6 freshnes': did you mean §6 freshness?"),
        ("freshness", "'freshness': did you mean §6 freshness?"),
        ("features-are-frsh", "did you mean features-are-fresh"),
        ("§5.1 definition", "no check is bound to '§5.1 definition'"),
        ("99", "name a clause such as '§6 freshness'"),
        ("", "no check is bound to ''"),
        ("§", "no check is bound to '§'"),
    ],
)
def test_a_selector_that_chooses_nothing_is_told_what_is_near(selector: str, near: str) -> None:
    with pytest.raises(NothingSelectedError, match=re.escape(near)):
        select(["§6 freshness", selector], CHECKS)


# The command


@pytest.fixture(autouse=True)
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OperationsLog:
    """A log of the test's own: what is judged here is no part of the project's history."""
    address = f"sqlite:///{tmp_path / 'operations.db'}"
    monkeypatch.setenv("FEATURE_STORE_OPERATIONS_LOG", address)
    return OperationsLog(address)


CHANGES: dict[str, dict[str, Any]] = {
    "kept": {},
    "broken": {"rows": set_in(7, orders_30d=1001)},
    "unknown": {"rows": lambda rows: [row.pop("customer_id") for row in rows]},
}


@pytest.fixture(params=CHANGES)
def outcome(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[str]:
    """An outcome, and evidence for it in place of the repository's."""
    evidence = gathered(load(OURS), tmp_path, **CHANGES[request.param])
    hand_out(monkeypatch, evidence)
    yield request.param


def hand_out(monkeypatch: pytest.MonkeyPatch, evidence: Evidence) -> None:
    def gather(contract: Contract, repository: Path, as_of: datetime) -> Evidence:
        print("an engine talks")
        assert as_of == AS_OF
        return evidence

    monkeypatch.setattr("contract_checks.evidence.gather.gather", gather)
    monkeypatch.chdir(ROOT)


def check(*arguments: str | Path) -> Result:
    given = [*map(str, arguments), "--as-of", AS_OF.isoformat()]
    return CliRunner().invoke(app, ["check", *given])


READ = {
    "text": lambda text: re.search(r"(kept|broken|unknown)", text.splitlines()[-1]),
    "json": json.loads,
    "junit": lambda text: JUnitXml.fromstring(text.encode()),
    "sarif": json.loads,
    "github": lambda text: re.findall("^::(error|warning|notice) .*::.", text, re.MULTILINE),
    "html": lambda text: re.fullmatch(r"<!doctype html>.*</html>\n", text, re.DOTALL),
}


@pytest.mark.parametrize("name", READ)
def test_a_format_stands_alone_on_standard_output(name: str, outcome: str) -> None:
    done = check(OURS, "--format", name)
    assert done.exit_code == Outcome[outcome.upper()].value
    assert READ[name](done.stdout)
    assert done.stdout.endswith("\n")
    assert "an engine talks" not in done.stdout
    assert "an engine talks" in done.stderr
    assert "\x1b[" not in done.stdout
    assert check(OURS, "--format", name).stdout == done.stdout


def test_the_document_is_named_from_the_working_folder(outcome: str) -> None:
    report = json.loads(check(OURS, "--format", "json").stdout)["reports"][0]
    assert report["contract"] == "contracts/customer_profile_v1.md"
    assert report["outcome"] == outcome
    assert datetime.fromisoformat(report["as_of"]) == AS_OF


def test_several_contracts_are_one_report(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hand_out(monkeypatch, gathered(load(OURS), tmp_path))
    done = {name: check(OURS, OTHER, "--format", name) for name in READ}
    assert len(json.loads(done["json"].stdout)["reports"]) == 2
    assert len(list(JUnitXml.fromstring(done["junit"].stdout.encode()))) == 2
    assert len(json.loads(done["sarif"].stdout)["runs"][0]["artifacts"]) == 2
    assert done["github"].stdout.count("::notice ") == 2
    page = done.pop("html")
    assert (page.exit_code, page.stdout) == (2, "")
    assert "name one document" in page.stderr
    assert {one.exit_code for one in done.values()} == {1}


def test_what_is_not_selected_is_not_judged(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hand_out(monkeypatch, gathered(load(OURS), tmp_path, **CHANGES["broken"]))
    done = check(OURS, "--format", "json", "--select", "§6 freshness", "--select", "3")
    assert done.exit_code == 0
    findings = json.loads(done.stdout)["reports"][0]["findings"]
    assert {f["clause"].split()[0] for f in findings} == {"§3", "§6"}
    assert {f["check"] for f in findings if f["clause"] > "§6"} == {"features-are-fresh"}
    assert check(OURS, "--select", "§5.2 allowed range").exit_code == 1


def test_a_selector_that_matches_nothing_cannot_judge(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hand_out(monkeypatch, gathered(load(OURS), tmp_path))
    done = check(OURS, "--format", "json", "--select", "§6 freshnes")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "did you mean §6 freshness?" in done.stderr


def test_nothing_checked_is_not_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hand_out(monkeypatch, gathered(load(OURS), tmp_path))
    unruled = tmp_path / "unruled.md"
    text = OURS.read_text(encoding="utf-8")
    rule = "**Consistency:** orders_30d ≥ distinct_order_days_30d"
    assert rule in text
    unruled.write_text(text.replace(rule, "**Consistency:** none"), encoding="utf-8")
    done = check(unruled, "--format", "json", "--select", "§6 consistency")
    assert done.exit_code == 2
    assert "nothing was checked" in done.stderr
    assert json.loads(done.stdout)["reports"][0]["outcome"] == "unknown"


def test_problems_of_every_document_are_told(tmp_path: Path) -> None:
    done = check(OURS, tmp_path / "one.md", tmp_path / "two.md")
    assert (done.exit_code, done.stdout) == (2, "")
    for name in ("one.md", "two.md"):
        assert f"{tmp_path / name}:1: document: cannot be read" in done.stderr


# The record it leaves


def test_a_check_is_recorded_with_its_outcome(outcome: str, log: OperationsLog) -> None:
    shown = json.loads(check(OURS, "--format", "json").stdout)["reports"][0]
    (record,) = log.records(until=AS_OF)
    assert (record.job, record.subject, record.at) == ("check", "customer_profile_v1", AS_OF)
    assert record.passed is (outcome == "kept")
    assert record.seconds is not None
    assert 0 < record.seconds < 600
    assert record.figures["outcome"] == outcome
    clauses = record.figures["clauses"]
    assert len(clauses) > 60
    worst = {"broken": 2, "unknown": 1, "kept": 0}
    expected: dict[str, str] = {}
    for finding in shown["findings"]:
        before = expected.setdefault(finding["clause"], finding["outcome"])
        expected[finding["clause"]] = max(before, finding["outcome"], key=worst.__getitem__)
    assert clauses == expected


def test_what_was_not_selected_is_not_recorded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, log: OperationsLog
) -> None:
    hand_out(monkeypatch, gathered(load(OURS), tmp_path, **CHANGES["broken"]))
    assert check(OURS, "--select", "§6 freshness", "--select", "§1 version").exit_code == 0
    (record,) = log.records(until=AS_OF)
    assert record.figures == {
        "outcome": "kept",
        "clauses": {"§1 version": "kept", "§6 freshness": "kept"},
    }


def test_where_nothing_was_judged_nothing_is_recorded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hand_out(monkeypatch, gathered(load(OURS), tmp_path))
    check(OURS, "--select", "§6 freshnes")
    check(tmp_path / "nowhere.md")
    unruled = tmp_path / "unruled.md"
    text = OURS.read_text(encoding="utf-8")
    rule = "**Consistency:** orders_30d ≥ distinct_order_days_30d"
    unruled.write_text(text.replace(rule, "**Consistency:** none"), encoding="utf-8")
    assert check(unruled, "--select", "§6 consistency").exit_code == 2
    assert not (tmp_path / "operations.db").exists()


@pytest.mark.parametrize("has_data", [True, False])
def test_the_log_lies_in_the_repositorys_data_where_there_is_such_a_folder(
    has_data: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("FEATURE_STORE_OPERATIONS_LOG")
    hand_out(monkeypatch, gathered(load(OURS), tmp_path))
    repository = tmp_path / "repository"
    repository.mkdir()
    if has_data:
        (repository / "data").mkdir()
    done = check(OURS, "--repository", repository)
    assert (done.exit_code, done.stderr) == (0, "an engine talks\n")
    made = [path.relative_to(repository).as_posix() for path in repository.rglob("*.db")]
    assert made == (["data/operations.db"] if has_data else [])
    assert (repository / "data").exists() is has_data


@pytest.mark.parametrize(
    "address", ["sqlite:////no/such/folder/x.db", "nonsense", "postgresql+nodriver://u:secret@h/d"]
)
def test_a_log_that_cannot_be_written_is_a_warning(
    address: str, outcome: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEATURE_STORE_OPERATIONS_LOG", address)
    done = check(OURS, "--format", "json")
    assert done.exit_code == Outcome[outcome.upper()].value
    assert json.loads(done.stdout)["reports"][0]["outcome"] == outcome
    (warning,) = [line for line in done.stderr.splitlines() if "an engine talks" not in line]
    assert warning.startswith("warning: this check is not recorded: the operations log cannot be")
    assert "secret" not in warning


@pytest.mark.parametrize("command", ["lint", "export"])
def test_formats_are_loaded_by_those_who_ask(command: str) -> None:
    probe = (
        "import sys; from contract_checks.cli import app\n"
        f"app(['{command}', sys.argv[1]], standalone_mode=False)\n"
        "print(sorted({'junitparser', 'open_data_contract_standard', 'yaml'} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe, OURS], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines()[-1] == "[]", done.stderr
