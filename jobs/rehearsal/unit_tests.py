"""Unit tests: the aggregation on made-up events with known answers (contract §11)."""

import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from junitparser import JUnitXml, TestCase

from contract_checks.findings import Outcome
from contract_checks.language.contract import Contract
from jobs.reporting.recording import digests_of, recorded
from jobs.repository import ROOT
from storage.errors import RefusedError

TESTS = ROOT / "tests" / "test_known_answers.py"
_RAN = (0, 1)
"""pytest's exit codes when every test passed, or some did not."""


@dataclass(frozen=True)
class Tested:
    """What became of the tests."""

    tests: int
    not_passed: dict[str, str]
    """Test to why: failed, error or skipped."""


def unit_tests(contract: Contract, as_of: datetime) -> Tested:
    """Run the tests in a process of their own, and leave a record.

    Raises:
        RefusedError: pytest, or the tests, are not there or cannot be run.
    """
    with recorded("unit_tests", contract.view_name, as_of) as figures:
        # Before they run: a file changed meanwhile is then another than the one on record.
        figures["files"] = digests_of("feature_pipeline", "storage", "tests/test_known_answers.py")
        tested = _run()
        figures |= {"tests": tested.tests, "failures": len(tested.not_passed)}
        figures |= {"not_passed": tested.not_passed, "passed": outcome(tested) is Outcome.KEPT}
    return tested


def outcome(tested: Tested) -> Outcome:
    """A test that was skipped did not pass."""
    return Outcome.BROKEN if tested.not_passed else Outcome.KEPT


def _run() -> Tested:
    with TemporaryDirectory() as folder:
        results = Path(folder) / "results.xml"
        quietly = ("-q", "-p", "no:cacheprovider", f"--junitxml={results}")
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *quietly, TESTS],
            cwd=ROOT,  # which `-m` puts first on the path: the code of this repository is tested
            env=os.environ | {"PYTEST_ADDOPTS": "", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode not in _RAN or not results.is_file():
            said = (done.stdout + done.stderr).strip().splitlines() or ["it said nothing"]
            raise RefusedError(f"pytest could not run {TESTS}: {said[-1]}")
        cases = [case for suite in JUnitXml.fromfile(str(results)) for case in suite]
    return Tested(len(cases), {case.name: _why(case) for case in cases if not case.is_passed})


def _why(case: TestCase) -> str:
    return "error" if case.is_error else "failed" if case.is_failure else "skipped"
