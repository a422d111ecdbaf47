"""Probes find what the code does wrong: the real aggregation, changed one rule at a time."""

import shutil
from collections.abc import Iterator
from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from feast_copy import apply
from kept_evidence import AS_OF, VIEW

from contract_checks import checks
from contract_checks.evidence.declared import Registry
from contract_checks.evidence.evidence import Evidence
from contract_checks.evidence.facts import MissingEvidence, ProbeRun
from contract_checks.evidence.probe_run import run_probes
from contract_checks.evidence.probes import InvalidProbes, load_probes, probes_of
from contract_checks.evidence.registry import read_registry
from contract_checks.findings import Outcome
from contract_checks.judge import judge
from contract_checks.language.contract import Contract
from contract_checks.language.loader import load

assert checks.__all__, "importing the package binds the checks"

ROOT = Path(__file__).parents[2]
ROOMS = (
    "contracts",
    "contract_checks",
    "feature_access",
    "feature_pipeline",
    "feature_repo",
    "storage",
)
CONTRACT = "contracts/customer_profile_v1.md"

ONE_PASS = "feature_pipeline/change_log/running_sums.py"

# File, what it says, what it is made to say, and the clauses whose probes must notice.
WRONG: dict[str, tuple[str, str, str, set[str]]] = {
    "a window a microsecond longer": (
        ONE_PASS,
        "happened + self._window",
        "happened + self._window + 1",
        {"§3 lookback window"},
    ),
    "a window a microsecond shorter": (
        ONE_PASS,
        "happened + self._window",
        "happened + self._window - 1",
        {"§3 lookback window"},
    ),
    "stamped when it happened, not when it arrived": (
        ONE_PASS,
        "in_force_from = arrived",
        "in_force_from = happened",
        {"§3 point-in-time correctness"},
    ),
    "the last to arrive counts": (
        ONE_PASS,
        "ORDER BY customer_id, event_timestamp, created_timestamp",
        "ORDER BY customer_id, CAST(event_timestamp AS DATE), created_timestamp",
        {"§5.1 dedup rules"},
    ),
    "days end in another zone": (
        ONE_PASS,
        "_begins(happened // DAY)",
        "_begins((happened - 5 * DAY // 24) // DAY)",
        {"§3 timestamp timezone"},
    ),
    "the average of the days' averages": (
        ONE_PASS,
        "nearest_quotients(order_value_then, orders_then)",
        "nearest_quotients(order_value_then, order_days_then)",
        {
            "§3 lookback window",
            "§3 allowed lateness",
            "§5.1 aggregation",
            "§5.1 dedup rules",
        },
    ),
    "lateness a microsecond stricter": (
        "feature_pipeline/change_log/intake.py",
        "epoch_us(created_timestamp) - epoch_us(event_timestamp) > $lateness_us",
        "epoch_us(created_timestamp) - epoch_us(event_timestamp) >= $lateness_us",
        {"§3 allowed lateness"},
    ),
    "lateness a microsecond laxer": (
        "feature_pipeline/change_log/intake.py",
        "epoch_us(created_timestamp) - epoch_us(event_timestamp) > $lateness_us",
        "epoch_us(created_timestamp) - epoch_us(event_timestamp) > $lateness_us + 1",
        {"§3 allowed lateness"},
    ),
    "the future let in": (
        "feature_pipeline/change_log/intake.py",
        "WHEN event_timestamp > created_timestamp THEN",
        "WHEN false THEN",
        {"§3 leakage guardrails"},
    ),
    "only who ordered is active": (
        "feature_pipeline/change_log/intake.py",
        "WHERE reason IS NULL\n",
        "WHERE orders > 0 AND reason IS NULL\n",
        set(),  # refused: rows would be lost, and the intake's own reckoning says so
    ),
}


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository with a real registry."""
    copy = tmp_path_factory.mktemp("probed")
    for name in (*ROOMS, "jobs", "scripts"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, copy / name, ignore=ignored)
    for name in ("feature_store.yaml", ".feastignore"):
        shutil.copy(ROOT / name, copy / name)
    (copy / "data").mkdir()
    apply(copy)
    return copy


@pytest.fixture(scope="module")
def registry(repository: Path) -> Registry:
    found = read_registry(repository)
    assert isinstance(found, Registry)
    return found


@pytest.fixture
def contract(repository: Path) -> Contract:
    return load(repository / CONTRACT)


@pytest.fixture
def restored(repository: Path) -> Iterator[None]:
    """The pipeline as it was, after a test has changed it."""
    yield
    for room in ("feature_pipeline", "contracts"):
        shutil.rmtree(repository / room)
        shutil.copytree(ROOT / room, repository / room)


def broken_by_probes(contract: Contract, run: ProbeRun | MissingEvidence) -> set[str]:
    absent = MissingEvidence("not looked at")
    nothing = {f.name: absent for f in fields(Evidence) if f.name.startswith("gathered_")}
    report = judge(contract, Evidence(as_of=AS_OF, **(nothing | {"gathered_probes": run})))
    return {finding.clause for finding in report.having(Outcome.BROKEN)}


def test_the_code_answers_as_the_contract_says(
    repository: Path, registry: Registry, contract: Contract
) -> None:
    run = run_probes(contract, repository, registry.views[VIEW])
    assert isinstance(run, ProbeRun), run
    assert len(run.answers) >= 12
    assert broken_by_probes(contract, run) == set()


@pytest.mark.parametrize("case", WRONG)
@pytest.mark.usefixtures("restored", "warm_probes")
def test_a_changed_rule_is_noticed(
    case: str, repository: Path, registry: Registry, contract: Contract
) -> None:
    file, says, instead, noticed = WRONG[case]
    text = (repository / file).read_text(encoding="utf-8")
    assert says in text
    (repository / file).write_text(text.replace(says, instead), encoding="utf-8")
    run = run_probes(contract, repository, registry.views[VIEW])
    if case == "only who ordered is active":
        assert isinstance(run, MissingEvidence)
        assert "rows were lost" in str(run)
    else:
        assert isinstance(run, ProbeRun), run
        assert broken_by_probes(contract, run) == noticed


ZONES = {
    "Europe/Berlin": (1, 2),
    "America/New_York": (-5, -4),
    "Pacific/Auckland": (12, 13),  # summer at the turn of the year
    "America/Havana": (-5, -4),  # a midnight that is skipped, and one that comes twice
    "Australia/Lord_Howe": (10.5, 11),  # half an hour
}
"""A zone, and its hours from UTC in winter and in summer."""


def in_zone(zone: str, folder: Path) -> Contract:
    """The repository's contract and probes, with another zone in §3."""
    text = (ROOT / CONTRACT).read_text(encoding="utf-8")
    says = "**Timestamp timezone:** UTC"
    assert says in text
    document = folder / "customer_profile_v1.md"
    document.write_text(text.replace(says, says.replace("UTC", zone)), encoding="utf-8")
    shutil.copy(probes_of(load(ROOT / CONTRACT)), folder)
    return load(document)


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.usefixtures("restored", "warm_probes")
def test_days_are_probed_in_the_contracts_zone(
    zone: str, repository: Path, registry: Registry, tmp_path: Path
) -> None:
    """Answered where the zone's days count, and not by a pipeline of one offset all year."""
    contract = in_zone(zone, tmp_path)
    run = run_probes(contract, repository, registry.views[VIEW])
    assert broken_by_probes(contract, run) == set()
    counting = repository / ONE_PASS
    text = counting.read_text(encoding="utf-8")
    in_utc = text.replace("self._in_utc = zone == IN_UTC", "self._in_utc = True")
    assert in_utc != text
    for hours in ZONES[zone]:
        shift = f"_begins((happened + {int(hours * 2)} * DAY // 48) // DAY)"
        fixed = in_utc.replace("_begins(happened // DAY)", shift)
        assert fixed != in_utc
        counting.write_text(fixed, encoding="utf-8")
        run = run_probes(contract, repository, registry.views[VIEW])
        assert "§3 timestamp timezone" in broken_by_probes(contract, run)


