"""Every clause says what holds it."""

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from kept_evidence import AS_OF, gathered, set_in
from typer.testing import CliRunner

from contract_checks.binding import INFORMATIVE, bindings, unbound
from contract_checks.cli import app
from contract_checks.judge import CHECKS
from contract_checks.language.form import CLAUSES
from contract_checks.language.loader import load
from contract_checks.operations.log import OperationsLog, Record

ROOT = Path(__file__).parents[2]
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


def test_no_clause_is_unbound(monkeypatch: pytest.MonkeyPatch) -> None:
    assert unbound() == []
    monkeypatch.delitem(INFORMATIVE, "§5.2 units")
    monkeypatch.setattr(
        "contract_checks.binding.CHECKS", [c for c in CHECKS if c.clause != "§6 freshness"]
    )
    assert unbound() == ["§5.2 units", "§6 freshness"]


@pytest.fixture(autouse=True)
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OperationsLog:
    """A log of the test's own, not made yet."""
    address = f"sqlite:///{tmp_path / 'operations.db'}"
    monkeypatch.setenv("FEATURE_STORE_OPERATIONS_LOG", address)
    return OperationsLog(address)


def listed() -> dict[str, dict[str, Any]]:
    shown = CliRunner().invoke(app, ["list", str(CONTRACT), "--format", "json"])
    assert (shown.exit_code, shown.stderr) == (0, "")
    return {row["id"]: row for row in json.loads(shown.stdout)}


def checked(at: datetime, subject: str = "customer_profile_v1", **clauses: str) -> Record:
    figures = {"clauses": {NAMED[clause]: word for clause, word in clauses.items()}}
    return Record("check", subject, at, False, 1.0, figures | {"outcome": "broken"})


NAMED = {"freshness": "§6 freshness", "validity": "§6 validity", "owner": "§1 owner"}
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_list_as_json() -> None:
    shown = CliRunner().invoke(app, ["list", str(CONTRACT), "--format", "json"])
    assert shown.exit_code == 0
    rows = json.loads(shown.stdout)
    freshness = next(row for row in rows if row["id"] == "§6 freshness")
    assert freshness == {
        "id": "§6 freshness",
        "line": 79,
        "value": "Feature age ≤ 2 hours",
        "held_in": "offline, online, operations",
        "check": "features-are-fresh",
        "reason": "",
        "last_ran": None,
        "outcome": None,
    }
    assert [row["line"] for row in rows] == sorted(row["line"] for row in rows)


def test_list_says_when_each_clause_was_last_checked_and_what_came_of_it(
    log: OperationsLog,
) -> None:
    log.append(
        checked(NOON + HOUR, freshness="kept", validity="unknown"),
        checked(NOON, freshness="broken", owner="broken"),  # written later, as of earlier
        checked(NOON + 2 * HOUR, validity="broken"),
        checked(NOON + 2 * HOUR, validity="kept"),  # of one time the last counts
        checked(NOON + 9 * HOUR, subject="customer_profile_v2", freshness="broken"),
        Record("refresh", "customer_profile_v1", NOON + 9 * HOUR, True),
    )
    rows = listed()
    ran = {name: (rows[c]["last_ran"], rows[c]["outcome"]) for name, c in NAMED.items()}
    assert ran == {
        "freshness": ("2026-03-01T13:00:00+00:00", "kept"),
        "validity": ("2026-03-01T14:00:00+00:00", "kept"),
        "owner": ("2026-03-01T12:00:00+00:00", "broken"),
    }
    assert {rows[c]["last_ran"] for c in rows if c not in NAMED.values()} == {None}


