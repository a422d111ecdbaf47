"""The documentation is tested: its commands run, its tables are made again, its lists are whole."""

import importlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer
from corpus_case import read_case
from fault_cases import EVERY, TABLE
from fault_table import numbers_in
from feast_copy import HISTORY, run
from typer.core import TyperGroup, TyperOption

import contract_checks.checks  # noqa: F401  (importing binds them)
from contract_checks.cli import app as contract_checks_app
from contract_checks.evidence.probes import load_probes
from contract_checks.judge import CHECKS
from contract_checks.language.form import CLAUSES, Clause
from contract_checks.language.loader import load
from feature_pipeline.aggregation.reading import load as load_declaration
from feature_pipeline.declared.log import compute_log
from jobs.demonstration.draw_one_customer import picture
from jobs.demonstration.one_customer import (
    EVENTS,
    PREDICTION,
    START,
    events_table,
    rows_table,
    tell,
)
from jobs.repository import CONTRACT
from storage.duckdb_session import parquet_at
from storage.parquet_table import drop

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "data").glob("*.md")]
)


def text(document: str) -> str:
    return (ROOT / document).read_text(encoding="utf-8")


def blocks(document: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text(document), re.DOTALL | re.MULTILINE)


def commands(block: str) -> list[str]:
    return [line for line in block.splitlines() if line and not line.startswith("#")]


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


# README.md


@pytest.fixture
def copy(kept_repository: Path, tmp_path: Path) -> Path:
    """The project in a folder of its own, after `make demo`."""
    repository = tmp_path / "copy"
    shutil.copytree(kept_repository, repository, symlinks=True)
    labels = {"customer_id": [1, 10], "event_timestamp": pd.to_datetime(["2017-11-15T12:00Z"] * 2)}
    pd.DataFrame(labels).to_parquet(repository / "data" / "labels.parquet")
    return repository


def the_readmes(repository: Path) -> dict[str, str]:
    """The environment of its commands."""
    return {
        **os.environ,
        "PYTHONPATH": str(repository),
        "FEATURE_STORE_HASH_KEY": "sixteen or more characters",
        "COLUMNS": "100",
    }


def test_every_command_of_the_readme_runs_and_its_report_is_real(copy: Path) -> None:
    _setup, daily = blocks("README.md", "sh")
    assert len(commands(daily)) == 5
    for command in commands(daily):
        program, *words = shlex.split(command)
        done = run(copy, Path(program).name, *words, env=the_readmes(copy))
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    assert (copy / "data" / "training_set.parquet").is_file()

    (snippet,) = blocks("README.md", "python")
    done = subprocess.run(  # as a person does, with nothing loaded
        [sys.executable, "-c", snippet],
        cwd=copy,
        env=the_readmes(copy),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr

    spoil(copy)
    apply, *_, check = (command.removeprefix(".venv/bin/").split() for command in commands(daily))
    assert run(copy, *apply, env=the_readmes(copy)).returncode == 0
    report = run(copy, *check, env=the_readmes(copy))
    assert report.returncode == 1, report.stderr
    (shown,) = blocks("README.md", "text")
    lines = [line for line in shown.splitlines() if line != "..."]
    assert len(lines) > 10
    printed = iter(report.stdout.splitlines())
    # `in` goes on from where the last line was found: the README's lines stand in this order.
    assert [line for line in lines if line not in printed] == [], report.stdout


def spoil(repository: Path) -> None:
    """What the README says someone did."""
    declarations = repository / "feature_repo" / "customer_profile.py"
    code = declarations.read_text(encoding="utf-8")
    assert code.count("ttl=timedelta(days=30)") == 1
    declarations.write_text(code.replace("ttl=timedelta(days=30)", "ttl=timedelta(days=7)"))
    history = repository / HISTORY
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"CREATE TABLE h AS FROM read_parquet('{parquet_at(history)}')")
        drop(history)
        connection.execute(
            "UPDATE h SET orders_30d = -1 WHERE (customer_id, event_timestamp) IN "
            "(SELECT (customer_id, min(event_timestamp)) FROM h WHERE customer_id IN (1, 2, 3) "
            "GROUP BY customer_id)"
        )
        connection.execute(f"COPY h TO '{history}' (FORMAT parquet)")


def test_the_two_commands_are_targets_of_the_makefile() -> None:
    setup, _daily = blocks("README.md", "sh")
    assert commands(setup) == ["make demo", "make test"]
    targets = set(re.findall(r"^([a-z-]+):", text("Makefile"), re.MULTILINE))
    assert {"demo", "test"} <= targets
    documented = re.findall(r"^\| `make ([a-z-]+)`", text("docs/commands.md"), re.MULTILINE)
    assert sorted(documented) == sorted(targets)


def test_the_map_shows_every_room() -> None:
    setuptools = tomllib.loads(text("pyproject.toml"))["tool"]["setuptools"]
    packages = {pattern.rstrip("*") for pattern in setuptools["packages"]["find"]["include"]}
    rooms = packages | {"contracts", "data", "tests"}
    assert len(rooms) > 7
    shown = re.findall(r"^\| (`.*?) \|", text("README.md"), re.MULTILINE)
    assert {room for room in rooms if not any(f"`{room}/`" in row for row in shown)} == set()