@pytest.mark.parametrize(
    ("zone", "days"),
    [
        ("UTC", []),
        ("Asia/Tokyo", []),
        ("Europe/Berlin", ["2024-03-31", "2024-04-01", "2024-10-27", "2024-10-28"]),
        ("America/New_York", ["2024-03-10", "2024-03-11", "2024-11-03", "2024-11-04"]),
        ("Africa/Cairo", ["2024-04-26", "2024-04-27", "2024-10-31", "2024-11-01"]),
        ("Asia/Almaty", ["2024-02-29", "2024-03-01"]),  # one change, for good
    ],
)
def test_both_ends_of_every_day_of_change_are_probed(
    zone: str, days: list[str], tmp_path: Path
) -> None:
    contract = in_zone(zone, tmp_path)
    probes = load_probes(contract, probes_of(contract)).probes
    of_midnight = [p for p in probes if p.clause == "§3 timestamp timezone"]
    said = "a day ends at midnight in the contract's zone"
    assert [p.name for p in of_midnight] == [said, *(f"{said} ({day})" for day in days)]
    for probe, day in zip(of_midnight, ["2024-03-08", *days], strict=True):
        before, after = (
            event.happened.astimezone(ZoneInfo(zone)).date().isoformat() for event in probe.events
        )
        assert before < after == day
        assert probe.events[1].happened - probe.events[0].happened == timedelta(microseconds=1)
        assert probe.asked_at - probe.events[1].happened == timedelta(hours=60)


