"""PSI: published values, frozen bins, and how often chance alone would block."""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict

import numpy as np
import pytest

from contract_checks.measures import psi as measure
from contract_checks.measures.proportions import upper_bound
from contract_checks.measures.psi import Bins, Values, noise, psi, reaches

WARN, BLOCK = 0.1, 0.2
MISSING = math.nan


def numbers(*values: float | None) -> Values:
    return np.array([MISSING if value is None else value for value in values], np.float64)


def judged(baseline: Values, current: Values, threshold: float = BLOCK) -> bool | None:
    bins = Bins.of(baseline)
    counted = bins.counts(baseline), bins.counts(current)
    return reaches(threshold, psi(*counted), noise(*counted))


@pytest.mark.parametrize(
    ("baseline", "current", "alpha", "known"),
    [
        ((50, 50), (60, 40), 0, 0.0405465108),
        ((25, 25, 25, 25), (40, 30, 20, 10), 0, 0.2282174096),
        ((100,) * 10, (50, 60, 80, 90, 100, 100, 110, 120, 140, 150), 0, 0.0989385380),
        ((100,) * 10, (50, 60, 80, 90, 100, 100, 110, 120, 140, 150), 0.5, 0.0978771745),
        ((3, 4), (3, 4), 0, 0.0),
    ],
)
def test_known_values(
    baseline: tuple[int, ...], current: tuple[int, ...], alpha: float, known: float
) -> None:
    assert psi(baseline, current, alpha) == pytest.approx(known, abs=5e-11)
    assert psi(current, baseline, alpha) == pytest.approx(known, abs=5e-11)


def test_alpha_is_jeffreys_unless_told() -> None:
    assert psi((7, 0), (5, 2)) == psi((7, 0), (5, 2), 0.5)
    p, q = (7.5 / 8, 0.5 / 8), (5.5 / 8, 2.5 / 8)
    by_hand = sum((b - a) * math.log(b / a) for a, b in zip(p, q, strict=True))
    assert psi((7, 0), (5, 2)) == pytest.approx(by_hand, rel=1e-12)


def test_a_bin_empty_in_both_takes_no_part() -> None:
    assert psi((10, 0, 20), (300, 0, 500)) == psi((10, 20), (300, 500))
    assert noise((10, 0, 20), (300, 0, 500)) == noise((10, 20), (300, 500))


def test_noise_is_the_chi_square_of_a_table() -> None:
    # χ² at 0.95: 3.841 for 1 degree of freedom, 16.919 for 9.
    assert noise((50, 50), (100, 100)) == pytest.approx((1 / 100 + 1 / 200) * 3.841, rel=1e-3)
    assert noise((100,) * 10, (200,) * 10) == pytest.approx((3 / 2000) * 16.919, rel=1e-4)
    assert noise((100,), (50,)) == 0


@pytest.mark.parametrize("measure", [psi, noise])
def test_an_empty_sample_has_none(
    measure: Callable[[Sequence[int], Sequence[int]], float],
) -> None:
    for baseline, current in (((0, 0), (1, 2)), ((1, 2), (0, 0)), ((), ())):
        with pytest.raises(ValueError, match="without values"):
            measure(baseline, current)


def test_a_threshold_is_reached_at_it_and_not_within_the_noise() -> None:
    assert reaches(0.2, 0.2, 0.2) is True
    assert reaches(0.2, math.nextafter(0.2, 0), 0.0) is False
    assert reaches(0.2, 0.3, math.nextafter(0.3, 1)) is None
    assert reaches(0.2, 0.1, 0.5) is False


def test_deciles_hold_a_tenth_each() -> None:
    baseline = np.arange(1000, dtype=np.float64)
    bins = Bins.of(baseline)
    assert bins.edges == tuple(float(100 * n - 1) for n in range(1, 10))
    assert bins.alone == ()
    assert bins.counts(baseline) == (*[100] * 10, 0)
    assert bins.labels[:2] == ("≤ 99", "> 99, ≤ 199")
    assert bins.labels[-2:] == ("> 899", "no number")


