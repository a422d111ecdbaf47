"""`contract-checks scaffold`: what it writes is what a team would write, and holds its contract."""

import json
import re
import runpy
import shutil
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer
from click.testing import Result
from corpus_case import read_case
from feast_copy import ROOT, apply, copy_of_the_project, run
from typer.testing import CliRunner

import contract_checks.checks  # noqa: F401  (importing binds them)
from contract_checks.commands.scaffold import scaffold
from contract_checks.digest import digest_of_file
from contract_checks.evidence.drift import freeze
from contract_checks.evidence.evidence import Evidence
from contract_checks.evidence.facts import MissingEvidence
from contract_checks.evidence.gather import gather
from contract_checks.evidence.probes import load_probes, probes_of
from contract_checks.evidence.registry import read_registry
from contract_checks.evidence.tables import (
    interval_digest,
    offline_sessions,
    read_offline_store,
)
from contract_checks.findings import Finding, Outcome
from contract_checks.judge import CHECKS, judge
from contract_checks.language.loader import load
from contract_checks.operations.log import OperationsLog, Record, address_of
from contract_checks.scaffold.declared import declared_entities
from contract_checks.scaffold.literals import argument, length_of_time

OURS = ROOT / "contracts" / "customer_profile_v1.md"
OTHERS = ROOT / "tests" / "contracts"
STORES = OTHERS / "store_traffic_v1.md"
DOCUMENTS = [OURS, *sorted(OTHERS.glob("*.md"))]
NAMES = [document.stem for document in DOCUMENTS]

COMMAND = typer.Typer()
COMMAND.command()(scaffold)


def scaffolded(document: Path, repository: Path, *options: str) -> Result:
    given = [str(document), "--repository", str(repository), *options]
    return CliRunner().invoke(COMMAND, given, catch_exceptions=False)


def write(document: Path, repository: Path) -> None:
    done = scaffolded(document, repository)
    assert done.exit_code == 0, done.output


def bare(to: Path) -> Path:
    """A repository in which nothing is declared yet."""
    copy_of_the_project(to)
    shutil.rmtree(to / "feature_repo")
    (to / "feature_repo").mkdir()
    shutil.copy(ROOT / "pyproject.toml", to)
    return to


def files(repository: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(repository)): path.read_bytes()
        for path in repository.rglob("*")
        if path.is_file()
    }


def edition(document: Path, to: Path, *changes: tuple[str, str]) -> Path:
    """A document of the same form that says something else."""
    text = document.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    to.write_text(text, encoding="utf-8")
    return to


def in_ruffs_own_words(folder: Path, *paths: str) -> None:
    for command in (["check"], ["format", "--check"]):
        done = run(folder, "ruff", *command, "--no-cache", "--config", "pyproject.toml", *paths)
        assert done.returncode == 0, done.stdout + done.stderr


# What is written


