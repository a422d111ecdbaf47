"""The charts of the report: their numbers, their words, and the page they stand on."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from html import unescape
from html.parser import HTMLParser
from typing import Any

import pytest
from charted_evidence import BINS, CONTRACT, SPREAD, charted, drift, load_test, refresh, written
from kept_evidence import AS_OF, FEATURES, HOUR, VIEW

from contract_checks.evidence.evidence import Evidence
from contract_checks.evidence.facts import MissingEvidence, Operations, Parity
from contract_checks.judge import judge
from contract_checks.report.charts import Chart, measured

KEPT, WARNED, BROKEN = "#1a7f4b", "#9a6700", "#c0262d"
AGE, DRIFT, PARITY, LATENCY = range(4)


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    return charted(tmp_path_factory.mktemp("store"))


def charts(evidence: Evidence, which: int) -> tuple[Chart, ...]:
    return measured(CONTRACT, evidence)[which].charts


def data(chart: Chart) -> list[dict[str, Any]]:
    """The chart's traces, as the page hands them to plotly.js."""
    traces: list[dict[str, Any]] = json.loads(chart.figure.to_json())["data"]
    return traces


# age


def test_age_is_a_saw_tooth(evidence: Evidence) -> None:
    (chart,) = charts(evidence, AGE)
    (line,) = data(chart)
    hours_ago = [(AS_OF - datetime.fromisoformat(at)) / HOUR for at in line["x"]]
    assert list(zip(hours_ago, line["y"], strict=True)) == [
        (30, 0),
        (29, 1),  # just before the refresh
        (29, 0),  # just after it
        (26.5, 2.5),  # the one between failed
        (26.5, 0),
        (0, 26.5),
    ]
    assert chart.title == "From 2026-02-28 06:00 UTC to 2026-03-01 12:00 UTC"
    assert chart.told == (
        "Oldest: 1 day, 2:30:00 at 2026-03-01 12:00 UTC; limit: 2h. Now: 1 day, 2:30:00. "
        "Refreshes that failed: 1."
    )


def test_age_goes_back_three_days_and_knows_the_refresh_before_them(evidence: Evidence) -> None:
    ran = tuple(map(refresh, (100, 80, 71, 1)))
    (chart,) = charts(replace(evidence, gathered_operations=Operations(ran)), AGE)
    (line,) = data(chart)
    assert line["y"] == [8, 9, 0, 70, 0, 1]
    assert "Oldest: 2 days, 22:00:00 at 2026-03-01 11:00 UTC" in chart.told


def test_a_refresh_of_the_past_makes_nothing_younger_and_none_older(evidence: Evidence) -> None:
    late = replace(refresh(1), figures={"to": (AS_OF - 9 * HOUR).isoformat()})
    ran = (refresh(4), refresh(3), late)
    (chart,) = charts(replace(evidence, gathered_operations=Operations(ran)), AGE)
    assert data(chart)[0]["y"] == [0, 1, 0, 2, 2, 3]


def test_a_first_refresh_spans_no_time_to_draw(evidence: Evidence) -> None:
    (chart,) = charts(replace(evidence, gathered_operations=Operations((refresh(0),))), AGE)
    assert chart.figure is None
    assert "Now: 0:00:00." in chart.told


# drift


def test_drift_has_a_chart_for_every_feature(evidence: Evidence) -> None:
    assert [chart.title for chart in charts(evidence, DRIFT)] == sorted(FEATURES)


def test_drift_shows_the_share_of_every_bin_in_use(evidence: Evidence) -> None:
    chart = charts(evidence, DRIFT)[0]
    before, now = data(chart)
    assert (before["name"], before["x"]) == ("baseline", [40, 30, 20, 10])
    assert (now["name"], now["x"]) == ("now", [45, 30, 15, 10])
    assert [unescape(label) for label in chart.figure.layout.yaxis.ticktext] == list(BINS[:4])
    assert list(chart.figure.layout.yaxis.tickvals) == before["y"] == now["y"]
    assert chart.told == (
        "PSI 0.0201; PSI ≥ 0.1 warns, PSI ≥ 0.2 fails, chance alone stays below 0.0105. Entities: "
        "1,000 in the baseline (2026-01-01 to 2026-01-31), 1,000 now."
    )


@pytest.mark.parametrize(
    ("psi", "noise", "color"),
    [
        (0.0999, 0.01, KEPT),
        (0.1, 0.01, WARNED),
        (0.2, 0.01, BROKEN),
        (0.15, 0.3, WARNED),
        (0.25, 0.3, WARNED),  # not known: no more than chance
    ],
)
def test_drift_is_coloured_as_it_is_judged(
    evidence: Evidence, psi: float, noise: float, color: str
) -> None:
    moved = drift(replace(SPREAD, psi=psi, noise=noise))
    _, now = data(charts(replace(evidence, gathered_drift=moved), DRIFT)[0])
    assert now["marker"]["color"] == color


