"""A report with a finding of every kind."""

from dataclasses import replace
from datetime import UTC, datetime

import contract_checks.checks  # noqa: F401  (importing binds them)
from contract_checks.findings import Finding, Outcome, Report

KEPT = Finding("§1 version", "version-is-tagged", Outcome.KEPT, "tag version = v1", "v1", line=5)
BROKEN = Finding(
    clause="§5.2 allowed range",
    check="values-are-in-range",
    outcome=Outcome.BROKEN,
    expected="orders_30d in 0–1,000",
    got="1,001 rows {50%} break it",
    count=1001,
    sample=("customer_id=7, orders_30d=1001", "customer_id=8, orders_30d=-1"),
    line=66,
)
ALSO_BROKEN = replace(BROKEN, expected="sessions_30d in 0–10", got="1 row", count=0, sample=())
UNKNOWN = Finding(
    "§6 freshness", "features-are-fresh", Outcome.UNKNOWN, "Young enough.", "no table", line=79
)
REPORT = Report(
    contract="contracts/a contract, v1.md",
    title="customer_profile v1",
    as_of=datetime(2026, 3, 1, 12, tzinfo=UTC),
    findings=(KEPT, BROKEN, ALSO_BROKEN, UNKNOWN),
)
