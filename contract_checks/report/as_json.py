"""The reports as JSON (RFC 8259), for scripts.

The shape does not depend on how many contracts were checked: a script that reads
`.reports[0].findings` goes on working when a second contract joins the first.
"""

import json
from collections.abc import Sequence
from typing import Any

from contract_checks.findings import Finding, Outcome, Report
from contract_checks.report.text import by_clause, worst


def document(reports: Sequence[Report]) -> str:
    """An object with a list of reports, each with its findings in the document's order."""
    content = {"reports": [_report(report) for report in reports]}
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _report(report: Report) -> dict[str, Any]:
    clauses = [worst(findings) for _, findings in by_clause(report)]
    return {
        "contract": report.contract,
        "title": report.title,
        "as_of": report.as_of.isoformat(),
        "outcome": _word(report.outcome),
        "counts": {
            "clauses": _counts(clauses),
            "findings": _counts([finding.outcome for finding in report.findings]),
        },
        "findings": [_finding(finding) for finding in report.findings],
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "clause": finding.clause,
        "line": finding.line,
        "check": finding.check,
        "outcome": _word(finding.outcome),
        "expected": finding.expected,
        "got": finding.got,
        "count": int(finding.count),  # a check may count "one, or none" with a truth value
        "sample": list(finding.sample),
    }


def _counts(outcomes: Sequence[Outcome]) -> dict[str, int]:
    return {_word(outcome): outcomes.count(outcome) for outcome in Outcome}


def _word(outcome: Outcome) -> str:
    return outcome.name.lower()
