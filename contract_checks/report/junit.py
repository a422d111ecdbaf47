"""The reports as JUnit XML, which every build server reads: a suite per contract.

A broken clause is a *failure*. An unknown one is an *error*, JUnit's word for a test that could not
be carried out; never *skipped*, which build servers show as green: unknown is never kept.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC
from io import BytesIO

from junitparser import Error, Failure, JUnitXml, TestCase, TestSuite

from contract_checks.findings import Finding, Outcome, Report
from contract_checks.report.wording import gist, told

# What XML 1.0 (§2.2) cannot hold or does not hand back; and the backslash that spells it instead.
_UNSAFE = re.compile(r"[^\t\n\x20-\x5b\x5d-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def document(reports: Sequence[Report]) -> str:
    """A testsuite per contract, a testcase per finding."""
    root = JUnitXml("contract-checks")
    for report in reports:
        root.add_testsuite(_suite(report))
    written = BytesIO()
    root.write(written, pretty=True)
    return written.getvalue().decode("utf-8")


def _suite(report: Report) -> TestSuite:
    suite = TestSuite(_legal(report.title))
    suite.timestamp = report.as_of.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    suite.add_property("contract", _legal(report.contract))
    suite.add_property("as_of", report.as_of.isoformat())
    suite.add_testcases([_case(name, finding) for name, finding in _named(report.findings)])
    return suite


def _named(findings: Sequence[Finding]) -> Iterator[tuple[str, Finding]]:
    """Each finding under its check's name, numbered where the check has several for the clause."""
    several = Counter((finding.clause, finding.check) for finding in findings)
    met: Counter[tuple[str, str]] = Counter()
    for finding in findings:
        key = finding.clause, finding.check
        met[key] += 1
        yield (f"{finding.check} {met[key]}" if several[key] > 1 else finding.check), finding


def _case(name: str, finding: Finding) -> TestCase:
    case = TestCase(_legal(name), classname=_legal(finding.clause))
    if finding.outcome is Outcome.KEPT:
        case.system_out = _legal(told(finding))
    else:
        kind = Failure if finding.outcome is Outcome.BROKEN else Error
        result = kind(_legal(gist(finding)), finding.outcome.name.lower())
        result.text = _legal(told(finding))
        case.result = [result]
    return case


def _legal(text: str) -> str:
    """The text with every unsafe character spelled as in a Python string: `\\x00`, `\\\\`."""
    return _UNSAFE.sub(lambda unsafe: ascii(unsafe[0])[1:-1], text)
