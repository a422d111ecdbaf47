"""Several thresholds of drift (§7), and several latencies of reads (§11): all are held, or said."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from contract_answers import CLAUSE, OURS, answer
from kept_evidence import drifted, figured, gathered

from contract_checks import checks
from contract_checks.changes.diff import diff, read_edition
from contract_checks.changes.grades import Grade
from contract_checks.evidence.evidence import Evidence
from contract_checks.evidence.facts import Operations
from contract_checks.findings import Outcome
from contract_checks.judge import CHECKS
from contract_checks.language import odcs
from contract_checks.language.contract import Contract
from contract_checks.language.loader import load
from contract_checks.language.reading import readings
from contract_checks.language.sentence import Unreadable
from contract_checks.language.terms import DriftThreshold, Latency, Performance, Threshold

assert checks.__all__, "importing the package binds the checks"

pytestmark = pytest.mark.usefixtures("one_engine")

TEXT = "\n".join(OURS)
OURS_AT = Path(__file__).parents[3] / "contracts" / "customer_profile_v1.md"
METRICS, WARN = "**Drift metrics:** PSI", "**Warn:** PSI ≥ 0.1"
FAST = "**Performance tests:** p95 latency ≤ 50ms, error rate ≤ 0.1%"
KEPT, BROKEN, UNKNOWN = Outcome.KEPT, Outcome.BROKEN, Outcome.UNKNOWN


def psi(minimum: float, *also: tuple[str, float]) -> DriftThreshold:
    others = tuple(Threshold(metric=name, minimum=least) for name, least in also)
    return DriftThreshold(metric="PSI", minimum=minimum, also=others)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("PSI ≥ 0.1 or KS ≥ 0.08", psi(0.1, ("KS", 0.08))),
        ("KS ≥ 0.08; PSI 0.1 or more", psi(0.1, ("KS", 0.08))),
        ("PSI > 0.1, or KS > 0.08, or JS > 0.02", psi(0.1, ("JS", 0.02), ("KS", 0.08))),
    ],
)
def test_thresholds_of_several_metrics_are_all_read(text: str, value: DriftThreshold) -> None:
    for clause in ("§7 warn", "§7 fail"):
        assert CLAUSE[clause].reader(text) == value


@pytest.mark.parametrize(
    "text",
    [
        *("PSI ≥ 0.1 and KS ≥ 0.1", "PSI ≥ 0.1 or PSI ≥ 0.2", "PSI ≥ 0.1 or", "PSI ≥ 0.1, 0.2"),
        *("PSI ≥ 0.1 or KS ≥ 0.1 on weekdays", "PSI ≥ 0.1 or KS < 0.1", "PSI ≥ 0.1 or both"),
        *("PSI ≥ 0.1 unless KS ≥ 0.1", "PSI ≥ 0.1 or KS", "PSI ≥ 0.1 / KS ≥ 0.1"),
    ],
)
def test_what_is_not_a_threshold_of_each_metric_is_refused(text: str) -> None:
    with pytest.raises(Unreadable):
        CLAUSE["§7 warn"].reader(text)


def ms(count: float) -> timedelta:
    return timedelta(milliseconds=count)


THREE = Performance(
    latency_percentile=99,
    maximum_latency=ms(45),
    maximum_error_rate=0.001,
    also=(Latency(percentile=50, maximum=ms(5)), Latency(percentile=95, maximum=ms(20))),
)


@pytest.mark.parametrize(
    "text",
    [
        "p50 ≤ 5ms, p95 ≤ 20ms, p99 ≤ 45ms, error rate ≤ 0.1%",
        "error rate below 0.1%; p99 latency ≤ 45 ms; median at most 5 ms; p95 under 20 ms",
        "p50/p95/p99 ≤ 5/20/45 ms, error rate ≤ 0.1%",
        "50th percentile latency: 5 ms or less, p95: ≤ 20 ms and p99 ≤ 45 ms, errors ≤ 0.1%",
    ],
)
def test_latencies_at_several_percentiles_are_all_read(text: str) -> None:
    assert CLAUSE["§11 performance tests"].reader(text) == THREE


@pytest.mark.parametrize(
    "text",
    [
        *("p50 ≤ 5ms, p95 ≤ 20ms", "p95 ≤ 5ms, p95 ≤ 20ms, error rate ≤ 0.1%"),
        *("p50 ≥ 5ms, p95 ≤ 20ms, error rate ≤ 0.1%", "p50/p95 ≤ 5/20/45 ms, error rate ≤ 0.1%"),
        "p50 ≤ 5ms, p95 ≤ 20ms on weekdays, error rate ≤ 0.1%",
        "p50 write latency ≤ 5ms, p95 ≤ 20ms, error rate ≤ 0.1%",
        "p50 ≤ 5ms or p95 ≤ 20ms, error rate ≤ 0.1%",
        "p50 ≤ 5ms, p95 ≤ 20ms, error rate ≤ 0.1%, error rate ≤ 0.2%",
    ],
)
def test_other_words_about_latencies_are_refused(text: str) -> None:
    with pytest.raises(Unreadable):
        CLAUSE["§11 performance tests"].reader(text)


@pytest.mark.parametrize(
    ("edits", "told"),
    [
        ({WARN: f"{WARN} or KS ≥ 0.1"}, "drift metrics are PSI"),
        (
            {
                METRICS: f"{METRICS}, KS",
                WARN: f"{WARN} or KS ≥ 0.3",
                "PSI ≥ 0.2": "PSI ≥ 0.2 or KS ≥ 0.3",
            },
            "never warn",
        ),
    ],
)
def test_thresholds_fit_the_metrics_and_each_other(
    edits: dict[str, str], told: str, tmp_path: Path
) -> None:
    assert told in " ".join(p.message for p in answer(tmp_path / "a.md", edited(edits)).problems)


def edited(edits: dict[str, str]) -> str:
    text = TEXT
    for old, new in edits.items():
        assert old in text
        text = text.replace(old, new)
    return text


@pytest.mark.parametrize(
    ("old", "new", "grade"),
    [
        ("PSI ≥ 0.1", "PSI ≥ 0.1 or KS ≥ 0.1", Grade.COMPATIBLE),
        ("PSI ≥ 0.1 or KS ≥ 0.1", "PSI ≥ 0.1", Grade.BREAKING),
        ("PSI ≥ 0.1 or KS ≥ 0.1", "PSI ≥ 0.1 or KS ≥ 0.2", Grade.BREAKING),
        ("PSI ≥ 0.1 or KS ≥ 0.1", "KS ≥ 0.1; PSI ≥ 0.1", Grade.EDITORIAL),
    ],
)
def test_a_change_of_one_threshold_is_graded(
    old: str, new: str, grade: Grade, tmp_path: Path
) -> None:
    editions = []
    for name, said in (("old.md", old), ("new.md", new)):
        text = edited({METRICS: f"{METRICS}, KS", WARN: f"**Warn:** {said}"})
        (tmp_path / name).write_text(text, encoding="utf-8")
        editions.append(read_edition(tmp_path / name))
    assert diff(*editions).grade is grade
    told = {readings(edition.contract)["§7 warn"] for edition in editions}
    assert len(told) == (1 if grade is Grade.EDITORIAL else 2)


@pytest.fixture(scope="module")
def general(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    return gathered(load(OURS_AT), tmp_path_factory.mktemp("kept"))


def outcomes(check: str, promised: Contract, evidence: Evidence) -> list[Outcome]:
    (bound,) = [each for each in CHECKS if each.name == check]
    return [finding.outcome for finding in bound.run(promised, evidence)]


def promised(folder: Path, edits: dict[str, str]) -> Contract:
    (folder / "contract.md").write_text(edited(edits), encoding="utf-8")
    return load(folder / "contract.md")


@pytest.mark.parametrize(
    ("check", "moved", "outcome"),
    [
        ("metrics-are-measured", 0.0, UNKNOWN),
        ("drift-was-told", 0.0, UNKNOWN),
        ("drift-was-told", 0.15, BROKEN),
        ("drift-stays-below-the-block", 0.15, KEPT),
    ],
)
def test_a_threshold_on_what_is_not_measured_is_never_kept(
    check: str, moved: float, outcome: Outcome, general: Evidence, tmp_path: Path
) -> None:
    contract = promised(tmp_path, {METRICS: f"{METRICS}, KS", WARN: f"{WARN} or KS ≥ 0.1"})
    evidence = replace(general, gathered_drift=drifted(moved)(general.drift))
    found = outcomes(check, contract, evidence)
    assert max(found, key=[KEPT, UNKNOWN, BROKEN].index) is outcome


def after_a_load_test(evidence: Evidence, **figures: Any) -> Evidence:
    records = list(evidence.operations.records)
    change: Callable[[Any], Any] = figured("load_test", **figures)
    change(records)
    return replace(evidence, gathered_operations=Operations(tuple(records), {}))


@pytest.mark.parametrize(
    ("figures", "outcome"),
    [
        ({"p50_ms": 5.0, "p95_ms": 20.0, "p99_ms": 45.0}, KEPT),
        ({"p50_ms": 5.01, "p95_ms": 20.0, "p99_ms": 45.0}, BROKEN),
        ({"p50_ms": 5.0, "p95_ms": 20.01, "p99_ms": 45.0}, BROKEN),
        ({"p50_ms": 5.0, "p95_ms": 20.0, "p99_ms": 45.01}, BROKEN),
        ({"p95_ms": 20.0, "p99_ms": 45.0}, UNKNOWN),
    ],
)
def test_every_latency_is_held(
    figures: dict[str, float], outcome: Outcome, general: Evidence, tmp_path: Path
) -> None:
    fast = "**Performance tests:** p50/p95/p99 ≤ 5/20/45 ms, error rate ≤ 0.1%"
    contract = promised(tmp_path, {FAST: fast})
    found = outcomes("serving-is-fast-enough", contract, after_a_load_test(general, **figures))
    assert max(found, key=[KEPT, UNKNOWN, BROKEN].index) is outcome
    levels = [s.valueExt for s in odcs.model(contract).slaProperties if s.property == "latency"]
    assert levels == [99, 95, 50]