def test_a_value_that_holds_a_decile_is_a_bin_of_its_own() -> None:
    baseline = numbers(*[0.0] * 60, *[1.0] * 10, *[2.0] * 9, *range(3, 24))
    bins = Bins.of(baseline)
    assert bins.alone == (0.0, 1.0)
    assert bins.edges == (3.0, 13.0)  # three bins for the thirty that are left
    assert dict(zip(bins.labels, bins.counts(baseline), strict=True)) == {
        "< 0": 0,
        "0": 60,
        "> 0, < 1": 0,
        "1": 10,
        "> 1, ≤ 3": 10,
        "> 3, ≤ 13": 10,
        "> 13": 10,
        "no number": 0,
    }


def test_counts_are_those_of_the_plainest_search() -> None:
    draw = np.random.default_rng(7)
    baseline = np.where(draw.random(900) < 0.3, 0, draw.gamma(2, 10, 900).round(1))
    bins = Bins.of(baseline)
    asked = [*baseline, *bins.edges, *bins.alone, -1.0, 5e-324, 1e308]
    by_hand = [0] * len(bins.labels)
    points = sorted([*bins.edges, *bins.alone])
    for value in asked:
        place = 0
        for point in points:
            if point in bins.alone:
                if value < point:
                    break
                place += 1
                if value == point:
                    break
            elif value <= point:
                break
            place += 1
        by_hand[place] += 1
    assert bins.counts(np.array(asked)) == tuple(by_hand)
    assert sum(count > 0 for count in by_hand) >= 8


def test_what_is_no_number_has_a_bin() -> None:
    bins = Bins.of(numbers(1, 2, 3, None))
    assert bins.counts(numbers(None, math.nan, math.inf, -math.inf, 2))[-1] == 4
    assert sum(bins.counts(numbers(None, math.nan, math.inf, -math.inf, 2))) == 5


def test_bins_outlive_json_to_the_last_bit() -> None:
    bins = Bins.of(np.random.default_rng(1).normal(size=500))
    read = json.loads(json.dumps(asdict(bins), allow_nan=False))
    assert Bins(tuple(read["edges"]), tuple(read["alone"])) == bins
    assert len(bins.edges) == 9


def test_no_values_at_all_leave_two_bins() -> None:
    bins = Bins.of(numbers(None, None))
    assert (bins.labels, bins.counts(numbers(None, 5))) == (("any number", "no number"), (1, 1))


# Inputs that have gone wrong elsewhere: what is the right answer?

SPREAD = np.random.default_rng(11).gamma(2, 10, 2000)


def test_one_outlier_moves_nothing() -> None:
    shifted = SPREAD.copy()
    shifted[0] = 1e6
    assert judged(SPREAD, shifted, WARN) is False
    assert judged(shifted, SPREAD, WARN) is False


def test_half_the_rows_null_is_drift_from_none_and_none_from_half() -> None:
    half = np.where(np.arange(SPREAD.size) % 2, SPREAD, MISSING)
    assert judged(SPREAD, half) is True
    assert judged(half, SPREAD) is True
    assert judged(half, half[::-1], WARN) is False


def test_a_value_never_seen_is_drift_where_it_is_frequent() -> None:
    counts = np.random.default_rng(3).integers(0, 4, 2000).astype(np.float64)
    for unseen in (-1, 1.5, 99):
        often, once = counts.copy(), counts.copy()
        often[:200] = unseen
        once[0] = unseen
        assert judged(counts, often) is True
        assert judged(counts, once, WARN) is False


def test_a_constant_feature_drifts_only_when_it_changes() -> None:
    constant = np.full(1000, 7.0)
    assert judged(constant, constant, WARN) is False
    assert judged(constant, constant + 1) is True
    assert judged(constant, np.where(np.arange(1000) < 3, 8.0, 7.0), WARN) is False


