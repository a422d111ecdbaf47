"""Every clause says what holds it."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from contract_checks.binding import INFORMATIVE, NOT_YET, bindings, unbound
from contract_checks.cli import app
from contract_checks.judge import CHECKS
from contract_checks.language.form import CLAUSES
from contract_checks.language.loader import load

ROOT = Path(__file__).parent.parent
CONTRACT = ROOT / "contracts" / "customer_profile_v1.md"
DOCUMENTS = [CONTRACT, *sorted((ROOT / "tests" / "contracts").glob("*.md"))]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)
def test_every_clause_has_a_check_or_a_reason(document: Path) -> None:
    found = bindings(load(document))
    assert len(found) == len(CLAUSES)
    assert [b.id for b in found if bool(b.check) == bool(b.reason)] == []
    assert [b.id for b in found if not b.value and b.id != "§7 thresholds"] == []
    lines = document.read_text(encoding="utf-8").splitlines()
    for binding in found:
        first = binding.value.split(";")[0].split(":")[0]
        assert first[:20] in " ".join(lines[binding.line - 1 : binding.line + 2]), binding


def test_informative_clauses_are_of_the_form_and_unjudged() -> None:
    assert set(INFORMATIVE) <= {clause.id for clause in CLAUSES}
    assert set(INFORMATIVE).isdisjoint(check.clause for check in CHECKS)
    assert all(len(reason) > 30 for reason in INFORMATIVE.values())


def test_what_no_check_holds_yet_is_said() -> None:
    said = {b.id for b in bindings(load(CONTRACT)) if b.reason == NOT_YET}
    assert said == set(unbound())


def test_list_as_json() -> None:
    shown = CliRunner().invoke(app, ["list", str(CONTRACT), "--format", "json"])
    assert shown.exit_code == 0
    rows = json.loads(shown.stdout)
    freshness = next(row for row in rows if row["id"] == "§6 freshness")
    assert freshness == {
        "id": "§6 freshness",
        "line": 79,
        "value": "Feature age ≤ 2 hours",
        "held_in": "offline, online",
        "check": "features-are-fresh",
        "reason": "",
    }
    assert [row["line"] for row in rows] == sorted(row["line"] for row in rows)


def test_list_as_text_has_every_clause() -> None:
    shown = CliRunner().invoke(app, ["list", str(CONTRACT)])
    assert shown.exit_code == 0
    assert [c.id for c in CLAUSES if f"  {c.id} " not in shown.stdout] == []
    assert "\x1b[" not in shown.stdout


def test_explain_says_what_is_asked() -> None:
    shown = CliRunner().invoke(app, ["explain", "§6 freshness", str(CONTRACT)])
    assert shown.exit_code == 0
    assert "customer_profile_v1.md:79" in shown.stdout
    assert "features-are-fresh: The newest offline row" in shown.stdout


def test_explain_says_why_there_is_no_check() -> None:
    shown = CliRunner().invoke(app, ["explain", "§1 business purpose", str(CONTRACT)])
    assert shown.exit_code == 0
    assert "no check  says why the feature exists" in shown.stdout


def test_explain_an_unknown_clause_names_near_ones() -> None:
    shown = CliRunner().invoke(app, ["explain", "§6 fresness", str(CONTRACT)])
    assert shown.exit_code == 2
    assert "did you mean §6 freshness" in shown.stderr


@pytest.mark.parametrize("command", [["list"], ["explain", "§6 freshness"]])
def test_an_invalid_document_exits_2(command: list[str], tmp_path: Path) -> None:
    document = tmp_path / "contract.md"
    document.write_text("# nothing\n", encoding="utf-8")
    shown = CliRunner().invoke(app, [*command, str(document)])
    assert shown.exit_code == 2
    assert "§1" in shown.stderr
