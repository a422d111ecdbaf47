"""Any declaration, computed alone of a file of events: each answer and count is the oracle's.

Columns of every type that their kind may have, in one part or several, with a column that nobody
declared.
"""

from random import Random

import pytest
from aggregation_cases import Case, cases, differences
from declared_files import computed, write_events
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.usefixtures("one_engine")
fractions = st.floats(0, 1) | st.just(1.0)


def hold(case: Case, fraction: float, seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    oracle, random = case.oracle, Random(seed)
    points = sorted(at for _, at in oracle.turning_points())
    as_of = points[int(fraction * (len(points) - 1))]
    counts = oracle.counts(as_of)
    assume(counts["ingested"])
    events = write_events(case, tmp_path_factory.mktemp("declared"), random)
    done, log, aside = computed(case, events, as_of)
    assert {name: getattr(done, name) for name in counts} == counts
    assert len(aside) == counts["quarantined"]
    asked = [one for one in oracle.turning_points() if one[1] <= as_of]
    assert differences(oracle, log, asked) == []


@settings(max_examples=12, suppress_health_check=list(HealthCheck))
@given(cases(), fractions, st.integers(0, 2**32))
def test_every_answer_and_count(
    tmp_path_factory: pytest.TempPathFactory, case: Case, fraction: float, seed: int
) -> None:
    hold(case, fraction, seed, tmp_path_factory)


@pytest.mark.slow
@settings(max_examples=600, suppress_health_check=list(HealthCheck))
@given(cases(40), fractions, st.integers(0, 2**32))
def test_every_answer_and_count_of_many(
    tmp_path_factory: pytest.TempPathFactory, case: Case, fraction: float, seed: int
) -> None:
    hold(case, fraction, seed, tmp_path_factory)