@pytest.fixture(scope="module")
def all_four(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with every valid contract's feature in it, as written, and applied."""
    repository = bare(tmp_path_factory.mktemp("all") / "repository")
    for document in DOCUMENTS:
        write(document, repository)
    apply(repository)
    return repository


def declared(repository: Path, document: Path) -> list[Finding]:
    """What the checks say that look at nothing but the registry."""
    nothing = {f.name: MissingEvidence("") for f in fields(Evidence) if f.name != "as_of"}
    present = {"as_of": datetime(2026, 3, 1, tzinfo=UTC)}
    registry = {"gathered_registry": read_registry(repository)}
    evidence = Evidence(**{**nothing, **present, **registry})
    contract = load(document)
    found = [f for c in CHECKS if c.held_in == "registry" for f in c.run(contract, evidence)]
    assert {f.clause[:2] for f in found} == {"§1", "§2", "§3", "§4", "§8", "§9"}
    return found


def not_kept(findings: list[Finding]) -> dict[str, str]:
    return {f.clause: f.got for f in findings if f.outcome is not Outcome.KEPT}


@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
def test_what_is_registered_keeps_every_declaration(document: Path, all_four: Path) -> None:
    assert not_kept(declared(all_four, document)) == {}


def test_what_is_written_is_formatted_and_literal(all_four: Path) -> None:
    in_ruffs_own_words(all_four, "feature_repo")
    modules = sorted((all_four / "feature_repo").glob("*.py"))
    assert len(modules) == len(DOCUMENTS)
    for module in modules:
        text = module.read_text(encoding="utf-8")
        assert "contract_checks" not in text
        assert not re.search(r"^\s*(for|while|with|if|def|class)\b|open\(|read", text, re.MULTILINE)


def test_types_and_defaults_follow_the_contract(all_four: Path) -> None:
    registry = read_registry(all_four)
    assert not isinstance(registry, MissingEvidence)

    def told(view: str) -> dict[str, tuple[str, str | None]]:
        return {f.name: (f.dtype, f.default) for f in registry.views[view].fields}

    assert told("store_traffic_v1") == {
        "visitors_28d": ("Int64", "0"),
        "open_days_28d": ("Int64", "0"),
        "avg_visitors_28d": ("Float64", "0"),
    }
    assert told("device_session_v1") == {
        "plan_tier": ("String", None),
        "sessions_90d": ("Int64", None),
        "temperature_change": ("Float64", None),
    }
    risk = told("merchant_risk_v2")
    assert risk["chargeback_ratio_7d"] == ("Float64", "0")  # from 0 to 1, and yet no count
    assert risk["paid_7d"] == ("Float64", "0")  # no bounds at all
    # An entity of Feast has one join key.
    device = registry.views["device_session_v1"].entities
    assert [(e.name, e.join_keys, e.dtype) for e in device] == [
        ("device", ("device_id",), "INT64"),
        ("region_code", ("region_code",), "STRING"),
    ]
    # A draft is served by nobody, the active ones by two services each.
    assert sorted(registry.services) == sorted(
        name
        for feature, version in (
            ("customer_profile", 1),
            ("merchant_risk", 2),
            ("store_traffic", 1),
        )
        for name in (feature, f"{feature}_v{version}")
    )
    assert registry.views["merchant_risk_v2"].source_path == str(
        all_four.resolve() / "data" / "warehouse" / "risk" / "merchant_risk_log.parquet"
    )


@pytest.mark.parametrize(
    ("status", "services"), [("Deprecated", ["store_traffic_v1"]), ("Retired", [])]
)
def test_services_are_those_of_the_status(status: str, services: list[str], tmp_path: Path) -> None:
    repository = bare(tmp_path / "repository")
    document = edition(STORES, tmp_path / "store_traffic_v1.md", ("Active", status))
    write(document, repository)
    in_ruffs_own_words(repository, "feature_repo")
    from feast import FeatureService

    objects = runpy.run_path(str(repository / "feature_repo" / "store_traffic.py")).values()
    assert [o.name for o in objects if isinstance(o, FeatureService)] == services


def test_every_case_of_the_corpus_breaks_its_clause_and_no_other(
    all_four: Path, tmp_path: Path
) -> None:
    repository = Path(shutil.copytree(all_four, tmp_path / "changed"))
    expected: dict[Path, dict[str, str]] = {}
    for document in DOCUMENTS:
        folders = sorted((repository / "tests" / "corpus" / document.stem).iterdir())
        cases = [read_case(folder) for folder in folders]
        assert len(cases) == 3
        for case in cases:
            case.change(repository)
        found = {name: got for case in cases for name, (got,) in case.breaks.items()}
        expected[document] = {name.partition(": ")[0]: got for name, got in found.items()}
    apply(repository)
    for document in DOCUMENTS:
        now = not_kept(declared(repository, document))
        assert now == expected[document]
        assert now.keys() == {"§1 owner", "§1 version", "§3 lookback window"}


def uncommented(probes: Path) -> str:
    """The probe set with its examples in force."""
    lines = probes.read_text(encoding="utf-8").replace("probe = []\n", "").splitlines()
    inside = re.compile(r"# (\[\[probe\]\]|clause =|name =|events =|  \{|\]|expect =)")
    return "\n".join(line.removeprefix("# ") if inside.match(line) else line for line in lines)


@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
def test_the_probe_set_is_valid_and_empty_and_its_examples_cover_every_clause(
    document: Path, all_four: Path
) -> None:
    contract = load(all_four / "contracts" / document.name)
    written = probes_of(contract)
    empty = load_probes(contract, written)
    feature = contract.overview.feature_name
    assert (empty.job, empty.probes) == (f"scripts/aggregate_{feature}.py", ())
    written = written.with_name("filled.toml")
    written.write_text(uncommented(probes_of(contract)), encoding="utf-8")
    filled = load_probes(contract, written)
    written.unlink()
    probed = {check.clause for check in CHECKS if check.name == "probes-are-answered"}
    without = {
        "merchant_risk_v2": {"§5.1 filters"},  # five events, each the team's own
        "device_session_v1": {"§5.1 edge cases"},  # a null, which no probe can expect
    }
    assert {p.clause for p in filled.probes} == probed - without.get(document.stem, set())
    assert all(probe.expected for probe in filled.probes)
    (rule,) = (p for p in filled.probes if p.clause == "§5.1 dedup rules")
    keep = {"latest": max, "earliest": min}[contract.definition.dedup.keep]
    stands = keep(rule.events, key=lambda event: event.happened)
    assert set(rule.expected.values()) == {stands.values["amount"]}


# Words and names of every kind


def test_words_of_every_kind_and_length_come_through_unchanged(tmp_path: Path) -> None:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    said = ["plain", "O'Brien's", '"quoted"', "back\\slash", "{{ 7 * 7 }}", "é–≤", "x", "#"]
    texts = [
        " ".join(said[(n * 7 + i * i) % len(said)] for i in range(1 + n // 6))[:n].strip()
        for n in range(1, 330)
    ]
    arguments = "\n".join(argument(f"    a{n}=", text) for n, text in enumerate(texts))
    entries = "\n".join(argument(f'    "tag{n:020}": ', text) for n, text in enumerate(texts))
    source = f"ARGUMENTS = dict(  # noqa: C408\n{arguments}\n)\n\nENTRIES = {{\n{entries}\n}}\n"
    (tmp_path / "literals.py").write_text(source, encoding="utf-8")
    got = runpy.run_path(str(tmp_path / "literals.py"))
    assert list(got["ARGUMENTS"].values()) == list(got["ENTRIES"].values()) == texts
    in_ruffs_own_words(tmp_path, "literals.py")


@pytest.mark.parametrize(
    ("length", "written"),
    [
        (timedelta(days=30), "timedelta(days=30)"),
        (timedelta(hours=36), "timedelta(hours=36)"),
        (timedelta(minutes=90), "timedelta(minutes=90)"),
        (timedelta(milliseconds=1500), "timedelta(milliseconds=1500)"),
    ],
)
def test_a_length_of_time_is_in_its_largest_unit(length: timedelta, written: str) -> None:
    assert length_of_time(length) == written


def test_a_hostile_document_is_still_a_sound_module(tmp_path: Path) -> None:
    owner = """O'Brien's "Wall" \\ {{ 7 * 7 }} {% raw %} team"""
    purpose = "How *many* people " + 'came "through" a store\'s doors, day by day, ' * 9 + "in all."
    document = edition(
        STORES,
        tmp_path / "class_v1.md",
        ("**Owner (team):** Store Operations", f"**Owner (team):** {owner}"),
        ("**Primary entity:** store\n", "**Primary entity:** return\n"),
        ("retail.store_traffic_log", "retail.class_v1"),  # as the view
        ("store_traffic", "class"),
        (load(STORES).prose["§5.1 definition"], purpose),
    )
    repository = bare(tmp_path / "repository")
    write(document, repository)
    in_ruffs_own_words(repository, "feature_repo")
    module = runpy.run_path(str(repository / "feature_repo" / "class.py"))
    kinds = ["Entity", "FeatureService", "FeatureService", "FeatureView", "FileSource"]
    objects = [o for o in module.values() if type(o).__name__ in kinds]
    # None has taken another one's variable.
    assert sorted(type(o).__name__ for o in objects) == kinds
    (view,) = (o for o in objects if type(o).__name__ == "FeatureView")
    contract = load(document)
    assert (view.name, view.owner, view.description) == ("class_v1", owner, purpose)
    assert contract.overview.owner == owner
    assert view.entities == ["return"]
    assert view.batch_source.name == "retail.class_v1"
    for folder in (repository / "tests" / "corpus" / "class_v1").iterdir():
        (edit,) = read_case(folder).edits
        text = (repository / edit["file"]).read_text(encoding="utf-8")
        assert text.count(edit["old"]) == 1


def test_entities_are_found_in_whatever_form_they_are_declared(tmp_path: Path) -> None:
    for name, text in {
        "entities.py": 'customer = Entity(join_keys=[], name="customer_id")\nEntity(name="lost")',
        "retail/__init__.py": 'store = feast.Entity(name="store")\nother = Field(name="other")',
        "broken.py": 'city = Entity(name="city"\n',
        "made.py": "town = Entity(name=NAME)",
    }.items():
        path = tmp_path / "feature_repo" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert declared_entities(tmp_path) == {
        "customer_id": ("feature_repo.entities", "customer"),
        "store": ("feature_repo.retail", "store"),
    }


def test_a_second_feature_shares_the_entity_that_is_there(tmp_path: Path) -> None:
    repository = copy_of_the_project(tmp_path / "repository")
    document = edition(
        OURS,
        tmp_path / "customer_habits_v1.md",
        ("customer_profile", "customer_habits"),
        ("customer_features_offline", "customer_habits_log"),
    )
    write(document, repository)
    shutil.copy(ROOT / "pyproject.toml", repository)
    in_ruffs_own_words(repository, "feature_repo/customer_habits.py")
    text = (repository / "feature_repo" / "customer_habits.py").read_text(encoding="utf-8")
    assert "from feature_repo.entities import customer\n" in text
    assert "Entity(" not in text
    apply(repository)
    registry = read_registry(repository)
    assert not isinstance(registry, MissingEvidence)
    assert [*registry.entities] == ["customer_id"]
    for own in (document, OURS):
        assert not_kept(declared(repository, own)) == {}


# What it refuses


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    shutil.copy(ROOT / "feature_store.yaml", folder)
    return folder


def test_nothing_is_overwritten_and_all_that_stands_is_named(repository: Path) -> None:
    write(STORES, repository)
    (repository / "contracts" / "store_traffic_v1.md").write_text("another", encoding="utf-8")
    before = files(repository)
    assert len(before) == 1 + 6
    for options in ((), ("--dry-run",)):
        done = scaffolded(STORES, repository, *options)
        assert (done.exit_code, done.stdout) == (2, "")
        assert all(name in done.stderr for name in before if name != "feature_store.yaml")
        assert files(repository) == before


@pytest.mark.parametrize("stands", ["feature_repo/store_traffic.py", "contracts/linked"])
def test_one_file_that_stands_is_enough_to_refuse(stands: str, repository: Path) -> None:
    target = repository / stands
    target.parent.mkdir()
    if stands.endswith("linked"):
        target = target.with_name("store_traffic_v1.probes.toml")
        target.symlink_to("nowhere")
    else:
        target.write_text("mine", encoding="utf-8")
    before = files(repository)
    done = scaffolded(STORES, repository)
    assert done.exit_code == 2
    assert str(target.relative_to(repository)) in done.stderr
    assert "contracts/store_traffic_v1.md" not in done.stderr
    assert files(repository) == before
    assert [*repository.glob(".scaffold-*")] == []


def test_a_file_that_cannot_be_written_takes_the_others_back(repository: Path) -> None:
    (repository / "tests").mkdir()
    (repository / "tests" / "corpus").write_text("in the way", encoding="utf-8")
    before = files(repository)
    done = scaffolded(STORES, repository)
    assert done.exit_code == 2
    assert "nothing written" in done.stderr
    assert files(repository) == before


def test_the_documents_own_bytes_are_copied_and_one_that_is_there_is_left(
    repository: Path, tmp_path: Path
) -> None:
    crlf = tmp_path / "store_traffic_v1.md"
    crlf.write_bytes(b"\xef\xbb\xbf" + STORES.read_bytes().replace(b"\n", b"\r\n"))
    write(crlf, repository)
    copied = repository / "contracts" / crlf.name
    assert copied.read_bytes() == crlf.read_bytes()
    for folder in ("feature_repo", "tests"):
        shutil.rmtree(repository / folder)
    probes_of(load(copied)).unlink()
    done = scaffolded(copied, repository)
    assert done.exit_code == 0
    assert "  contracts/store_traffic_v1.md\n" not in done.stdout
    assert copied.read_bytes() == crlf.read_bytes()


def test_a_dry_run_shows_what_would_be_written_and_writes_nothing(repository: Path) -> None:
    before = files(repository)
    shown = scaffolded(STORES, repository, "--dry-run")
    assert shown.exit_code == 0
    assert files(repository) == before
    write(STORES, repository)
    added = {name: text for name, text in files(repository).items() if name not in before}
    assert len(added) == 6
    for name, text in added.items():
        assert f"==> {name} <==\n{text.decode()}" in shown.stdout


@pytest.mark.parametrize("reason", ["invalid", "no repository"])
def test_what_is_no_contract_or_no_repository_is_refused(reason: str, repository: Path) -> None:
    document = sorted((OTHERS / "invalid").glob("*.md"))[0] if reason == "invalid" else STORES
    if reason == "no repository":
        (repository / "feature_store.yaml").unlink()
    before = files(repository)
    done = scaffolded(document, repository)
    assert (done.exit_code, done.stdout) == (2, "")
    assert (document.name if reason == "invalid" else "--repository") in done.stderr
    assert files(repository) == before


def test_a_text_without_a_default_is_left_to_the_team(repository: Path, tmp_path: Path) -> None:
    document = edition(
        STORES,
        tmp_path / "store_traffic_v1.md",
        ("  - open_days_28d: 0–29\n", "  - open_days_28d: 0–29\n  - size: small, large\n"),
    )
    done = scaffolded(document, repository)
    assert done.exit_code == 0
    assert "give size a default" in done.stdout
    assert "a default" not in scaffolded(STORES, repository, "--dry-run").stdout


# From a signed document to a kept one: what a team adds, and nothing else

PRESENT = datetime(2026, 3, 1, 12, tzinfo=UTC)

JOB = '''
"""Door counts to store_traffic: a row whenever a count arrives or leaves the window."""

from argparse import ArgumentParser
from datetime import datetime

import duckdb

from contract_checks.language.loader import load
from contract_checks.operations.log import OperationsLog, Record, address_of

parser = ArgumentParser()
parser.add_argument("events")
parser.add_argument("history")
parser.add_argument("--as-of", type=datetime.fromisoformat)
parser.add_argument("--contract")
told = parser.parse_args()
time = load(told.contract).time

connection = duckdb.connect()
connection.execute("SET TimeZone = 'UTC'")
connection.execute(
    f"""
    COPY (
        WITH counts AS (
            FROM read_parquet($events) WHERE created_timestamp <= $as_of
            AND created_timestamp - counted_at BETWEEN INTERVAL 0 SECOND AND $lateness
        ),
        instants AS (
            SELECT store_id, created_timestamp AS instant FROM counts
            UNION
            SELECT store_id, counted_at + $lookback FROM counts
            WHERE counted_at + $lookback <= $as_of
        ),
        known AS (
            SELECT i.store_id, instant, visitors FROM instants AS i LEFT JOIN counts AS c
            ON i.store_id = c.store_id AND created_timestamp <= instant
            AND counted_at > instant - $lookback
            QUALIFY row_number() OVER (
                PARTITION BY i.store_id, instant, CAST(counted_at AS DATE) ORDER BY counted_at DESC
            ) = 1
        )
        SELECT store_id, instant AS counted_at,
               CAST(coalesce(sum(visitors), 0) AS BIGINT) AS visitors_28d,
               count(*) FILTER (visitors > 0) AS open_days_28d,
               coalesce(avg(visitors) FILTER (visitors > 0), 0.0) AS avg_visitors_28d
        FROM known GROUP BY store_id, instant ORDER BY instant, store_id
    ) TO '{told.history}' (FORMAT parquet)
    """,
    {
        "events": told.events,
        "as_of": told.as_of,
        "lookback": time.lookback,
        "lateness": time.allowed_lateness,
    },
)
'''


def door_counts() -> pa.Table:
    """Many stores over sixty days, each counted once a day at an hour of its own."""
    days = [PRESENT.replace(hour=0) - timedelta(days=days) for days in range(60)]
    counts: list[dict[str, Any]] = [
        {
            "store_id": store,
            "counted_at": day + timedelta(hours=store % 23),
            "created_timestamp": day + timedelta(hours=store % 23, minutes=30),
            "visitors": 10 * store,
        }
        for store in range(1, 301)
        for day in days
        if day + timedelta(hours=store % 23) < PRESENT
    ]
    zoned = pa.timestamp("us", tz="UTC")
    types = [pa.int64(), zoned, zoned, pa.int64()]
    return pa.Table.from_pylist(counts, pa.schema(list(zip(counts[0], types, strict=True))))


def judged(document: Path) -> dict[str, set[Outcome]]:
    """The outcomes of every clause of the document, in the repository it lies in."""
    contract = load(document)
    outcomes: dict[str, set[Outcome]] = {}
    for finding in judge(contract, gather(contract, document.parent.parent, PRESENT)).findings:
        outcomes.setdefault(finding.clause, set()).add(finding.outcome)
    return outcomes


def leave_records(document: Path, job: Path) -> None:
    """What the team's own jobs put on record: a day of refreshes, and a rehearsal that passed."""
    contract, repository = load(document), document.parent.parent
    registry = read_registry(repository)
    assert not isinstance(registry, MissingEvidence)
    view = registry.views[contract.view_name]
    offline = read_offline_store(contract, view, offline_sessions(contract, view)(PRESENT))
    time, week = contract.time.event_timestamp, PRESENT - timedelta(days=7)
    rows = pq.read_table(view.source_path)
    begins = PRESENT - contract.time.lookback
    lately = rows.filter([stamp > begins for stamp in rows[time].to_pylist()])
    flagged = {
        feature: int((lately[feature].to_numpy() > np.percentile(lately[feature], 99)).sum())
        for feature in contract.features
    }
    wrote = {"newest": max(rows[time].to_pylist()).isoformat(), "outliers": flagged}
    code = {"files": {str(job.relative_to(repository)): digest_of_file(job)}}
    stretch = {"from": week.isoformat(), "to": PRESENT.isoformat(), "rows": 9, "differing": 0}
    reads = {f: {"compared": 999, "mismatched": 0, "upper_bound": 0.0} for f in contract.features}
    digest = interval_digest(offline.history, time, week, PRESENT)

    def ran(name: str, minutes: int = 0, subject: str = view.name, **figures: Any) -> Record:
        at = PRESENT - timedelta(minutes=minutes)
        return Record(name, subject, at, True, 1.0, figures)

    OperationsLog(address_of(repository, {})).append(
        *(ran("refresh", minutes, **wrote) for minutes in range(0, 1500, 30)),
        ran("upstream", subject="door_counter_job"),
        ran("baseline", **freeze(contract, view, PRESENT)),
        ran("unit_tests", tests=1, failures=0, **code),
        ran("backfill", digest=digest, **stretch, **code),
        ran("canary", customers=9, differing=0, **code),
        ran("shadow_compare", reads=999, features=reads, **code),
        ran("load_test", requests=3000, errors=0, error_rate=0.0, p95_ms=2.0, **code),
    )


def test_a_second_team_comes_from_a_document_to_a_kept_contract(tmp_path: Path) -> None:
    repository = bare(tmp_path / "repository")
    write(STORES, repository)

    # What the team writes: the job, its data, and what the job must answer.
    job = repository / "scripts" / "aggregate_store_traffic.py"
    job.write_text(JOB, encoding="utf-8")
    events = repository / "data" / "retail" / "door_counts.parquet"
    events.parent.mkdir()
    pq.write_table(door_counts(), events)
    history = events.with_name("store_traffic_log.parquet")
    document = repository / "contracts" / "store_traffic_v1.md"
    given = [str(events), str(history), "--as-of", PRESENT.isoformat(), "--contract", str(document)]
    made = run(repository, "python", str(job), *given)
    assert made.returncode == 0, made.stderr
    apply(repository)
    until = PRESENT.strftime("%Y-%m-%dT%H:%M:%S")
    done = run(repository, "feast", "materialize", "2026-02-01T00:00:00", until)
    assert done.returncode == 0, done.stdout + done.stderr

    # Without probes nothing is known of the behaviour, and what is not known is not kept.
    assert judged(document)["§5.1 aggregation"] == {Outcome.UNKNOWN}

    probes = probes_of(load(document))
    probes.write_text(uncommented(probes).replace("amount", "visitors"), encoding="utf-8")
    leave_records(document, job)
    for role, name, day in (
        ("data-owner", "K. Lind", "2026-02-01"),
        ("ml-owner", "S. Aho", "2026-02-02"),
        ("platform", "Retail Data", "2026-02-02"),
    ):
        given = ["sign", str(document), "--as", role, "--name", name, "--date", day]
        assert run(repository, "contract-checks", *given).returncode == 0
    told = ["check", str(document), "--as-of", PRESENT.isoformat(), "--format", "json"]
    checked = run(repository, "contract-checks", *told)
    findings = json.loads(checked.stdout)["reports"][0]["findings"]
    assert [f["got"] for f in findings if f["outcome"] != "kept"] == []
    assert {f["clause"] for f in findings} == {check.clause for check in CHECKS}
    assert checked.returncode == 0

    # And a mistake in the job is noticed.
    job.write_text(JOB.replace("counted_at > instant -", "counted_at >= instant -"), "utf-8")
    assert Outcome.BROKEN in judged(document)["§3 lookback window"]
