"""Population stability index: how far a feature's values have moved from a baseline.

PSI = Σ (q − p) · ln(q / p) over the bins, p the baseline's shares and q the current ones (Siddiqi,
Credit Risk Scorecards, 2006). Of two samples of one population, of n and m values in B bins, it is
about (1/n + 1/m) · χ² with B − 1 degrees of freedom (Yurdakul and Naranjo, Journal of Risk Model
Validation, 2020): that much is noise.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]

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
        numbers = values[np.isfinite(values)]
        distinct, counts = np.unique(numbers, return_counts=True)
        heavy = counts * _BINS >= numbers.size
        rest = np.repeat(distinct[~heavy], counts[~heavy])
        edges: set[float] = set()
        if rest.size:
            inner = max(1, round(_BINS * rest.size / numbers.size))
            cuts = np.arange(1, inner) / inner
            edges.update(np.quantile(rest, cuts, method="inverted_cdf").tolist())
        return cls(tuple(sorted(edges)), tuple(distinct[heavy].tolist()))

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
        numbers = values[np.isfinite(values)]
        cuts = self._cuts()
        per_bin = np.bincount(np.searchsorted(cuts, numbers), minlength=cuts.size + 1)
        return (*per_bin.tolist(), int(values.size - numbers.size))

    def _cuts(self) -> Values:
        """Upper ends of all bins but the last; a value alone is cut off just below itself too."""
        alone = np.array(self.alone, np.float64)
        return np.unique(np.concatenate([self.edges, np.nextafter(alone, -np.inf), alone]))


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
