"""Each rule of the linter is seen to find its fault, and nothing in what is right."""

import pytest
from prometheus_lint import problems

RIGHT = """# HELP reads_total Reads.
# TYPE reads_total counter
reads_total{view="a",status="200"} 1.0
reads_total{view="a",status="503"} 2.0
# HELP read_seconds How long a read took.
# TYPE read_seconds histogram
read_seconds_bucket{le="0.1"} 1.0
read_seconds_bucket{le="+Inf"} 2.0
read_seconds_count 2.0
read_seconds_sum 0.3
# HELP online_up Whether it answers: "1" or\\n0.
# TYPE online_up gauge
online_up{view="quoted \\"a\\", b"} 1.0 1712345678000
"""
WRONG = {
    "no help text": RIGHT.replace("# HELP reads_total Reads.\n", ""),
    "no help text, ": RIGHT.replace(' Whether it answers: "1" or\\n0.', " "),
    "no type": RIGHT.replace("# TYPE online_up gauge\n", ""),
    "no type, or several": RIGHT.replace("up gauge\n", "up gauge\n# TYPE online_up gauge\n"),
    "reads: the suffix _total": RIGHT.replace("reads_total", "reads"),
    "online_total: the suffix _total": RIGHT.replace("online_up", "online_total"),
    "online_bucket: _bucket and le": RIGHT.replace("online_up", "online_bucket"),
    "online_up: _bucket and le": RIGHT.replace("{view=", "{le="),
    "online_count: _count and _sum": RIGHT.replace("online_up", "online_count"),
    "online_sum: _count and _sum": RIGHT.replace("online_up", "online_sum"),
    "quantile is a summary's": RIGHT.replace("{view=", "{quantile="),
    "no base unit: milliseconds": RIGHT.replace("read_seconds", "read_milliseconds"),
    "no base unit: hours": RIGHT.replace("read_seconds", "read_hours"),
    "an abbreviated unit": RIGHT.replace("read_seconds", "read_ms"),
    "its type in its name": RIGHT.replace("online_up", "online_gauge"),
    "online_counter_up: its type in": RIGHT.replace("online_up", "online_counter_up"),
    "a colon, or camelCase": RIGHT.replace("online_up", "online:up"),
    "onlineUp: a colon, or camelCase": RIGHT.replace("online_up", "onlineUp"),
    "reads_total: a colon, or": RIGHT.replace("view=", "viewName="),
    "one sample twice": RIGHT.replace('status="503"', 'status="200"'),
    "it stands in several places": RIGHT + RIGHT.partition("# HELP read_seconds")[0],
}


def test_what_is_right_has_no_fault() -> None:
    assert problems(RIGHT) == []


@pytest.mark.parametrize("fault", WRONG)
def test_a_fault_is_found(fault: str) -> None:
    assert WRONG[fault] != RIGHT
    found = problems(WRONG[fault])
    assert any(fault in line for line in found), found


def test_a_sample_of_no_family_has_neither_help_nor_type() -> None:
    assert problems(RIGHT + "stray 1\n") == [
        "stray: no help text, or several",
        "stray: no type, or several",
    ]
