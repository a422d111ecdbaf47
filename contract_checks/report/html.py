"""The report as one self-contained page."""

from importlib.resources import files

from jinja2 import Environment

from contract_checks.findings import Outcome, Report
from contract_checks.report.text import by_clause, summary, worst


def page(report: Report) -> str:
    """The page's HTML: no script, no address to fetch, readable on a phone."""
    template = files("contract_checks.report").joinpath("page.html.j2").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    clauses = [(clause, worst(findings), findings) for clause, findings in by_clause(report)]
    outcomes = [outcome for _, outcome, _ in clauses]
    return environment.from_string(template).render(
        report=report,
        clauses=clauses,
        counts=[(outcome, outcomes.count(outcome)) for outcome in Outcome],
        summary=summary(report),
        Outcome=Outcome,
    )
