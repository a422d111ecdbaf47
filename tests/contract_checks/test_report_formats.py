"""Each report format, exactly; and whatever a finding quotes survives it."""

import ast
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st
from junitparser import Error, Failure, JUnitXml
from sample_report import BROKEN, KEPT, REPORT

import contract_checks.checks  # noqa: F401  (importing binds them)
from contract_checks.findings import Finding, Report
from contract_checks.report import as_json, github, junit, sarif
from contract_checks.report.html import page
from contract_checks.report.wording import told

EMPTY = Report("contracts/other_v2.md", "other v2", REPORT.as_of, ())


# json


def test_json() -> None:
    text = as_json.document([replace(REPORT, findings=(KEPT, BROKEN))])
    assert (
        text
        == """\
{
  "reports": [
    {
      "contract": "contracts/a contract, v1.md",
      "title": "customer_profile v1",
      "as_of": "2026-03-01T12:00:00+00:00",
      "outcome": "broken",
      "counts": {
        "clauses": {
          "kept": 1,
          "broken": 1,
          "unknown": 0
        },
        "findings": {
          "kept": 1,
          "broken": 1,
          "unknown": 0
        }
      },
      "findings": [
        {
          "clause": "§1 version",
          "line": 5,
          "check": "version-is-tagged",
          "outcome": "kept",
          "expected": "tag version = v1",
          "got": "v1",
          "count": 0,
          "sample": []
        },
        {
          "clause": "§5.2 allowed range",
          "line": 66,
          "check": "values-are-in-range",
          "outcome": "broken",
          "expected": "orders_30d in 0–1,000",
          "got": "1,001 rows {50%} break it",
          "count": 1001,
          "sample": [
            "customer_id=7, orders_30d=1001",
            "customer_id=8, orders_30d=-1"
          ]
        }
      ]
    }
  ]
}
"""
    )


def test_json_counts_clauses_and_findings() -> None:
    one, other = json.loads(as_json.document([REPORT, EMPTY]))["reports"]
    assert one["counts"] == {
        "clauses": {"kept": 1, "broken": 1, "unknown": 1},
        "findings": {"kept": 1, "broken": 2, "unknown": 1},
    }
    assert (other["outcome"], other["findings"]) == ("unknown", [])


def test_json_counts_with_numbers() -> None:
    report = replace(REPORT, findings=(replace(BROKEN, count=True),))
    assert '"count": 1,' in as_json.document([report])


# junit


def test_junit() -> None:
    assert (
        junit.document([REPORT, EMPTY])
        == """\
<?xml version="1.0" encoding="utf-8"?>
<testsuites name="contract-checks">
	<testsuite name="customer_profile v1" timestamp="2026-03-01T12:00:00" tests="4" errors="1" \
failures="2" skipped="0" time="0">
		<properties>
			<property name="contract" value="contracts/a contract, v1.md"/>
			<property name="as_of" value="2026-03-01T12:00:00+00:00"/>
		</properties>
		<testcase name="version-is-tagged" classname="§1 version">
			<system-out>expected: tag version = v1
got: v1</system-out>
		</testcase>
		<testcase name="values-are-in-range 1" classname="§5.2 allowed range">
			<failure message="expected orders_30d in 0–1,000; got: 1,001 rows {50%} break it" \
type="broken">expected: orders_30d in 0–1,000
got: 1,001 rows {50%} break it
count: 1,001
sample: customer_id=7, orders_30d=1001
sample: customer_id=8, orders_30d=-1</failure>
		</testcase>
		<testcase name="values-are-in-range 2" classname="§5.2 allowed range">
			<failure message="expected sessions_30d in 0–10; got: 1 row" type="broken">\
expected: sessions_30d in 0–10
got: 1 row</failure>
		</testcase>
		<testcase name="features-are-fresh" classname="§6 freshness">
			<error message="expected Young enough.; not known: no table" type="unknown">\
expected: Young enough.
why: no table</error>
		</testcase>
	</testsuite>
	<testsuite name="other v2" timestamp="2026-03-01T12:00:00" tests="0" errors="0" failures="0" \
skipped="0" time="0">
		<properties>
			<property name="contract" value="contracts/other_v2.md"/>
			<property name="as_of" value="2026-03-01T12:00:00+00:00"/>
		</properties>
	</testsuite>
</testsuites>
"""
    )


