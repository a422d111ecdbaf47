"""Faults planted in the kernel, one at a time: the oracle sees every one of them."""

import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest
from aggregation_cases import Case, by_kernel, cases, exactly
from aggregation_oracle import Key
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
        max_examples=150,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(cases(crowd=40) | cases(crowd=4), st.sampled_from([0.5, 0.8, 1.0]))
    def collect(case: Case, fraction: float) -> None:
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
