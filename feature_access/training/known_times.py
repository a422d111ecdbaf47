"""How far what is asked of a feature store is known: a later time has no answer yet.

Its answer now could be another after the next refresh, and a training set asked for twice is to be
the same twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from feast import FeatureStore, FeatureView
from feast.infra.offline_stores.offline_utils import get_offline_store_from_config
from numpy.typing import NDArray

from feature_access.entities.instants import INSTANT, instants
from feature_access.offline_stores.offline_table import NotYetKnownError


@dataclass(frozen=True)
class Known:
    """An instant up to which there are answers, itself included, and what ends them there."""

    until: datetime
    because: str

    def knows(self, times: pd.Series) -> NDArray[np.bool_]:
        """Which of the instants have an answer; one that is none is left to whoever reads it."""
        later = pc.greater(instants(times, str(times.name)), pa.scalar(self.until, INSTANT))
        answered: NDArray[np.bool_] = ~later.fill_null(False).to_numpy(zero_copy_only=False)
        return answered

    def refusal(self, rows: int) -> NotYetKnownError:
        """What it means that so many rows ask for a later time."""
        return NotYetKnownError(
            f"{rows:,} rows ask for times after {self.until.isoformat()}, up to which "
            f"{self.because}: leave them out (--known-only), or refresh and ask again later"
        )


def how_far_known(
    store: FeatureStore,
    views: Sequence[FeatureView],
    as_of: datetime | None = None,
    last_served: datetime | None = None,
) -> Known | None:
    """How far all the views are known; None where nothing says so.

    No further than `as_of`, the present of whoever asks, and `last_served`, the end of the last
    materialization, where what was served is asked for.
    """
    offline = get_offline_store_from_config(store.config.offline_store)
    ends = [
        (as_of, "this run reads (--as-of)"),
        (last_served, "the online store was last materialized"),
    ]
    for view in views:
        until = offline.known_up_to(store.config, view.batch_source)
        ends.append((until, f"{view.name} is known"))
    told = [Known(until, because) for until, because in ends if until is not None]
    return min(told, key=lambda known: known.until, default=None)
