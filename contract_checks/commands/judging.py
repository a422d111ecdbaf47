"""Judge one contract and leave the record of it: what `check` and `gate` have in common."""

import sys
from collections.abc import Container
from contextlib import redirect_stdout
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from time import monotonic

from contract_checks import checks as _bound  # noqa: F401  (importing binds the checks)
from contract_checks.commands import check_record
from contract_checks.evidence import gather as evidence_of
from contract_checks.evidence.evidence import Evidence
from contract_checks.findings import Report
from contract_checks.judge import judge
from contract_checks.language.contract import Contract


def judged(
    contract: Contract,
    repository: Path,
    as_of: datetime,
    chosen: Container[tuple[str, str]] | None = None,
) -> tuple[Report, Evidence]:
    """The report, of the chosen checks (clause, name) alone where any are, and its evidence."""
    started = monotonic()
    # The report alone goes to standard output, whatever the engines have to say.
    with redirect_stdout(sys.stderr):
        evidence = evidence_of.gather(contract, repository, as_of)
        report = judge(contract, evidence)
    if chosen is not None:
        findings = tuple(f for f in report.findings if (f.clause, f.check) in chosen)
        report = replace(report, findings=findings)
    if report.findings:
        check_record.leave(report, contract.view_name, repository, monotonic() - started)
    return report, evidence
