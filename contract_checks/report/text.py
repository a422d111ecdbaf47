"""The report as text: a line per clause, and everything a broken one has to say."""

import re
from collections.abc import Iterator, Sequence
from itertools import groupby

from rich.console import Console
from rich.text import Text

from contract_checks.findings import Finding, Outcome, Report, worst_of

_WHOLE = re.compile(r"(?<=\d)\.0+\b")
_STYLE = {Outcome.KEPT: "green", Outcome.BROKEN: "bold red", Outcome.UNKNOWN: "yellow"}


def worst(findings: Sequence[Finding]) -> Outcome:
    """Broken beats unknown beats kept."""
    return worst_of(finding.outcome for finding in findings)


def by_clause(report: Report) -> Iterator[tuple[str, list[Finding]]]:
    """The findings of each clause, in the document's order."""
    for clause, findings in groupby(report.findings, key=lambda finding: finding.clause):
        yield clause, list(findings)


def summary(report: Report) -> str:
    """One line: how many clauses of each outcome."""
    clauses = [worst(findings) for _, findings in by_clause(report)]
    counts = ", ".join(f"{clauses.count(outcome)} {outcome.name.lower()}" for outcome in Outcome)
    return f"{report.title}: {len(clauses)} clauses checked, {counts}"


def show(report: Report, console: Console) -> None:
    """Print the report; colour only where the console has it."""
    title = Text(f"{report.contract}, as of {report.as_of.isoformat()}", style="dim")
    console.print(title, soft_wrap=True)
    for clause, findings in by_clause(report):
        outcome = worst(findings)
        line = Text(f"{outcome.name.lower():<8}", style=_STYLE[outcome])
        line.append(f"{clause:<34}", style="bold")
        line.append(gist(findings, outcome), style="default")
        console.print(line, soft_wrap=True, highlight=False)
        for finding in findings:
            if finding.outcome is not Outcome.KEPT:
                _explain(report, finding, console)
    console.print(Text(summary(report), style=_STYLE[report.outcome]), soft_wrap=True)


def gist(findings: Sequence[Finding], outcome: Outcome) -> str:
    """A clause's findings in a few words."""
    if outcome is not Outcome.KEPT:
        return f"{sum(f.outcome is outcome for f in findings)} of {len(findings)} checks"
    first, *more = findings
    # "owner = X" says it all when X is what was got; a count of 7.0 is the 7 that was expected.
    got, expected = (_WHOLE.sub("", text.casefold()) for text in (first.got, first.expected))
    repeats = got in expected
    gist = first.expected if repeats else f"{first.expected}: {first.got}"
    return f"{gist} (and {len(more)} more)" if more else gist


def _explain(report: Report, finding: Finding, console: Console) -> None:
    where = f"{report.contract}:{finding.line}" if finding.line else report.contract
    rows = [("check", f"{finding.check}  ({where})"), ("expected", finding.expected)]
    rows.append(("got" if finding.outcome is Outcome.BROKEN else "why", finding.got))
    rows += [("count", f"{finding.count:,}")] if finding.count else []
    rows += [("sample", row) for row in finding.sample]
    for label, text in rows:
        console.print(Text(f"          {label:<9} {text}"), soft_wrap=True, highlight=False)
