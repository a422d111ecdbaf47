"""Faults planted in the kernel, one at a time: the oracle sees every one of them."""

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest
from aggregation_cases import DAY, HOUR, Case, by_kernel, cases, declared, exactly
from aggregation_oracle import ARRIVED, HAPPENED, Key
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import feature_pipeline.aggregation

pytestmark = pytest.mark.slow

ROOM = Path(feature_pipeline.aggregation.__file__).parent
MODULES = ("sums", "values", "timeline", "quotients", "measures", "kernel")
"""In the order in which they import each other."""

FAULTS = [
    ("timeline", "np.minimum(superseded, happened + window)", "happened + window"),
    ("timeline", "np.minimum(superseded, happened + window)", "superseded"),
    ("timeline", "superseded, happened + window)", "superseded, arrived + window)"),
    ("timeline", "arrived < ends[max(windows)]", "arrived < ends[min(windows)]"),
    ("timeline", "& (end <= as_of)", "& (end < as_of)"),
    ("timeline", 'side="right"', 'side="left"'),
    ("timeline", "there = np.flatnonzero(arrived < ends[window])", "there = begun"),
    (
        "timeline",
        "np.subtract.at(deltas, intervals.stop,",
        "np.subtract.at(deltas, intervals.stop - 1,",
    ),
    ("timeline", "intervals.stop[here] - block", "intervals.start[here]"),
    ("timeline", "whole[:-half], out=greatest[half:]", "whole[half:], out=greatest[:-half]"),
    ("timeline", "start[1:] > reach[:-1]", "start[1:] > stop[:-1]"),
    ("timeline", "key << bits |", "key << bits - 1 |"),
    ("kernel", "arrived[order[first[followed + 1]]]", "arrived[followed + 1]"),
    ("kernel", "key_begins | row_begins([batch[THING]])", "row_begins([batch[THING]])"),
    ("kernel", "begins[1:] |= pc", "begins[1:] = pc"),
    ("kernel", "there &= Values", "there |= Values"),
    ("measures", "there &= self.columns[measure.column].present", "there &= True"),
    (
        "measures",
        "there &= self.columns[condition.column]",
        "there |= self.columns[condition.column]",
    ),
    ("measures", 'in ("min", "first")', 'in ("min",)'),
    ("measures", "self.arrived, self.happened]", "self.happened, self.arrived]"),
    ("measures", "[value, *tie,", "[*tie, value,"),
    ("measures", "(count - 1 - value_of_event[pieces.event])", "value_of_event[pieces.event]"),
    ("measures", "running(intervals, ones) == 0", "running(intervals, ones) <= 1"),
    ("measures", "pc.greater_equal(", "pc.greater("),
    ("measures", "pc.less_equal(", "pc.less("),
    (
        "measures",
        "self._numbers(self.feature.divisor) == 0",
        "self._numbers(self.feature.measure) == 0",
    ),
    ("sums", "above = whole >> _BITS", "above = none"),
    ("sums", "if (high == low >> 63).all()", "if (high == high).all()"),
    ("quotients", "(cents * _IN_A_CENT == numbers)", "(cents == cents)"),
    ("values", "bisect_right(texts, text) - 1", "bisect_right(texts, text)"),
    ("values", "return there & self.present", "return there"),
    ("values", "numbers <= up_to\n", "numbers <= below\n"),
    ("values", "(numbers < below) | (numbers > up_to)", "numbers < below"),
]


NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)
COUNT = {"count": True, "window": "1d"}
AMOUNT = {"ratio": [{"sum": "paid"}, {"count": True}], "window": "1d"}
BY_ID, BY_DAY = {"kind": "id", "by": "id"}, {"kind": "period", "by": "day"}
DIRECTED: list[tuple[dict[str, Any], dict[str, str], list[dict[str, Any]]]] = [
    (COUNT, {"kind": "none"}, [{}, {"shop": "b"}]),
    (AMOUNT, {"kind": "none"}, [{"paid": Decimal("1e-12")}]),
    (AMOUNT | {"empty": 7}, {"kind": "none"}, [{}]),
    (COUNT | {"where": [["tag", "<=", "ab"]]}, {"kind": "none"}, [{"tag": "a"}, {"tag": "b"}]),
    (
        {"distinct": "tag", "window": "1d"},
        BY_ID,
        [{}, {"id": 2, "hour": 1}, {"id": 2, "hour": 2, "tag": "y"}, {"id": 3, "hour": 5}],
    ),
    (COUNT, BY_DAY, [{}, {"hour": 1, "arrives": 5}, {"hour": 2, "arrives": 3}]),
    (
        {"sum": "paid", "window": "1d"},
        BY_DAY,
        [
            {"paid": Decimal(1)},
            {"hour": 1, "arrives": 5, "paid": Decimal(2)},
            {"hour": 2, "arrives": 3, "paid": Decimal(4)},
        ],
    ),
    ({"last": "tag", "window": "1d"}, BY_ID, [{"tag": "z"}, {"tag": "a", "id": 2}]),
]
"""What chance leaves out at times: a feature, its dedup, events by where they are no plain one."""


