"""Refreshes of a small warehouse."""

from event_strategies import (
    CUSTOMERS,
    DAY,
    HOUR,
    MONTH,
    NOON,
    oracles,
    state,
)
from oracle import Oracle
from postgres_server import Database
from refreshes import refresh_warehouse
from warehouse import (
    PIPELINE,
    SECRET,
)

from feature_pipeline.refreshed import RefreshResult

whole_numbered = oracles(CUSTOMERS[:1])


def refresh(warehouse: Database, oracle: Oracle, as_of, **options) -> RefreshResult:
    return refresh_warehouse(
        warehouse.seen_by(PIPELINE, SECRET).address,
        as_of=as_of,
        **{
            "lookback_window": oracle.lookback_window,
            "allowed_lateness": oracle.allowed_lateness,
            **options,
        },
    )


FEW = Oracle(
    [
        state(NOON, HOUR, 1, "10.00", 2),
        state(NOON + HOUR, 2 * HOUR, 2, "30.00", 3),
        state(NOON + DAY, HOUR, 4, "40.00", 1),
        state(NOON + 2 * DAY, 30 * HOUR, 1, "1.00", 1),
    ],
    lookback_window=MONTH,
    allowed_lateness=DAY,
)
FIRST, SECOND = NOON + 2 * HOUR, NOON + 2 * DAY