def test_a_changed_baseline_is_not_drawn(evidence: Evidence) -> None:
    (chart,) = charts(replace(evidence, gathered_drift=drift(SPREAD, intact=False)), DRIFT)
    assert chart.figure is None
    assert "the baseline on record was changed" in chart.told


# parity


def test_parity_draws_every_pair_of_numbers_once(evidence: Evidence) -> None:
    found = charts(evidence, PARITY)
    assert [chart.title for chart in found] == sorted(FEATURES)
    diagonal, equal, differing = data(found[0])
    assert diagonal["x"] == diagonal["y"]
    assert (equal["x"], equal["y"], equal["customdata"]) == ([1, 2], [1, 2], [2, 1])
    assert (differing["x"], differing["y"], differing["marker"]["color"]) == ([5], [7], BROKEN)
    assert differing["marker"]["symbol"] != equal["marker"]["symbol"]
    assert found[2].title == "orders_30d"
    assert found[2].told == "12 of 1,000 entities differ (1.20%; limit: 1.00%). Drawn: 4."


def test_floats_that_count_as_equal_are_drawn_so(evidence: Evidence) -> None:
    pairs = {"orders_30d": ((0.1 + 0.2, 0.3), (0.3, 0.3 + 1e-9))}
    parity = Parity(2, {"orders_30d": 1}, (), pairs)
    _, equal, differing = data(charts(replace(evidence, gathered_parity=parity), PARITY)[0])
    assert (len(equal["x"]), len(differing["x"])) == (1, 1)


def test_parity_without_pairs_is_told(evidence: Evidence) -> None:
    parity = replace(evidence.parity, pairs={})
    found = charts(replace(evidence, gathered_parity=parity), PARITY)
    assert [chart.figure for chart in found] == [None] * 4
    assert found[0].told == "0 of 1,000 entities differ (0.00%; limit: 1.00%). Drawn: 0."


def test_one_value_of_all_has_an_axis_to_lie_on(evidence: Evidence) -> None:
    parity = Parity(9, {"orders_30d": 0}, (), {"orders_30d": ((3.0, 3.0),) * 9})
    (chart,) = charts(replace(evidence, gathered_parity=parity), PARITY)
    assert list(chart.figure.layout.xaxis.range) == [2, 4]


# latency


def test_latency_adds_up_to_all_requests(evidence: Evidence) -> None:
    (chart,) = charts(evidence, LATENCY)
    curve, mark = data(chart)
    assert (curve["x"], curve["y"]) == ([5, 10, 40, 80], [25, 75, 95, 100])
    assert (mark["x"], mark["y"], mark["text"]) == ([40], [95], ["p95"])
    assert mark["marker"]["color"] == KEPT
    assert list(chart.figure.layout.xaxis.tickvals) == [1, 2, 5, 10, 20, 50, 100, 200, 500]
    assert chart.title == "Load test of 2026-03-01 11:00 UTC"
    assert chart.told == (
        "p50 8 ms, p95 40 ms, p99 55 ms; limit: p95 ≤ 50 ms. "
        "1 of 2,000 requests failed (limit: 0.10%)."
    )


def test_latency_over_many_decades_names_the_tens(evidence: Evidence) -> None:
    ran = Operations((load_test(histogram=[[0.2, 5], [9000.0, 1995]]),))
    (chart,) = charts(replace(evidence, gathered_operations=ran), LATENCY)
    assert list(chart.figure.layout.xaxis.tickvals) == [0.1, 1, 10, 100, 1000, 10_000]


def test_latency_over_its_limit_is_red(evidence: Evidence) -> None:
    for p95, color in ((50.0, KEPT), (50.1, BROKEN)):
        ran = Operations((load_test(p95),))
        (chart,) = charts(replace(evidence, gathered_operations=ran), LATENCY)
        assert data(chart)[1]["marker"]["color"] == color


def test_limits_are_drawn(evidence: Evidence) -> None:
    for which, limit in ((AGE, 2), (LATENCY, 50)):
        ground, line = charts(evidence, which)[0].figure.layout.shapes
        low, high = (line.y0, line.y1) if which == AGE else (line.x0, line.x1)
        assert low == high == limit
        assert (ground.y0 if which == AGE else ground.x0) == limit
        assert (ground if which == AGE else line).label.text.startswith("limit ")


# What is missing is told, and costs no other chart.