def test_junit_is_read_back() -> None:
    suite, _ = JUnitXml.fromstring(junit.document([REPORT, EMPTY]).encode())
    assert (suite.tests, suite.failures, suite.errors, suite.skipped) == (4, 2, 1, 0)
    assert [type(case.result[0]) if case.result else None for case in suite] == [
        None,
        Failure,
        Failure,
        Error,
    ]
    assert len({(case.classname, case.name) for case in suite}) == 4


# sarif


def test_sarif() -> None:
    (run,) = json.loads(sarif.log([REPORT, EMPTY]))["runs"]
    uri = {"uri": "contracts/a%20contract%2C%20v1.md", "uriBaseId": "%SRCROOT%"}
    assert run["results"][0] == {
        "ruleId": "values-are-in-range",
        "ruleIndex": 1,
        "level": "error",
        "message": {
            "text": "§5.2 allowed range\nexpected: orders_30d in 0–1,000\n"
            "got: 1,001 rows {{50%}} break it\ncount: 1,001\n"
            "sample: customer_id=7, orders_30d=1001\nsample: customer_id=8, orders_30d=-1"
        },
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {**uri, "index": 0},
                    "region": {"startLine": 66},
                }
            }
        ],
        "partialFingerprints": {"whatIsExpected/v1": mock.ANY},
    }
    assert [result["level"] for result in run["results"]] == ["error", "error", "warning"]
    asks = "Every stored value lies in its feature's allowed range."
    assert run["tool"]["driver"]["rules"][1] == {
        "id": "values-are-in-range",
        "shortDescription": {"text": asks},
        "fullDescription": {"text": asks},
        "help": {"text": f"{asks} Judges §5.2 allowed range."},
    }
    assert run["artifacts"][0] == {
        "location": uri,
        "description": {
            "text": "customer_profile v1: 3 clauses checked, 1 kept, 1 broken, 1 unknown"
        },
        "properties": {"as_of": "2026-03-01T12:00:00+00:00", "outcome": "broken"},
    }


def test_sarif_has_what_the_standard_requires() -> None:
    finding = replace(BROKEN, check="no such check", line=None)
    for reports in ([REPORT, EMPTY], [EMPTY], [replace(REPORT, findings=(finding,))]):
        assert_sarif(json.loads(sarif.log(reports)))


def assert_sarif(log: dict[str, Any]) -> None:
    """The required properties of SARIF 2.1.0, by section."""
    assert log["version"] == "2.1.0"  # §3.13.2
    assert log["$schema"].startswith("https://")
    (run,) = log["runs"]
    driver = run["tool"]["driver"]  # §3.14.6, §3.18.2
    assert driver["name"]  # §3.19.8
    rules = [rule["id"] for rule in driver["rules"]]  # §3.49.3
    assert len(set(rules)) == len(rules)
    for rule in driver["rules"]:
        assert all(rule[k]["text"] for k in ("shortDescription", "fullDescription", "help"))
    for result in run["results"]:
        assert rules[result["ruleIndex"]] == result["ruleId"]  # §3.27.6
        assert result["level"] in ("error", "warning")  # §3.27.10
        assert "kind" not in result  # §3.27.9: it is "fail", the one kind that may have a level
        assert result["message"]["text"]  # §3.11.8
        assert "{" not in result["message"]["text"].replace("{{", "")  # §3.11.5
        (location,) = result["locations"]
        place = location["physicalLocation"]
        assert place["region"]["startLine"] >= 1  # §3.30.5
        artifact = run["artifacts"][place["artifactLocation"].pop("index")]  # §3.4.5
        assert artifact["location"] == place["artifactLocation"]


def fingerprints(*findings: Finding) -> list[str]:
    log = json.loads(sarif.log([replace(REPORT, findings=findings)]))
    return [r["partialFingerprints"]["whatIsExpected/v1"] for r in log["runs"][0]["results"]]