def test_few_values_are_no_verdict() -> None:
    assert judged(SPREAD[:8], SPREAD[-8:] + 100) is None


# How often chance decides. Each feature has the zeros and the long tail of a count.


def zero_inflated(draw: np.random.Generator, size: int) -> Values:
    return np.where(draw.random(size) < 0.3, 0.0, draw.gamma(2, 10, size))


SHAPES: dict[str, Callable[[np.random.Generator, int], Values]] = {
    "zeros and a long tail": zero_inflated,
    "uniform": lambda draw, size: draw.random(size),
    "normal": lambda draw, size: draw.normal(size=size),
    "over many magnitudes": lambda draw, size: draw.lognormal(0, 3, size),
    "small counts": lambda draw, size: draw.poisson(1, size).astype(np.float64),
    "counts": lambda draw, size: draw.poisson(10, size).astype(np.float64),
    "a rare one": lambda draw, size: (draw.random(size) < 0.002).astype(np.float64),
    "constant with nulls": lambda draw, size: np.where(draw.random(size) < 0.05, MISSING, 4.0),
}


OFTEN = ("zeros and a long tail",)
"""Shapes that are asked for with every change: money and orders of those who seldom buy."""


@pytest.mark.parametrize(
    "shape",
    [pytest.param(shape, marks=[] if shape in OFTEN else pytest.mark.slow) for shape in SHAPES],
)
def test_without_a_shift_chance_blocks_less_than_once_in_a_thousand(shape: str) -> None:
    draw, runs, sample = np.random.default_rng(2017), 4_000, SHAPES[shape]
    verdicts = [judged(sample(draw, 1000), sample(draw, 1000)) for _ in range(runs)]
    # Neither a block nor insufficient data; 95 % confidence that it is so rare.
    assert upper_bound(sum(verdict is not False for verdict in verdicts), runs) < 1 / 1000


def test_without_a_shift_psi_exceeds_its_noise_five_times_of_a_hundred() -> None:
    draw, runs, over = np.random.default_rng(2018), 2_000, 0
    for _ in range(runs):
        baseline, current = zero_inflated(draw, 300), zero_inflated(draw, 500)
        bins = Bins.of(baseline)
        counted = bins.counts(baseline), bins.counts(current)
        over += psi(*counted) > noise(*counted)
    assert 0.035 < over / runs < 0.065


def tilted(shares: Values, by: float) -> Values:
    """The shares with the higher bins made heavier."""
    weights = shares * np.exp(by * np.linspace(-1, 1, shares.size))
    return np.asarray(weights / weights.sum(), np.float64)


def shifted(shares: Values, wanted: float) -> Values:
    """The same shares tilted until their exact PSI is the one wanted."""

    def exact(by: float) -> float:
        now = tilted(shares, by)
        return float(((now - shares) * np.log(now / shares)).sum())

    low, high = 0.0, 5.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if exact(middle) < wanted else (low, middle)
    assert exact(low) == pytest.approx(wanted, abs=1e-9)
    return tilted(shares, low)


@pytest.mark.parametrize("zeros", [0.0, 0.4])
def test_a_true_psi_of_a_quarter_is_blocked_nineteen_times_of_twenty(zeros: float) -> None:
    """Samples from ten equal shares, or from many zeros and the rest, and from them tilted."""
    tenths = round(10 * (1 - zeros))
    then = np.array([*([zeros] if zeros else []), *[0.1] * tenths])
    now = shifted(then, 0.25)
    draw, runs, blocked = np.random.default_rng(2019), 2_000, 0

    def sample(shares: Values) -> Values:
        # A uniform value within each share, so that the bins are those frozen from a sample.
        places = draw.choice(shares.size, 2000, p=shares)
        return np.where((places == 0) & (zeros > 0), 0, places + draw.random(2000))

    for _ in range(runs):
        blocked += judged(sample(then), sample(now)) is True
    assert blocked / runs >= 0.95