def test_a_check_is_what_list_tells_of(
    log: OperationsLog, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    evidence = gathered(load(CONTRACT), tmp_path, rows=set_in(7, orders_30d=1001))
    monkeypatch.setattr("contract_checks.evidence.gather.gather", lambda *_: evidence)
    chosen = ["--select", "§5.2 allowed range", "--select", "§6 freshness"]
    CliRunner().invoke(app, ["check", str(CONTRACT), "--as-of", AS_OF.isoformat(), *chosen])
    ran = {row["id"]: row["outcome"] for row in listed().values() if row["last_ran"]}
    assert ran == {"§5.2 allowed range": "broken", "§6 freshness": "kept"}


def test_the_log_is_looked_for_in_the_repository(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("FEATURE_STORE_OPERATIONS_LOG")
    (tmp_path / "data").mkdir()
    OperationsLog(f"sqlite:///{tmp_path}/data/operations.db").append(checked(NOON, owner="kept"))
    command = ["list", str(CONTRACT), "--format", "json", "--repository"]
    there = CliRunner().invoke(app, [*command, str(tmp_path)])
    rows = {row["id"]: row for row in json.loads(there.stdout)}
    assert rows["§1 owner"]["outcome"] == "kept"


def test_a_look_makes_no_log(tmp_path: Path) -> None:
    assert {row["last_ran"] for row in listed().values()} == {None}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("address", ["nonsense", "postgresql+nodriver://u:secret@h/d", "damaged"])
def test_a_log_that_cannot_be_read_is_a_warning(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "operations.db").write_bytes(b"no database at all, of some length" * 99)
    if address != "damaged":
        monkeypatch.setenv("FEATURE_STORE_OPERATIONS_LOG", address)
    shown = CliRunner().invoke(app, ["list", str(CONTRACT), "--format", "json"])
    assert shown.exit_code == 0
    assert {row["last_ran"] for row in json.loads(shown.stdout)} == {None}
    assert re.fullmatch(r"warning: the last checks are not shown: .+\n", shown.stderr)
    assert "secret" not in shown.stderr


COLUMNS = ("line", "clause", "held in", "last ran", "outcome", "check, or why none", "value")


def test_list_as_text_is_a_table_whose_columns_never_run_together(log: OperationsLog) -> None:
    log.append(checked(NOON, freshness="unknown", owner="kept"))
    shown = CliRunner().invoke(app, ["list", str(CONTRACT)], env={"COLUMNS": "40"})
    assert shown.exit_code == 0
    assert "\x1b[" not in shown.stdout
    head, *lines = shown.stdout.splitlines()
    assert len(lines) == len(CLAUSES), "a line each, in a narrow place too"
    starts = [head.index(column) for column in COLUMNS]
    table = [
        [line[start:end] for start, end in zip(starts, [*starts[1:], None], strict=True)]
        for line in lines
    ]
    for cells in table:
        assert all(cell.endswith("  ") for cell in cells[:-1]), cells
        assert all(cell == cell.lstrip() for cell in cells), cells
    rows = listed()
    for cells, (clause, row) in zip(table, rows.items(), strict=True):
        ran, outcome = ("2026-03-01 12:00Z", row["outcome"]) if row["outcome"] else ("never", "-")
        held_by = row["check"] or f"- {row['reason']}"
        expected = [str(row["line"]), clause, row["held_in"], ran, outcome, held_by, row["value"]]
        assert [cell.rstrip() for cell in cells] == expected
    assert max(len(clause) for clause in rows) > 35
    assert max(len(row["held_in"]) for row in rows.values()) > 20


@pytest.mark.parametrize("width", [80, 140])
def test_list_on_a_terminal_is_a_table_of_its_width(width: int, log: OperationsLog) -> None:
    log.append(checked(NOON, freshness="broken"))
    shown = on_a_terminal(width, "list", str(CONTRACT))
    assert "\x1b[1;31mbroken" in shown
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown)
    lines = plain.splitlines()
    assert max(map(len, lines)) == width
    heading = re.compile(r"\s*line\s+clause\s+held in\s+last ran\s+outcome\s+(check|none)")
    assert any(map(heading.match, lines))
    assert "…" not in plain
    assert "2026-03-01" in plain


def on_a_terminal(width: int, *arguments: str) -> str:
    """What the command writes to a terminal of that many columns."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
    environment = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES", "NO_COLOR")}
    with subprocess.Popen(
        [sys.executable, "-m", "contract_checks", *arguments],
        cwd=ROOT,
        env=environment | {"TERM": "xterm"},
        stdout=its,
        stderr=subprocess.STDOUT,
    ) as process:
        os.close(its)
        written = b""
        with suppress(OSError):  # Linux's way to say that the other side closed
            while chunk := os.read(ours, 65536):
                written += chunk
    os.close(ours)
    assert process.returncode == 0
    return written.decode().replace("\r\n", "\n")


def test_list_does_not_wait_for_feast() -> None:
    probe = (
        "import sys; from contract_checks.cli import app\n"
        "app(['list', sys.argv[1]], standalone_mode=False)\n"
        "print(sorted({'feast', 'pandas'} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe, CONTRACT],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


def test_explain_says_what_is_asked() -> None:
    shown = CliRunner().invoke(app, ["explain", "§6 freshness", str(CONTRACT)])
    assert shown.exit_code == 0
    assert "customer_profile_v1.md:79" in shown.stdout
    assert "features-are-fresh: What both stores hold" in shown.stdout


def test_explain_says_why_there_is_no_check() -> None:
    shown = CliRunner().invoke(app, ["explain", "§5.1 definition", str(CONTRACT)])
    assert shown.exit_code == 0
    assert "no check  says in words what" in shown.stdout


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