def directed(feature: dict[str, Any], dedup: dict[str, str], rows: list[dict[str, Any]]) -> Case:
    plain = {"shop": "a", "till": 1, "paid": Decimal(0), "tag": "x", "id": 1}
    events = []
    for row in rows:
        event = plain | row
        happened = event.pop("hour", 0)
        arrived = event.pop("arrives", happened)
        times = {HAPPENED: happened, ARRIVED: arrived}
        events.append(event | {name: NOON - DAY / 2 + n * HOUR for name, n in times.items()})
    keys = {"shop": "string", "till": "int64"}
    columns = {"paid": "decimal", "tag": "string", "id": "int64"}
    text = declared({"f": feature}, keys=keys, columns=columns, dedup=dedup)
    return Case(text, tuple(events))


class Known(NamedTuple):
    """A case, and what is so of it."""

    case: Case
    as_of: datetime
    answers: list[tuple[Key, datetime, list[Any]]]
    nothing: list[Any]

    def is_told_by(self, kernel: Callable[..., Any]) -> bool:
        try:
            log = by_kernel(self.case, self.as_of, kernel)
        except Exception:
            return False
        return all(
            (self.nothing if got is None else list(map(exactly, got.values()))) == expected
            for key, at, expected in self.answers
            for got in [log.answer(key, at)]
        )


@pytest.fixture(scope="module")
def known() -> list[Known]:
    """Crowds of events under any declarations, with every answer."""
    pool: list[Known] = []

    @settings(
        max_examples=250,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(cases(crowd=40) | cases(crowd=4), st.sampled_from([0.5, 0.8, 1.0]))
    def collect(case: Case, fraction: float) -> None:
        learn(case, fraction)

    def learn(case: Case, fraction: float) -> None:
        oracle = case.oracle
        points = sorted(oracle.turning_points())
        as_of = sorted(at for _, at in points)[int(fraction * (len(points) - 1))]
        answers = [
            (key, at, list(map(exactly, oracle.answer(key, at).values())))
            for key, at in points
            if at <= as_of
        ]
        nothing = oracle.answer(("nobody",), as_of)
        pool.append(Known(case, as_of, answers, list(map(exactly, nothing.values()))))

    collect()
    for feature, dedup, rows in DIRECTED:
        learn(directed(feature, dedup, rows), 1.0)
    return pool


def kernel_with(changed: str, old: str, new: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The kernel, with one piece of one module's source in other words."""
    for name in MODULES:
        source = (ROOM / f"{name}.py").read_text(encoding="utf-8")
        if name == changed:
            assert source.count(old) >= 1, f"{old} is not in {name}.py"
            source = source.replace(old, new)
        module = ModuleType(f"feature_pipeline.aggregation.{name}")
        monkeypatch.setitem(sys.modules, module.__name__, module)
        exec(compile(source, f"{name}.py with a fault", "exec"), vars(module))
    return module.Kernel


def test_the_kernel_itself_is_right(known: list[Known], monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = kernel_with("", "", "", monkeypatch)
    assert all(one.is_told_by(kernel) for one in known)
    assert sum(len(one.answers) for one in known) > 10_000


@pytest.mark.parametrize(("module", "old", "new"), FAULTS)
def test_a_planted_fault_is_seen(
    module: str, old: str, new: str, known: list[Known], monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = kernel_with(module, old, new, monkeypatch)
    assert not all(one.is_told_by(kernel) for one in known)
