"""The kernel answers every instant as the declaration's words do, whatever the declaration."""

from collections import Counter
from collections.abc import Callable

import pytest
from aggregation_cases import Case, by_kernel, cases, differences, read
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feature_pipeline.aggregation.kernel import Kernel

fractions = st.floats(0, 1) | st.just(1.0)
ASKED: Counter[str] = Counter()


def thorough(examples: int) -> Callable:
    return settings(
        max_examples=examples,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


def hold(case: Case, fraction: float) -> None:
    """Ask the log as known at some turning point at every other one."""
    oracle = case.oracle
    points = sorted(at for _, at in oracle.turning_points())
    as_of = points[int(fraction * (len(points) - 1))]
    log = by_kernel(case, as_of)
    asked = [one for one in oracle.turning_points() if one[1] <= as_of]
    ASKED["instants"] += len(asked)
    assert differences(oracle, log, asked) == []
    for rows in log.rows.values():
        stamps = [stamp for stamp, _ in rows]
        assert stamps == sorted(set(stamps))
        assert stamps[-1] <= as_of


@thorough(40)
@given(cases(), fractions)
def test_every_answer_is_the_oracles(case: Case, fraction: float) -> None:
    hold(case, fraction)


@pytest.mark.slow
def test_a_million_instants() -> None:
    @thorough(3_000)
    @given(cases(crowd=60), st.just(1.0))
    def whatever_the_declaration(case: Case, fraction: float) -> None:
        hold(case, fraction)

    ASKED.clear()
    whatever_the_declaration()
    print(f"{ASKED['instants']:,} instants asked")
    assert ASKED["instants"] >= 1_000_000


@thorough(20)
@given(cases(), fractions)
def test_an_earlier_log_is_a_prefix_of_a_later_one(case: Case, fraction: float) -> None:
    points = sorted(at for _, at in case.oracle.turning_points())
    as_of = points[int(fraction * (len(points) - 1))]
    before, after = by_kernel(case, as_of), by_kernel(case, points[-1])
    for key, rows in after.rows.items():
        assert before.rows[key] == [row for row in rows if row[0] <= as_of]


@thorough(20)
@given(cases(), fractions)
def test_each_event_counts_once(case: Case, fraction: float) -> None:
    oracle = case.oracle
    points = sorted(at for _, at in oracle.turning_points())
    as_of = points[int(fraction * (len(points) - 1))]
    kernel = Kernel(read(case.declaration), as_of)
    by_kernel(case, as_of, lambda *_: kernel)
    counts = oracle.counts(as_of)
    named = ("kept", "superseded", "filtered")
    assert vars(kernel.counts) == {name: counts[name] for name in named}
