"""What a sample proves about a share: the exact binomial bound of Clopper and Pearson (1934)."""

from typing import Literal


def upper_bound(mismatched: int, compared: int, confidence: float = 0.95) -> float:
    """The largest share, 0 … 1, that so few mismatches of so many still allow; one-sided.

    Any larger share would give this few mismatches with a probability below 1 - `confidence`.
    Of nothing compared nothing is known: the bound is 1.

    Raises:
        ValueError: more mismatched than compared, or fewer than none.
    """
    if not 0 <= mismatched <= compared:
        raise ValueError(f"{mismatched} mismatched of {compared} compared is no proportion")
    if mismatched == compared:
        return 1.0
    from scipy.special import betaincinv  # imported late; the whole of scipy.stats takes a second

    # The quantile of a beta distribution.
    return float(betaincinv(mismatched + 1, compared - mismatched, confidence))


def at_most(most: float, mismatched: int, compared: int) -> Literal["kept", "broken", "unknown"]:
    """Whether the sample shows that no more than the share `most` mismatches.

    Kept where even the upper bound is within it, broken where the observed share is not, else
    unknown: the sample is too small to tell.
    """
    if upper_bound(mismatched, compared) <= most:
        return "kept"
    return "broken" if compared and mismatched / compared > most else "unknown"
