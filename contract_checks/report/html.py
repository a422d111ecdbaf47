"""The report as one self-contained page."""

from importlib.resources import files
from pathlib import Path

from jinja2 import Environment

from contract_checks.findings import Outcome, Report
from contract_checks.report.text import by_clause, gist, worst


def page(report: Report) -> str:
    """The page's HTML: no script, no address to fetch, readable on a phone."""
    template = files("contract_checks.report").joinpath("page.html.j2").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    clauses = [(clause, worst(findings), findings) for clause, findings in by_clause(report)]
    groups = [
        (outcome, [(c, gist(f, outcome), f) for c, of, f in clauses if of is outcome])
        for outcome in (Outcome.BROKEN, Outcome.UNKNOWN, Outcome.KEPT)
    ]
    return environment.from_string(template).render(
        report=report,
        # A page is passed on: it names the document, not the machine it lay on.
        document="/".join(Path(report.contract).parts[-2:]),
        groups=[(outcome, found) for outcome, found in groups if found],
        counts=[(outcome, len(found)) for outcome, found in groups],
        Outcome=Outcome,
    )
