"""The reports as SARIF 2.1.0 (OASIS), for code scanning and editors.

One run for all contracts, each an artifact: code scanning takes one run per tool. A broken clause
is an error; an unknown one is a warning and stays of kind *fail*, since any other kind must have
level *none* (§3.27.10) and would go unseen. Kept clauses are counted and not listed: code scanning
would show each of them as an alert.
"""

import json
import re
from collections import Counter
from collections.abc import Sequence
from hashlib import sha256
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from contract_checks.findings import Finding, Outcome, Report
from contract_checks.judge import CHECKS
from contract_checks.report.text import summary
from contract_checks.report.wording import told

SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
_LEVELS = {Outcome.BROKEN: "error", Outcome.UNKNOWN: "warning"}


def log(reports: Sequence[Report]) -> str:
    """A rule per check that was run, a result per finding that is not kept."""
    names = sorted({finding.check for report in reports for finding in report.findings})
    run = {
        "tool": {"driver": {"name": "contract-checks", "rules": [_rule(name) for name in names]}},
        "artifacts": [_artifact(report) for report in reports],
        "results": [
            _result(finding, names.index(finding.check), place, report) | _told_apart(finding, seen)
            for place, report in enumerate(reports)
            for seen in [Counter[str]()]
            for finding in report.findings
            if finding.outcome in _LEVELS
        ],
    }
    content = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _rule(name: str) -> dict[str, Any]:
    """What the check asks, and of which clauses."""
    bound = [check for check in CHECKS if check.name == name]
    question = bound[0].question if bound else name
    clauses = ", ".join(check.clause for check in bound)
    return {
        "id": name,
        "shortDescription": _message(question),
        "fullDescription": _message(question),
        "help": _message(f"{question} Judges {clauses}." if bound else question),
    }


def _artifact(report: Report) -> dict[str, Any]:
    return {
        "location": _location(report.contract),
        "description": _message(summary(report)),
        "properties": {
            "as_of": report.as_of.isoformat(),
            "outcome": report.outcome.name.lower(),
        },
    }


def _result(finding: Finding, rule: int, artifact: int, report: Report) -> dict[str, Any]:
    place = {
        "artifactLocation": _location(report.contract) | {"index": artifact},
        "region": {"startLine": finding.line or 1},
    }
    return {
        "ruleId": finding.check,
        "ruleIndex": rule,
        "level": _LEVELS[finding.outcome],
        "message": _message(f"{finding.clause}\n{told(finding)}"),
        "locations": [{"physicalLocation": place}],
    }


def _told_apart(finding: Finding, seen: Counter[str]) -> dict[str, Any]:
    """One check may say several things of one line, which nothing else would tell apart (§3.27.17).

    Numbers do not count: they change from run to run, and it is the same result. What is the same
    in all else is told apart by its place among its likes.
    """
    said = re.sub(r"\d+", "#", f"{finding.clause}\n{finding.check}\n{finding.expected}")
    seen[said] += 1
    digest = sha256(f"{said}\n{seen[said]}".encode()).hexdigest()
    return {"partialFingerprints": {"whatIsExpected/v1": digest}}


def _location(contract: str) -> dict[str, Any]:
    """A relative reference is read against the root of the sources (§3.4.4)."""
    path = PurePath(contract)
    if path.is_absolute():
        return {"uri": path.as_uri()}
    return {"uri": quote(path.as_posix()), "uriBaseId": "%SRCROOT%"}


def _message(text: str) -> dict[str, str]:
    """A plain text message; a single brace would begin a placeholder (§3.11.5)."""
    return {"text": text.replace("{", "{{").replace("}", "}}")}
