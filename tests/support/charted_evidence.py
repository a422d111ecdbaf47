"""Evidence with something to draw in every chart, and the page written from it."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from kept_evidence import AS_OF, FEATURES, HOUR, VIEW, gathered

import contract_checks.checks  # noqa: F401  (importing binds them)
from contract_checks.evidence.evidence import Evidence
from contract_checks.evidence.facts import Distribution, Drift, Operations, Parity
from contract_checks.judge import judge
from contract_checks.language.loader import load
from contract_checks.operations.log import Record
from contract_checks.report.html import page

CONTRACT = load(Path(__file__).parents[2] / "contracts" / "customer_profile_v1.md")
BINS = ("0", "> 0, ≤ 3", "> 3, ≤ <b>9</b> & more", "> 9", "no number")
SPREAD = Distribution(BINS, (400, 300, 200, 100, 0), (450, 300, 150, 100, 0), 0.0201, 0.0105)
PAIRS = ((1.0, 1.0), (1.0, 1.0), (2.0, 2.0), (5.0, 7.0), (9.0, float("nan")))


def refresh(hours_ago: float, *, passed: bool = True) -> Record:
    at = AS_OF - hours_ago * HOUR
    return Record("refresh", VIEW, at, passed, 1.0, {"to": at.isoformat()} if passed else {})


def load_test(p95: float = 40.0, **figures: Any) -> Record:
    measured_then: dict[str, Any] = {
        "requests": 2000,
        "errors": 1,
        "p50_ms": 8.0,
        "p95_ms": p95,
        "p99_ms": 55.0,
        "histogram": [[5.0, 500], [10.0, 1000], [40.0, 400], [80.0, 100]],
    }
    return Record("load_test", VIEW, AS_OF - HOUR, True, 1.0, measured_then | figures)


def charted(folder: Path) -> Evidence:
    """Four charts' worth: a refresh that failed, a baseline, differing pairs, a load test."""
    ran = (*(refresh(hours) for hours in (30, 29)), refresh(28, passed=False), refresh(26.5))
    return replace(
        gathered(CONTRACT, folder),
        gathered_operations=Operations((*ran, load_test())),
        gathered_drift=drift(SPREAD),
        gathered_parity=Parity(
            1000,
            {**dict.fromkeys(FEATURES, 0), "orders_30d": 12},
            (),
            dict.fromkeys(FEATURES, PAIRS),
        ),
    )


def drift(spread: Distribution, **changes: Any) -> Drift:
    since = datetime.fromisoformat("2026-01-01T00:00:00+00:00")
    features = dict.fromkeys(FEATURES, spread)
    frozen = Drift(since, since + timedelta(days=30), features, 1.0, 1.0, True)
    return replace(frozen, **changes)


def written(evidence: Evidence) -> str:
    """The page of what was judged by this evidence."""
    return page(judge(CONTRACT, evidence), evidence, CONTRACT)