# docs/time-semantics.md


def test_the_tables_of_one_customer_are_what_the_aggregation_writes() -> None:
    story, document = tell(load(CONTRACT)), text("docs/time-semantics.md")
    assert len(EVENTS) > 3
    assert len(story.rows) > len(EVENTS)
    assert events_table(story) in document
    assert rows_table(story) in document


def test_the_picture_of_one_customer_is_drawn_again_byte_for_byte() -> None:
    assert picture(tell(load(CONTRACT))).encode() == (ROOT / "docs/one-customer.svg").read_bytes()


def test_the_answers_the_document_quotes_are_the_rows() -> None:
    rows = tell(load(CONTRACT)).rows

    def orders_at(day: int, hour: int) -> int:
        asked = START.replace(day=day, hour=hour)
        return [row["orders_30d"] for row in rows if row["event_timestamp"] <= asked][-1]

    quoted = re.findall(
        r"asked at (\d) Mar (\d\d):00, .*?answer\s+is (?:still )?(\d)",
        text("docs/time-semantics.md"),
        re.DOTALL,
    )
    assert len(quoted) == 2
    assert [orders_at(int(day), int(hour)) for day, hour, _ in quoted] == [
        int(answer) for *_, answer in quoted
    ]
    assert (str(PREDICTION.day), f"{PREDICTION:%H}") in [(day, hour) for day, hour, _ in quoted]


# docs/aggregations.md


def test_the_example_of_a_declaration_makes_its_rows(tmp_path: Path) -> None:
    tables = re.findall(
        r"(?:^\| account .*\n)(?:^\|.*\n)+", text("docs/aggregations.md"), re.MULTILINE
    )
    told, expected = (table_of(table) for table in tables)
    kinds = {"paid": pa.decimal128(12, 2), "order": pa.int64()}
    columns = {
        name: pa.array([row[name] or None for row in told]).cast(kinds.get(name, pa.string()))
        for name in told[0]
    }
    for name in ("event_timestamp", "created_timestamp"):
        moments = [datetime.fromisoformat(f"{row[name]}+00:00") for row in told]
        columns[name] = pa.array(moments, pa.timestamp("us", tz="UTC"))
    events, log = tmp_path / "events.parquet", tmp_path / "log.parquet"
    pq.write_table(pa.table(columns), events)
    declaration = tmp_path / "account_v1.aggregation.toml"
    declaration.write_text(blocks("docs/aggregations.md", "toml")[0], encoding="utf-8")
    compute_log(
        events,
        log,
        tmp_path / "aside.parquet",
        load_declaration(declaration),
        as_of=datetime(2026, 2, 1, tzinfo=UTC),
        allowed_lateness=timedelta(hours=48),
    )
    assert [shown(row) for row in pq.read_table(log).to_pylist()] == expected


def table_of(markdown: str) -> list[dict[str, str]]:
    names, _, *rows = map(cells, markdown.splitlines())
    return [dict(zip(names, row, strict=True)) for row in rows]


def shown(row: dict[str, Any]) -> dict[str, str]:
    return {
        name: f"{value:%Y-%m-%d %H:%M}"
        if isinstance(value, datetime)
        else f"{value.normalize():f}"
        if isinstance(value, Decimal)
        else str(value)
        for name, value in row.items()
    }


# docs/commands.md


def command_lines() -> dict[str, Any]:
    """Every command line of the house, by the name its documentation has."""
    found: dict[str, Any] = {}
    for path in sorted((ROOT / "scripts").glob("*.py")):
        if '__name__ == "__main__"' in path.read_text(encoding="utf-8"):
            script = typer.Typer(add_completion=False)
            script.command()(importlib.import_module(f"scripts.{path.stem}").main)
            found[f"scripts/{path.name}"] = typer.main.get_command(script)
    group = typer.main.get_command(contract_checks_app)
    assert isinstance(group, TyperGroup)
    return found | {f"contract-checks {name}": c for name, c in group.commands.items()}


def test_every_command_is_documented_with_its_arguments_and_exit_codes() -> None:
    known = command_lines()
    heading, *parts = re.split(
        r"^### (.+)$", text("docs/commands.md").split("\n## Feast")[0], flags=re.MULTILINE
    )
    documented = dict(zip(parts[::2], parts[1::2], strict=True))
    assert heading
    assert len(known) > 8
    assert sorted(documented) == sorted(known)
    for name, section in documented.items():
        arguments = re.findall(r"^\| `([A-Za-z_-]+)", section, re.MULTILINE)
        assert sorted(arguments) == sorted(map(spelled, known[name].params)), name
        assert re.search(r"^Exit: 0 .*\b2 ", section, re.MULTILINE | re.DOTALL), name


def spelled(parameter: Any) -> str:
    if isinstance(parameter, TyperOption):
        return parameter.opts[0]
    return (parameter.metavar or str(parameter.name).upper()).strip("[.]")


