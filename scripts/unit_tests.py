"""Unit tests: the aggregation on made-up events with known answers (contract §11)."""

import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from junitparser import JUnitXml, TestCase

from contract_checks.clock import instant
from contract_checks.findings import Outcome
from contract_checks.language.contract import Contract
from contract_checks.language.loader import InvalidContract
from scripts.command_line import CONTRACT, ROOT, DocumentOption, present, refusals_exit, run_job
from scripts.own_tables import contract_of_own_tables
from scripts.recording import digests_of, recorded
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


def main(
    as_of: Annotated[
        datetime | None,
        typer.Option(parser=instant, metavar="TIME", help="When they ran; default now."),
    ] = None,
    document: DocumentOption = CONTRACT,
) -> None:
    """Run the aggregation's tests, and record with what outcome and of which code.

    Exit code 0: all passed; 1: some did not; 2: they could not be run.
    """
    with refusals_exit(RefusedError, InvalidContract):
        tested = unit_tests(contract_of_own_tables(document), present(as_of))
    typer.echo(f"{tested.tests} tests, {len(tested.not_passed)} of them did not pass")
    for name, why in tested.not_passed.items():
        typer.echo(f"{why}: {name}")
    raise typer.Exit(outcome(tested).value)


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
            cwd=ROOT,  # which `-m` puts first on the path: the code beside this script is tested
            env=os.environ | {"PYTEST_ADDOPTS": ""},
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


if __name__ == "__main__":
    run_job(main)