NO = MissingEvidence("no table at /srv/store/table.parquet: make <one>")
LACKING: dict[str, tuple[int, str, Callable[[Evidence], Evidence]]] = {
    "no log, no ages": (
        AGE, "make <one>", lambda e: replace(e, gathered_operations=NO),
    ),
    "no log, no latency": (
        LATENCY, "make <one>", lambda e: replace(e, gathered_operations=NO),
    ),
    "no refresh": (
        AGE,
        f"no refresh of {VIEW} is on record: run scripts/refresh.py",
        lambda e: replace(e, gathered_operations=Operations((refresh(1, passed=False),))),
    ),
    "another view's refresh": (
        AGE,
        f"no refresh of {VIEW} is on record: run scripts/refresh.py",
        lambda e: replace(
            e, gathered_operations=Operations((replace(refresh(1), subject="customer_profile_v2"),))
        ),
    ),
    "a refresh of another kind": (
        AGE,
        "could not be drawn: KeyError: 'to'",
        lambda e: replace(e, gathered_operations=Operations((replace(refresh(1), figures={}),))),
    ),
    "no drift": (DRIFT, "make <one>", lambda e: replace(e, gathered_drift=NO)),
    "no feature": (
        DRIFT,
        "no feature was measured",
        lambda e: replace(e, gathered_drift=drift(SPREAD, features={})),
    ),
    "no parity": (PARITY, "make <one>", lambda e: replace(e, gathered_parity=NO)),
    "nothing to compare": (
        PARITY,
        "the offline table holds no entity to look up online",
        lambda e: replace(e, gathered_parity=Parity(0, {"orders_30d": 0}, ())),
    ),
    "no load test": (
        LATENCY,
        f"no load_test of {VIEW} is on record",
        lambda e: replace(e, gathered_operations=Operations((refresh(1),))),
    ),
    "a load test that failed": (
        LATENCY,
        "the load test of 2026-03-01 11:00 UTC left no histogram: run scripts/load_test.py",
        lambda e: replace(e, gathered_operations=Operations((replace(load_test(), figures={}),))),
    ),
}  # fmt: skip


@pytest.mark.parametrize("lacking", LACKING)
def test_what_is_missing_is_told(evidence: Evidence, lacking: str) -> None:
    which, why, change = LACKING[lacking]
    measurements = measured(CONTRACT, change(evidence))
    (chart,) = measurements[which].charts
    assert chart.figure is None
    assert why in chart.told
    assert sum(chart.figure is not None for of in measurements for chart in of.charts) > 0


# the page


class Figures(HTMLParser):
    """The headings and captions of the page's figures, and every address it names in a tag."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.inside = ""
        self.headings: list[str] = []
        self.captions: list[str] = []
        self.scripts: list[str] = []
        self.addresses: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [f"{name}={value}" for name, value in attrs if name in ("src", "href")]
        for kept in self._kept(tag):
            self.inside = tag
            kept.append("")

    def handle_endtag(self, tag: str) -> None:
        self.inside = "" if tag == self.inside else self.inside

    def handle_data(self, data: str) -> None:
        for kept in self._kept(self.inside):
            kept[-1] += data

    def _kept(self, tag: str) -> list[list[str]]:
        of = {"h4": self.headings, "figcaption": self.captions, "script": self.scripts}
        return [of[tag]] if tag in of else []


def test_the_page_tells_every_chart_in_words(evidence: Evidence) -> None:
    read = Figures(written(evidence))
    expected = [chart for of in measured(CONTRACT, evidence) for chart in of.charts]
    assert len(expected) == 10
    assert read.headings == [chart.title for chart in expected]
    assert read.captions == [chart.told for chart in expected]


def test_the_page_carries_plotly_once_and_names_no_address(evidence: Evidence) -> None:
    text = written(evidence)
    read = Figures(text)
    plotly, *drawn = sorted(read.scripts, key=len, reverse=True)
    assert "plotly.js v" in plotly[:100]
    assert len(drawn) == 10
    assert all("Plotly.newPlot" in script and len(script) < 20_000 for script in drawn)
    assert "plotly.js v" not in "".join(drawn)
    places = [f"href=#{place}" for place in re.findall(r'<h[23] id="(.*?)"', text)]
    assert read.addresses == places
    assert "href=#measured-4" in places
    outside = re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)
    assert re.findall(r"url\(|@import", outside) == []
    assert "default-src 'none'" in outside
    assert text == written(evidence)  # the same evidence, the same page


def test_the_clauses_come_before_any_script(evidence: Evidence) -> None:
    before, _, after = written(evidence).partition("<script>")
    assert before.count('class="clause"') == len(
        {finding.clause for finding in judge(CONTRACT, evidence).findings}
    )
    assert 'class="clause"' not in after
    assert "<noscript><style>.drawing { display: none; }</style></noscript>" in before


def test_a_page_of_reasons_alone_has_no_script(evidence: Evidence) -> None:
    nothing = replace(evidence, gathered_operations=NO, gathered_drift=NO, gathered_parity=NO)
    text = written(nothing)
    assert "<script" not in text
    read = Figures(text)
    assert read.headings == ["Not known"] * 4
    assert read.captions == ["no table at table.parquet: make <one>"] * 4
    assert "/srv" not in text


def test_what_a_bin_is_called_ends_no_script(evidence: Evidence) -> None:
    spread = replace(SPREAD, bins=("</script><script>alert(1)</script>", *BINS[1:]))
    text = written(replace(evidence, gathered_drift=drift(spread)))
    assert len(Figures(text).scripts) == 11
    assert "<script>alert" not in text
