"""The command line answers quickly, with lines a person and a script can read, and exit codes."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from contract_checks.cli import app, main
from contract_checks.language.loader import load
from contract_checks.language.reading import readings

ROOT = Path(__file__).parents[2]
OURS = ROOT / "contracts" / "customer_profile_v1.md"
BROKEN_UNIT = ROOT / "tests" / "contracts" / "invalid" / "unit_percentage_for_duration.md"
SEVERAL = ROOT / "tests" / "contracts" / "invalid" / "several_defects.md"


def _run(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "contract_checks", *map(str, arguments)]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, env=os.environ | environment, check=False
    )


def test_lint_of_a_valid_document_exits_0() -> None:
    done = _run("lint", OURS)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode() == "1 valid, 0 invalid, 0 problems\n"


def test_lint_reports_path_line_clause_and_message_and_exits_2() -> None:
    done = _run("lint", BROKEN_UNIT.relative_to(ROOT), OURS)
    assert done.returncode == 2
    assert done.stdout.decode().splitlines() == [
        "tests/contracts/invalid/unit_percentage_for_duration.md:25: §3 lookback window: "
        "wrong unit: expected a duration such as 30d or 2 hours, got '30%'",
        "1 valid, 1 invalid, 1 problem",
    ]


def test_lint_of_a_missing_file_says_so() -> None:
    done = _run("lint", "contracts/nowhere.md")
    assert done.returncode == 2
    assert b"contracts/nowhere.md:1: document: cannot be read" in done.stdout
    assert done.stderr == b""


def test_colours_are_for_terminals_only() -> None:
    runner = CliRunner()
    assert "\x1b[" in runner.invoke(app, ["lint", str(SEVERAL)], color=True).stdout
    assert b"\x1b[" not in _run("lint", SEVERAL).stdout


@pytest.mark.parametrize("locale", ["C", "POSIX"])
def test_export_writes_sorted_utf8_json_in_any_locale(locale: str) -> None:
    environment = {"LC_ALL": locale, "PYTHONIOENCODING": "ascii", "PYTHONCOERCECLOCALE": "0"}
    done = _run("export", OURS, "--to", "json", **environment)
    assert (done.returncode, done.stderr) == (0, b"")
    text = done.stdout.decode("utf-8")
    document = json.loads(text)
    contract = load(OURS)
    assert document.pop("prose") == contract.prose
    assert document.pop("reading") == readings(contract)
    assert document == contract.terms()
    assert text == json.dumps(json.loads(text), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    assert "≥" in text
    assert document["privacy"]["retention"] == "P365D"


def test_export_of_an_invalid_document_writes_only_problems() -> None:
    done = _run("export", SEVERAL, "--to", "json")
    assert (done.returncode, done.stdout) == (2, b"")
    assert len(done.stderr.decode().splitlines()) == 5


@pytest.mark.parametrize("command", [["lint"], ["list"], ["explain", "§1 owner"], ["check"]])
def test_the_repositorys_own_document_is_read_where_none_is_named(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, command)
    assert (done.exit_code, done.stderr) == (2, "no contract in contracts: name a document\n")
    if command == ["check"]:
        return
    (tmp_path / "contracts").mkdir()
    shutil.copy(OURS, tmp_path / "contracts")
    assert CliRunner().invoke(app, command).exit_code == 0
    shutil.copy(OURS, tmp_path / "contracts" / "another.md")
    done = CliRunner().invoke(app, command)
    assert done.exit_code == (0 if command == ["lint"] else 2)
    assert command == ["lint"] or done.stderr.startswith("name one document: contracts/another.md")


def test_an_error_nobody_foresaw_exits_70(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def fail() -> None:
        raise ArithmeticError("of 'alice'")

    monkeypatch.chdir(tmp_path)

    monkeypatch.setattr("contract_checks.cli.app", fail)
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 70
    said = capsys.readouterr().err
    assert said.startswith("failed: ArithmeticError")
    assert (said.count("\n"), "alice" in said) == (1, False)


@pytest.mark.parametrize(
    "arguments",
    [
        ("frobnicate",),
        ("lint", "--no-such-option", "x"),
        ("export", "x", "--to", "xml"),
        ("sign", "x"),
        ("sign", "x", "--as", "platform"),
        ("gate",),
        ("gate", "x", "--as-of", "noon"),
        ("verify",),
    ],
)
def test_wrong_usage_exits_2(arguments: tuple[str, ...]) -> None:
    done = _run(*arguments)
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr


def test_lint_loads_nothing_heavy() -> None:
    probe = (
        "import sys; from contract_checks.cli import app\n"
        "app(['lint', sys.argv[1]], standalone_mode=False)\n"
        "heavy = {'feast', 'pandas', 'pyarrow', 'duckdb', 'numpy', 'sqlalchemy'}\n"
        "print(sorted(heavy & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe, OURS], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines()[-1] == "[]", done.stderr