# docs/production.md


def read_of_the_environment() -> set[str]:
    """Variables of ours that the code, a profile or the upstream project names."""
    rooms = (
        "contract_checks",
        "feature_access",
        "feature_pipeline",
        "feature_repo",
        "jobs",
        "scripts",
        "storage",
    )
    rooms += ("customer_activity", "migrations", "profiles", "schedules")
    files = [*ROOT.glob("*.py"), *ROOT.glob("*.y*ml")]
    for room in rooms:
        files += [p for p in (ROOT / room).rglob("*") if ".venv" not in p.parts and p.is_file()]
    code = [p.read_text(encoding="utf-8") for p in files if p.suffix in (".py", ".yaml", ".yml")]
    return set(re.findall(r"\bFEATURE_STORE_[A-Z_]*[A-Z]\b", "\n".join(code)))


def test_every_variable_that_the_code_reads_is_in_one_table() -> None:
    section = text("docs/production.md").split("\n## What it asks for\n")[1].split("\n## ")[0]
    rows = [cells(line) for line in section.splitlines() if line.startswith("| `")]
    assert {len(row) for row in rows} == {3}
    named = [row[0].strip("`") for row in rows]
    assert len(named) == len(set(named))
    assert set(named) == read_of_the_environment()
    assert len(named) > 15


# docs/contract.md

CLAUSE_ROWS = {
    row[0]: row
    for line in text("docs/contract.md").splitlines()
    if line.startswith("| §")
    for row in [cells(line)]
}


def test_every_clause_is_documented() -> None:
    assert len(CLAUSE_ROWS) > 70
    assert list(CLAUSE_ROWS) == [clause.id for clause in CLAUSES if not clause.group]


def test_every_check_stands_beside_its_clause() -> None:
    assert len(CHECKS) > 30
    bound: dict[str, set[str]] = {}
    for check in CHECKS:
        bound.setdefault(check.clause, set()).add(check.name)
    expected = {c.id: bound.get(c.id, {"people"}) for c in CLAUSES if not c.group}
    shown = {
        clause: set(re.findall(r"`(.+?)`", row[-1])) or {row[-1]}
        for clause, row in CLAUSE_ROWS.items()
    }
    assert {clause: bound for clause, bound in expected.items() if shown[clause] != bound} == {}


EXAMPLES = [
    pytest.param(clause, example, id=f"{clause.id}: {example}")
    for clause in CLAUSES
    if clause.id in CLAUSE_ROWS
    for example in re.findall(r"`(.+?)`", CLAUSE_ROWS[clause.id][2])
]


@pytest.mark.parametrize(("clause", "example"), EXAMPLES)
def test_a_value_shown_can_be_read(clause: Clause, example: str) -> None:
    assert len(EXAMPLES) > 60
    if clause.entry:
        label, _, value = example.rpartition(": ")
        clause.entry(label or "feature", value)
    else:
        clause.reader(example)


def test_the_probe_set_shown_can_be_read(tmp_path: Path) -> None:
    _, shown = blocks("docs/contract.md", "toml")
    file = tmp_path / "shown.probes.toml"
    file.write_text(shown, encoding="utf-8")
    probes = load_probes(load(CONTRACT), file)
    assert (ROOT / probes.job).is_file()
    assert len(probes.probes) == 1


def test_the_case_shown_is_one_of_the_corpus(tmp_path: Path) -> None:
    shown, _ = blocks("docs/contract.md", "toml")
    (tmp_path / "case.toml").write_text(shown, encoding="utf-8")
    case = read_case(tmp_path)
    there = read_case(ROOT / "tests/corpus/customer_profile_v1/registry_ttl_a_day_longer")
    assert (case.what, case.edits) == (there.what, there.edits)
    assert case.breaks.keys() == there.breaks.keys()


# all of it


def test_links_lead_somewhere() -> None:
    links = [
        (document, link)
        for document in DOCUMENTS
        for link in re.findall(r"\]\(([^)\s]+)\)", document.read_text(encoding="utf-8"))
        if not link.startswith("https://")
    ]
    assert len(links) > 8
    missing = [
        f"{document.name}: {link}"
        for document, link in links
        if not (document.parent / link.split("#")[0]).exists()
    ]
    assert missing == []


def test_the_table_of_faults_is_of_what_the_suite_tries() -> None:
    assert numbers_in(TABLE) == EVERY
    assert EVERY.total() >= 300


# docs/architecture.md


def test_every_room_has_its_rule_and_every_place_that_is_named_is_there() -> None:
    document = text("docs/architecture.md")
    named = set(re.findall(r"`([a-z_]+/[\w/.]*)(?:::\w+)?`", document))
    assert len(named) > 25
    assert {place for place in named if not (ROOT / place).exists()} == set()
    folders = [
        p
        for room in ("feature_pipeline", "feature_access", "jobs")
        for p in (ROOT / room).iterdir()
    ]
    rooms = {f"{p.relative_to(ROOT)}/" for p in folders if (p / "__init__.py").exists()}
    assert len(rooms) > 17
    assert rooms - named == set()