PRICE, BITS_MORE, BITS_LESS = 19.9, 19.900000000000002, 19.899999999999995


def test_the_last_bits_of_a_value_are_no_drift() -> None:
    """Cut to the last bit this was a PSI of 4.8."""
    baseline = np.array([PRICE] * 600 + [5.0] * 300 + list(range(100)))
    bins = Bins.of(baseline)
    for now in (BITS_MORE, BITS_LESS, PRICE):
        current = np.where(baseline == PRICE, now, baseline)
        assert bins.counts(current) == bins.counts(baseline)
        assert Bins.of(current) == bins
    assert bins.counts(np.array([19.91] * 1_000)) != bins.counts(np.array([PRICE] * 1_000))


@pytest.mark.parametrize(
    ("value", "rounded"),
    [
        (BITS_MORE, 19.9),
        (-BITS_MORE, -19.9),
        (20 / 3, 6.66666666667),
        (999.9999999999999, 1_000.0),
        (0.1 + 0.2, 0.3),
        (123_456_789_012.4, 123_456_789_012.0),
        (1.5e300 * (1 + 2**-52), 1.5e300),
        (3e-12 * (1 + 2**-52), 3e-12),
        (-0.0, 0.0),
        (5e-324, 5e-324),
        (1.25, 1.25),
    ],
)
def test_twelve_digits_count(value: float, rounded: float) -> None:
    (got,) = measure._rounded(np.array([value]))
    assert str(got) == str(np.float64(rounded)) or got == pytest.approx(rounded, rel=1e-15, abs=0)


def test_what_twelve_digits_tell_apart_stays_apart() -> None:
    values = np.array([1.0, 1.00000000001, 1.00000000002])
    assert len(Bins.of(values).alone) == 3


def old_bins(*alone: float, edges: tuple[float, ...] = ()) -> Bins:
    """As they were frozen when values were cut to the last bit."""
    return Bins(edges, alone)


@pytest.mark.parametrize(
    ("old", "counts", "bins", "merged"),
    [
        # below, 19.9, above, none
        (old_bins(PRICE), (1, 5, 2, 3), Bins((), (PRICE,)), (1, 5, 2, 3)),
        (old_bins(BITS_MORE), (1, 5, 2, 3), Bins((), (PRICE,)), (1, 5, 2, 3)),
        # below, 19.9, 19.900000000000002, above, none: nothing lies between the two
        (old_bins(PRICE, BITS_MORE), (1, 5, 4, 2, 3), Bins((), (PRICE,)), (1, 9, 2, 3)),
        # one in a bin's end, another alone, what is between them of the one as well
        (
            old_bins(BITS_MORE, edges=(5.0, BITS_LESS)),
            (7, 1, 6, 9, 2, 3),
            Bins((5.0, PRICE), (PRICE,)),
            (7, 0, 16, 2, 3),
        ),
        (old_bins(edges=(5.0, 6.0)), (7, 1, 6, 3), Bins((5.0, 6.0), ()), (7, 1, 6, 3)),
        (old_bins(), (4, 3), Bins((), ()), (4, 3)),
    ],
)
def test_a_baseline_frozen_to_the_last_bit_is_read(
    old: Bins, counts: tuple[int, ...], bins: Bins, merged: tuple[int, ...]
) -> None:
    assert old.rounded(counts) == (bins, merged)
    assert len(merged) == len(bins.labels)
    assert bins.rounded(merged) == (bins, merged), "read again it is the same"


@pytest.mark.parametrize("shape", SHAPES)
def test_a_baseline_of_today_is_read_as_it_was_frozen(shape: str) -> None:
    values = SHAPES[shape](np.random.default_rng(5), 5_000)
    bins = Bins.of(values)
    assert bins.rounded(bins.counts(values)) == (bins, bins.counts(values))
