"""As served: what the online store held at a time is what the last materialization brought it.

A plain training set has the value of the prediction time itself, which a model could be given only
if every change reached the online store at once. Between two materializations it serves the value
of the first one.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

import pandas as pd
from feast import FeatureView

from storage.errors import RefusedError

_BEFORE_ANY_ROW = datetime(1700, 1, 1, tzinfo=UTC)


def materialization_ends(views: Sequence[FeatureView]) -> list[datetime]:
    """When the views were brought up to date, oldest first.

    Raises:
        RefusedError: never, or not all of them at the same instants.
    """
    ends = [sorted({end for _, end in view.materialization_intervals}) for view in views]
    names = ", ".join(view.name for view in views)
    if not ends or not all(ends):
        raise RefusedError(f"{names} was never materialized, so it served nothing at any time")
    if any(other != ends[0] for other in ends):
        raise RefusedError(
            f"{names} were materialized at different instants: read one version at a time"
        )
    return ends[0]


def moved_back(times: pd.Series, ends: Sequence[datetime]) -> pd.Series:
    """Each time moved to the newest end that is not after it; no time stays none.

    A time before the first end is moved before any feature row, to where only defaults are.
    """
    instants = pd.DatetimeIndex([_BEFORE_ANY_ROW, *ends]).as_unit("us")
    newest = instants.searchsorted(times.fillna(_BEFORE_ANY_ROW), side="right") - 1
    return pd.Series(instants[newest], times.index).where(times.notna())