def test_sarif_tells_results_of_one_check_on_one_line_apart_and_knows_them_again() -> None:
    one = replace(BROKEN, expected="orders_30d < 0.1, n = 1,000", got="0.2")
    another = replace(BROKEN, expected="sessions_30d < 0.1, n = 1,000")
    found = fingerprints(one, another, one)
    assert len({*found}) == 3  # those that say the same, by their place
    later = replace(one, expected="orders_30d < 0.1, n = 1,002", got="0.3", line=99, count=5)
    assert fingerprints(another, later) == [found[1], found[0]]
    two = json.loads(sarif.log([REPORT, REPORT]))["runs"][0]["results"]
    assert two[0]["partialFingerprints"] == two[len(two) // 2]["partialFingerprints"]


def test_sarif_names_a_document_elsewhere_by_its_absolute_address() -> None:
    log = json.loads(sarif.log([replace(REPORT, contract="/tmp/of me/v1.md")]))
    assert log["runs"][0]["artifacts"][0]["location"] == {"uri": "file:///tmp/of%20me/v1.md"}


# github


def test_github() -> None:
    assert github.commands([REPORT, EMPTY]).splitlines() == [
        "::error file=contracts/a contract%2C v1.md,line=66,title=§5.2 allowed range "
        "(values-are-in-range)::expected: orders_30d in 0–1,000%0Agot: 1,001 rows {50%25} "
        "break it%0Acount: 1,001%0Asample: customer_id=7, orders_30d=1001%0A"
        "sample: customer_id=8, orders_30d=-1",
        "::error file=contracts/a contract%2C v1.md,line=66,title=§5.2 allowed range "
        "(values-are-in-range)::expected: sessions_30d in 0–10%0Agot: 1 row",
        "::warning file=contracts/a contract%2C v1.md,line=79,title=§6 freshness "
        "(features-are-fresh)::expected: Young enough.%0Awhy: no table",
        "::notice file=contracts/a contract%2C v1.md,title=contract broken::customer_profile v1: "
        "3 clauses checked, 1 kept, 1 broken, 1 unknown",
        "::notice file=contracts/other_v2.md,title=contract unknown::other v2: 0 clauses checked, "
        "0 kept, 0 broken, 0 unknown",
    ]


# html


class Texts(HTMLParser):
    """The text inside each element of one kind."""

    def __init__(self, text: str, tag: str) -> None:
        super().__init__()
        self.tag, self.found, self.inside = tag, [], False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag == self.tag:
            self.found.append("")
            self.inside = True

    def handle_endtag(self, tag: str) -> None:
        self.inside = self.inside and tag != self.tag

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.found[-1] += data


def test_html_has_a_row_for_every_finding() -> None:
    rows = [" ".join(text.split()) for text in Texts(page(REPORT), "tr").found]
    assert [row for row in rows if row != "OutcomeCheckExpectedGotCount"] == [
        "broken values-are-in-range orders_30d in 0–1,000 1,001 rows {50%} break it 1,001",
        "sample customer_id=7, orders_30d=1001customer_id=8, orders_30d=-1",
        "broken values-are-in-range sessions_30d in 0–10 1 row",
        "unknown features-are-fresh Young enough. no table",
        "kept version-is-tagged tag version = v1 v1",
    ]


def test_html_folds_up_what_is_kept_and_nothing_else() -> None:
    opened = re.findall(r"<details( open)?>.*?class=\"clause\">(.*?)<", page(REPORT), re.DOTALL)
    assert opened == [
        (" open", "§5.2 allowed range"),
        (" open", "§6 freshness"),
        ("", "§1 version"),
    ]


def test_html_without_measurements_has_no_script_and_fetches_nothing() -> None:
    text = page(REPORT)
    assert "<script" not in text
    assert "Measured" not in text
    assert "://" not in text
    assert re.findall(r"""src=|href=(?!"#)|url\(|@import""", text) == []


def test_html_leads_from_each_count_to_its_clauses() -> None:
    text = page(REPORT)
    assert re.findall('href="#(.*?)"', text) == ["broken", "unknown", "kept"]
    assert re.findall('<h2 id="(.*?)"', text) == ["broken", "unknown", "kept"]
    assert re.findall("href=", page(EMPTY)) == []


def test_html_says_of_how_many_checks_what_they_found() -> None:
    gists = [" ".join(text.split()) for text in re.findall(r'"gist">(.*?)<', page(REPORT))]
    assert gists == ["2 of 2 checks broken", "1 of 1 checks unknown", "tag version = v1"]


def test_html_writes_instants_as_people_do() -> None:
    got = "at 2017-11-30T23:00:00+00:00, at 2017-11-30T23:00:00.5+00:00, by 2018-02-28"
    row = "event_timestamp=2017-11-30T23:00:00+00:00"
    finding = replace(BROKEN, got=got, sample=(row,))
    text = re.sub("</?span.*?>", "", page(replace(REPORT, findings=(finding,))))
    assert "at 2017-11-30 23:00 UTC, at 2017-11-30 23:00:00.5 UTC, by 2018-02-28<" in text
    assert f"<code>{row}</code>" in text  # a row of data is quoted


def test_html_names_no_folder_of_the_machine() -> None:
    moved = replace(
        BROKEN,
        expected="the same as sqlite:////srv/store/registry.db",
        got="no events at /home/anna/store/data/events.parquet: run it in /home/anna/store",
    )
    text = page(replace(REPORT, contract="/home/anna/store/contracts/v1.md", findings=(moved,)))
    assert "no events at events.parquet: run it in store" in text
    assert "sqlite:///registry.db" in text
    assert "contracts/v1.md" in text
    assert re.findall("anna|srv|home", text) == []


def test_html_leaves_what_is_no_path_of_a_machine() -> None:
    said = "https://catalog.company.com/lineage/profile, scripts/refresh.py, day/1, 3 / 4, /8"
    text = page(replace(REPORT, findings=(replace(BROKEN, got=said),)))
    assert f'<td data-label="got">{said}</td>' in text


# What a finding quotes comes from data, and survives.

ANY = st.text(st.characters(exclude_categories=()) | st.sampled_from("\\%{}<&\"'\r\n\t,:\0]>"))
SURPRISES = st.builds(
    lambda got, sample: replace(REPORT, findings=(replace(BROKEN, got=got, sample=(sample,)),)),
    ANY,
    ANY,
)


@given(SURPRISES)
def test_any_text_survives_json(report: Report) -> None:
    (finding,) = json.loads(as_json.document([report]))["reports"][0]["findings"]
    assert finding["got"] == report.findings[0].got
    assert tuple(finding["sample"]) == report.findings[0].sample


@given(SURPRISES)
def test_any_text_survives_junit(report: Report) -> None:
    ((case,),) = JUnitXml.fromstring(junit.document([report]).encode())
    spelled = re.compile(r"\\(?:[\\r]|x[0-9a-f]{2}|u[0-9a-f]{4})")
    text = spelled.sub(lambda found: ast.literal_eval(f"'{found[0]}'"), case.result[0].text)
    assert text == told(report.findings[0])


@given(SURPRISES)
def test_any_text_survives_github(report: Report) -> None:
    error, _notice, end = re.split("\r\n|\r|\n", github.commands([report]))
    assert end == ""
    message = error.split("::", 2)[2]
    text = re.sub("%(25|0D|0A)", lambda found: chr(int(found[1], 16)), message)
    assert text == told(report.findings[0])


@given(SURPRISES)
def test_any_text_is_sarif(report: Report) -> None:
    log = json.loads(sarif.log([report]))
    text = log["runs"][0]["results"][0]["message"]["text"].replace("{{", "{").replace("}}", "}")
    assert text == f"{BROKEN.clause}\n{told(report.findings[0])}"
    assert re.findall(r"(?<!{)(?:{{)*{(?!{)", log["runs"][0]["results"][0]["message"]["text"]) == []


@given(SURPRISES)
def test_any_text_survives_html(report: Report) -> None:
    assert Texts(page(report), "code").found == list(report.findings[0].sample)


@given(ANY)
def test_a_github_property_ends_where_it_should(clause: str) -> None:
    report = replace(REPORT, findings=(replace(BROKEN, clause=clause),))
    error = github.commands([report]).split("\n")[0]
    properties = error.removeprefix("::error ").split("::", 1)[0].split(",")
    title = dict(part.split("=", 1) for part in properties)["title"]
    code = "%(25|0D|0A|3A|2C)"
    text = re.sub(code, lambda found: chr(int(found[1], 16)), title)
    assert text == f"{clause} ({BROKEN.check})"
