"""Population stability index: how far a feature's values have moved from a baseline.

PSI = Σ (q − p) · ln(q / p) over the bins, p the baseline's shares and q the current ones (Siddiqi,
Credit Risk Scorecards, 2006). Of two samples of one population, of n and m values in B bins, it is
about (1/n + 1/m) · χ² with B − 1 degrees of freedom (Yurdakul and Naranjo, Journal of Risk Model
Validation, 2020): that much is noise.

Values count as rounded to `DIGITS` significant digits: what two ways to reckon a value make of its
last bits, such as 19.900000000000002 of 19.9, is no movement.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]

DIGITS = 12
_POWERS_OF_TEN = np.array([float(f"1e{power}") for power in range(301)])
_BINS = 10
_JEFFREYS = 0.5
_ONE_SIDED = 0.05


@dataclass(frozen=True)
class Bins:
    """Where a feature's values are cut: deciles, heavy values apart, and a bin for no number.

    The outer bins are open. Null, NaN and the infinities are no numbers.
    """

    edges: tuple[float, ...]
    """Upper ends of bins, each within its bin."""
    alone: tuple[float, ...]
    """Values that hold a decile or more by themselves, such as the zeros of a count."""

    @classmethod
    def of(cls, values: Values) -> "Bins":
        """The bins of a baseline's values, NaN for null."""
        numbers = _rounded(values[np.isfinite(values)])
        distinct, counts = np.unique(numbers, return_counts=True)
        heavy = counts * _BINS >= numbers.size
        rest = np.repeat(distinct[~heavy], counts[~heavy])
        edges: set[float] = set()
        if rest.size:
            inner = max(1, round(_BINS * rest.size / numbers.size))
            cuts = np.arange(1, inner) / inner
            edges.update(np.quantile(rest, cuts, method="inverted_cdf").tolist())
        return cls(tuple(sorted(edges)), tuple(distinct[heavy].tolist()))

    def rounded(self, counts: Sequence[int]) -> tuple["Bins", tuple[int, ...]]:
        """The bins and what they hold, as of values that were cut to the last bit once.

        Bins that differ in the last bits of their ends become one, with the counts of each.
        """
        bins = Bins(*(tuple(np.unique(_rounded(np.array(v)))) for v in (self.edges, self.alone)))
        cuts, merged = bins._cuts(), np.zeros(bins._cuts().size + 2, np.int64)
        least = -np.inf
        for cut, count in zip(self._cuts(), counts, strict=False):
            (end,) = _rounded(np.array([cut]))
            below_one_alone = cut not in self.edges and cut not in self.alone and least < end
            last_within = np.nextafter(end, -np.inf) if below_one_alone else end
            merged[np.searchsorted(cuts, last_within)] += count
            least = end
        merged[-2:] += counts[-2:]
        return bins, tuple(merged.tolist())

    @property
    def labels(self) -> tuple[str, ...]:
        """What each bin holds, in the order of the counts."""
        below = {float(np.nextafter(value, -np.inf)): value for value in self.alone}
        labels, least = [], ""
        for cut in self._cuts().tolist():
            if cut in self.alone:
                labels.append(f"{cut:g}")
            else:
                most = f"< {below[cut]:g}" if cut in below else f"≤ {cut:g}"
                labels.append(f"{least}, {most}" if least else most)
            least = f"> {cut:g}"
        return (*labels, least or "any number", "no number")

    def counts(self, values: Values) -> tuple[int, ...]:
        """The number of values in each bin, NaN for null; the last bin holds no numbers."""
        numbers = _rounded(values[np.isfinite(values)])
        cuts = self._cuts()
        per_bin = np.bincount(np.searchsorted(cuts, numbers), minlength=cuts.size + 1)
        return (*per_bin.tolist(), int(values.size - numbers.size))

    def _cuts(self) -> Values:
        """Upper ends of all bins but the last; a value alone is cut off just below itself too."""
        alone = np.array(self.alone, np.float64)
        return np.unique(np.concatenate([self.edges, np.nextafter(alone, -np.inf), alone]))


def _rounded(numbers: Values) -> Values:
    """To `DIGITS` significant digits, each the double nearest to its decimal.

    What is smaller than 1e-288 has no bits to spare and stays.
    """
    sizes = np.abs(numbers)
    digits = np.floor(np.log10(sizes, out=np.zeros(sizes.shape), where=sizes > 0)).astype(int)
    places = np.clip(DIGITS - 1 - digits, -300, 300)
    up, down = (_POWERS_OF_TEN[np.maximum(power, 0)] for power in (places, -places))
    rounded = np.rint(numbers * up / down) / up * down + 0.0  # no zero is negative
    return np.where(DIGITS - 1 - digits > 300, numbers, rounded)


def psi(baseline: Sequence[int], current: Sequence[int], alpha: float = _JEFFREYS) -> float:
    """The index of two samples' counts per bin; `alpha` is added to each count.

    A bin that is empty in both samples takes no part: it says nothing, but smoothed it would.

    Raises:
        ValueError: a sample is empty, so it has no shares.
    """
    expected, got = _occupied(baseline, current)
    p = (expected + alpha) / (expected + alpha).sum()
    q = (got + alpha) / (got + alpha).sum()
    return float(((q - p) * np.log(q / p)).sum())


def noise(baseline: Sequence[int], current: Sequence[int]) -> float:
    """The PSI that samples of these sizes from one population stay below 95 times of 100.

    Raises:
        ValueError: a sample is empty.
    """
    from scipy.special import chdtri  # late: `list` and `explain` need none of it

    expected, got = _occupied(baseline, current)
    degrees = expected.size - 1
    if degrees == 0:
        return 0.0
    return float((1 / expected.sum() + 1 / got.sum()) * chdtri(degrees, _ONE_SIDED))


def reaches(threshold: float, psi: float, noise: float) -> bool | None:
    """Whether a PSI is at or above a threshold; None where it is, but no more than noise."""
    if psi < threshold:
        return False
    return True if psi >= noise else None


def _occupied(baseline: Sequence[int], current: Sequence[int]) -> tuple[Values, Values]:
    """The counts of the bins that either sample reaches."""
    counts = np.array([baseline, current], np.float64)
    if not counts.sum(axis=1).all():
        raise ValueError("a sample without values has no distribution")
    expected, got = counts[:, counts.any(axis=0)]
    return expected, got
