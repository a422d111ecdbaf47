"""§8 judges a sample: where one entity in a hundred is served wrong values, it is not kept.

An evicted row reads as the defaults, and so does whoever the store never held. The sample is of a
size of its own, whatever the population: the share of wrong rows decides, not how many there are.
"""

import math

import pytest
from scipy.stats import hypergeom

from contract_checks.checks.parity import _judged
from contract_checks.evidence.parity import _COMPARED

ACCEPTABLE = 0.01
SIZES = [1, 50, 298, 299, 300, 999, 1_000, 1_001, 1_500, 10_000, 1_000_000, 10**9]


@pytest.mark.parametrize("entities", SIZES)
def test_one_wrong_row_in_a_hundred_is_seen(entities: int) -> None:
    """With at least 95 % probability at least one of them is drawn."""
    wrong = math.ceil(ACCEPTABLE * entities)
    drawn = min(entities, _COMPARED)
    assert hypergeom(entities, wrong, drawn).sf(0) >= 0.95
    assert drawn == entities or drawn >= 299


@pytest.mark.parametrize("entities", SIZES)
def test_and_more_than_that_is_kept_once_in_twenty_at_most(entities: int) -> None:
    wrong = math.floor(ACCEPTABLE * entities) + 1
    drawn = min(entities, _COMPARED)
    seen, sampled = hypergeom(entities, wrong, drawn), drawn < entities
    kept = [n for n in range(drawn + 1) if _judged(ACCEPTABLE, n, drawn, sampled=sampled) == "kept"]
    assert sum(seen.pmf(n) for n in kept) <= 0.05
    assert 0 in kept  # what serves nothing wrong is kept