def test_probes_in_utc_are_those_that_versions_were_promoted_with() -> None:
    """Records of promotions name a probe by the digest of its events (§10)."""
    contract = load(ROOT / CONTRACT)
    probes = load_probes(contract, probes_of(contract)).probes
    assert {p.asked_at.isoformat() for p in probes} == {"2024-03-10T12:00:00+00:00"}
    before, after = next(p for p in probes if p.clause == "§3 timestamp timezone").events
    assert before.happened.isoformat() == "2024-03-07T23:59:59.999999+00:00"
    assert after.happened.isoformat() == "2024-03-08T00:00:00+00:00"


def test_another_window_moves_the_probes(
    repository: Path, registry: Registry, tmp_path: Path
) -> None:
    text = (repository / CONTRACT).read_text(encoding="utf-8")
    for says, instead in (
        ("**Lookback window:** 30d", "**Lookback window:** 31d"),
        ("Rolling 30-day window", "Rolling 31-day window"),
        ("last 30 days.", "last 31 days."),
    ):
        assert says in text
        text = text.replace(says, instead)
    document = tmp_path / "customer_profile_v1.md"
    document.write_text(text, encoding="utf-8")
    shutil.copy(probes_of(load(repository / CONTRACT)), tmp_path)
    moved = load(document)
    edges = load_probes(moved, probes_of(moved)).probes[0].events[0]
    original = load(repository / CONTRACT)
    before = load_probes(original, probes_of(original)).probes[0].events[0]
    assert edges.happened - before.happened == original.time.lookback - moved.time.lookback


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("job = 1 probe", "see docs/contract.md"),
        ('job = "x"', "'probe'"),
        ('job="x"\n[[probe]]\nclause="§9 nothing"\nname="n"\nevents=[]\nexpect={}', "no clause"),
        (
            'job="x"\n[[probe]]\nclause="§5.1 filters"\nname="n"\nevents=[]\nexpect={other=1}',
            "no features",
        ),
        (
            'job="x"\n[[probe]]\nclause="§5.1 filters"\nname="n"\n'
            'events=[{at="T - a while"}]\nexpect={orders_30d=1}',
            "is not T followed by terms",
        ),
        (
            'job="x"\n[[probe]]\nclause="§5.1 filters"\nname="n"\n'
            'events=[{at="midnight of T"}]\nexpect={orders_30d=1}',
            "is not midnight followed by terms",
        ),
        (
            'job="x"\n[[probe]]\nclause="§5.1 filters"\nname="n"\n'
            "events=[{at=2024-03-08T00:00:00Z}]\nexpect={orders_30d=1}",
            "does not start at T or midnight",
        ),
        (
            'job="x"\n[[probe]]\nclause="§5.1 filters"\nname="n"\nevents=[]\nexpect={}',
            "'n' expects nothing",
        ),
    ],
)
def test_an_unreadable_probe_set_says_why(written: str, told: str, tmp_path: Path) -> None:
    contract = load(ROOT / CONTRACT)
    path = tmp_path / "set.probes.toml"
    path.write_text(written, encoding="utf-8")
    with pytest.raises(InvalidProbes, match=told):
        load_probes(contract, path)


def test_reading_offline_before_there_is_anything_is_an_error(repository: Path) -> None:
    import pandas as pd

    from feature_access.offline_stores.duckdb_store import OfflineStoreEmptyError
    from feature_access.registry import open_store

    store = open_store(repository)
    frame = pd.DataFrame({"customer_id": [1], "event_timestamp": [AS_OF]})
    job = store.get_historical_features(frame, store.get_feature_service("customer_profile"))
    with pytest.raises(
        OfflineStoreEmptyError, match=r"holds nothing of customer_profile_v1.*refresh"
    ):
        job.to_df()
