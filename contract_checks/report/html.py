"""The report as one self-contained page."""

import re
from importlib.resources import files
from pathlib import Path, PurePath

from jinja2 import Environment
from markupsafe import Markup, escape
from plotly.offline import get_plotlyjs

from contract_checks.evidence.evidence import Evidence
from contract_checks.findings import Outcome, Report
from contract_checks.language.contract import Contract
from contract_checks.report.charts import Chart, measured
from contract_checks.report.text import by_clause, gist, worst

_ABSOLUTE_PATH = re.compile(r"""(?:(?<![\w./])|(?<=:///))(?:/[^/\s'"`,;:()]+){2,}/?""")
_INSTANT = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d)(:\d\d(?:\.\d+)?)\+00:00")
_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:T[\d:.]{5,15}\+00:00)?")


def page(report: Report, evidence: Evidence | None = None, contract: Contract | None = None) -> str:
    """The page's HTML: no address to fetch, readable on a phone, its words even without scripts.

    The evidence and the contract it was gathered for bring the charts. The page carries plotly.js
    (5 MB) where there is a chart to draw, and no script where there is none.
    """
    measurements = measured(contract, evidence) if contract and evidence else ()
    template = files("contract_checks.report").joinpath("page.html.j2").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"drawn": _drawn, "readable": _readable, "whole": _whole}
    clauses = [(clause, worst(findings), findings) for clause, findings in by_clause(report)]
    groups = [
        (outcome, [(c, gist(f, outcome), f) for c, of, f in clauses if of is outcome])
        for outcome in (Outcome.BROKEN, Outcome.UNKNOWN, Outcome.KEPT)
    ]
    has_drawings = any(chart.figure for of in measurements for chart in of.charts)
    return environment.from_string(template).render(
        report=report,
        document="/".join(Path(report.contract).parts[-2:]),
        groups=[(outcome, found) for outcome, found in groups if found],
        counts=[(outcome, len(found)) for outcome, found in groups],
        Outcome=Outcome,
        measurements=measurements,
        plotly=get_plotlyjs() if has_drawings else None,
    )


def _drawn(chart: Chart, name: str) -> str:
    """The chart's element and its script, as HTML; plotly escapes what would end a script."""
    return str(
        chart.figure.to_html(
            config={"displayModeBar": False, "responsive": True},
            default_height=f"{chart.height}px",
            div_id=name,
            full_html=False,
            include_plotlyjs=False,
        )
    )


def _readable(text: str) -> Markup:
    """Absolute paths by their last name: a page is passed on, the machine it lay on is not.

    Instants as people write them: 2017-11-30 23:00 UTC.
    """
    named = _ABSOLUTE_PATH.sub(lambda path: PurePath(path[0]).name, text)
    return _whole(_INSTANT.sub(_written, named))


def _written(instant: re.Match[str]) -> str:
    day, minute, seconds = instant.groups()
    return f"{day} {minute}{'' if seconds == ':00' else seconds} UTC"


def _whole(text: str) -> Markup:
    """No line ends amid a date, at one of its hyphens."""
    return Markup(_DATE.sub(r'<span class="whole">\g<0></span>', str(escape(text))))  # noqa: S704
