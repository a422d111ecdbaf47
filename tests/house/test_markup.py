"""What comes from outside is printed as it is: no name styles, hides or ends a command."""

import ast
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import typer
from feast_copy import ROOT
from reads_on_record import MAY, VIEW, online, read
from rich.console import RenderableType
from rich.progress import Progress
from sample_report import REPORT
from typer.testing import CliRunner

from contract_checks.console import console
from contract_checks.evidence.facts import Distribution, Drift
from contract_checks.language.loader import load
from contract_checks.operations.log import ADDRESS_VARIABLE, OperationsLog
from contract_checks.report.text import show
from feature_pipeline.erasure.residual_search import Searched
from jobs.reporting.drift import Verdict
from jobs.repository import CONTRACT
from scripts import access_review, drift, erase, freeze_baseline
from scripts.command_line import answers_table, refusals_exit, steps

HOSTILE = [
    "[/x]",
    "[bold][/bold]",
    "[red]Sales",
    "a [link=file:///]b[/link]",
    ":smile:",
    "[/]",
    "\\[x",
]


def shown(*printed: RenderableType) -> str:
    paper = console()
    paper.file, paper.width = StringIO(), 200
    for each in printed:
        paper.print(each)
    return str(paper.file.getvalue())


def test_every_console_is_made_in_one_place() -> None:
    """And so none reads markup; a progress bar's column says so itself."""
    made = [
        path.relative_to(ROOT).as_posix()
        for room in (
            "jobs",
            "scripts",
            "contract_checks",
            "storage",
            "feature_access",
            "feature_pipeline",
        )
        for path in (ROOT / room).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).rpartition(".")[2] in ("Console", "print_markup", "from_markup")
    ]
    assert made == ["contract_checks/console.py"]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_consumer_of_any_name_is_seen_in_the_review(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ADDRESS_VARIABLE, f"sqlite:///{tmp_path / 'operations.db'}")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(access_review, "told_of_exposed", lambda folder: "")
    log = OperationsLog(f"sqlite:///{tmp_path / 'operations.db'}")
    log.append(read("ML Platform"), read(name, path=f"{name}.parquet"), online(name, 1, 1, 0))
    app = typer.Typer()
    app.command()(access_review.main)
    done = CliRunner().invoke(app, ["--as-of", MAY.isoformat()])
    assert done.exit_code == 1, done.output
    (row,) = (line for line in done.stdout.splitlines() if f"{name}.parquet" in line)
    assert f"│ {name} " in row
    assert done.stdout.splitlines()[-1].startswith("2 readers")


@pytest.mark.parametrize("name", HOSTILE)
def test_every_table_shows_a_name_as_it_is(name: str) -> None:
    place = Searched(f"data/{name}.parquet", name, 3)
    unread = Searched("data", "1 file", 0, f"cannot be read: {name}")
    bins = {"edges": [0.0, 1.0], "alone": [], "counts": [1, 2, 3, 0]}
    tables: Mapping[str, RenderableType] = {
        "erase": erase._search_table([place, unread]),
        "answers": answers_table({"customer_id": [name], "orders_30d": [name]}, name),
        "baseline": freeze_baseline._table({"rows": 6, "features": {name: bins}}),
    }
    for which, table in tables.items():
        assert name in shown(table), which
    assert f"data/{name}.parquet" in shown(tables["erase"])
    assert f"cannot be read: {name}" in shown(tables["erase"])
    assert shown(tables["answers"]).count(name) == 3


@pytest.mark.parametrize("name", HOSTILE)
def test_a_report_shows_documents_and_values_as_they_are(name: str) -> None:
    findings = tuple(replace(finding, got=name, sample=(name,)) for finding in REPORT.findings)
    paper = console()
    paper.file, paper.width = StringIO(), 200
    show(replace(REPORT, contract=f"{name}.md", findings=findings), paper)
    said = str(paper.file.getvalue())
    assert said.startswith(f"{name}.md, as of ")
    assert f"why       {name}" in said and f"sample    {name}" in said


@pytest.mark.parametrize("name", HOSTILE)
def test_a_refusal_and_a_step_say_a_name_as_it_is(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit), refusals_exit(ValueError):
        raise ValueError(f"no file {name}")
    with steps(lines=True) as on_step:
        on_step(f"reading {name}")
    assert capsys.readouterr().err == f"refused: no file {name}\nreading {name}\n"


def test_a_moving_bar_reads_no_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []

    class Bars(Progress):
        def __init__(self, *columns: Any, **options: Any) -> None:
            made.extend(columns)
            super().__init__(*columns, **options)

    monkeypatch.setattr("rich.progress.Progress", Bars)
    with steps():
        pass
    assert made[0].markup is False


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("job", ["refresh", "drift", "retain", "access_review", "promote"])
def test_a_document_of_any_name_is_refused_by_its_name(
    name: str, job: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib

    monkeypatch.chdir(tmp_path)
    app = typer.Typer()
    app.command()(importlib.import_module(f"scripts.{job}").main)
    document = f"{name.replace('/', '')}.md"
    done = CliRunner().invoke(app, ["--contract", document])
    assert done.exit_code == 2
    assert done.stderr.startswith(f"refused: {document}:1: document: cannot be read")


def test_a_drifted_feature_is_still_coloured() -> None:
    contract, at = load(CONTRACT), datetime(2026, 3, 1, tzinfo=UTC)
    assert contract.view_name == VIEW
    spread = Distribution(("a", "b"), (10, 10), (2, 18), 0.5, 0.1)
    measured = Drift(at, at, {"[/x]": spread}, 1.0, 1.0, intact=True)
    paper = console()
    paper.file, paper.width = StringIO(), 200
    drift._show(measured, {"[/x]": Verdict.BLOCK}, paper)
    assert "[/x]" in paper.file.getvalue() and "block" in paper.file.getvalue()
