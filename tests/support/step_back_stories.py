"""A store that stands further than it should, and what it knew."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from feast_households import profiles as profiles_of
from oracle import Event, Oracle, Profile
from warehouse import RETENTION, SECRET

from feature_pipeline.change_log.step_back import step_back_in_lake, step_back_in_warehouse

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
KNOWN = datetime(2026, 3, 1, 12, tzinfo=UTC)
"""When the last refresh was that was told the right time."""
NOW, FUTURE = KNOWN + 5 * HOUR, KNOWN + 365 * DAY
SEEN = [
    Event(c, KNOWN - d * DAY, KNOWN - d * DAY + HOUR, c, Decimal(9), d)
    for c in (1, 2, 3)
    for d in (1, 2, 9)
]
SEEN.append(Event(3, KNOWN - 30 * DAY + HOUR, KNOWN - 29 * DAY, 8, Decimal(1), 1))  # leaves by NOW
CAME = [
    Event(1, KNOWN + HOUR, KNOWN + 2 * HOUR, 5, Decimal(10), 1),
    Event(3, KNOWN + HOUR / 2, KNOWN + HOUR / 2, 1, Decimal(10), 1),  # before that one leaves
    Event(4, NOW + HOUR / 2, NOW + HOUR, 5, Decimal(10), 1),
]
ORACLE = Oracle([*SEEN, *CAME], lookback_window=30 * DAY, allowed_lateness=DAY)
POINTS = sorted(ORACLE.change_points())


def taken_back(place: Any, known_to: datetime) -> int:
    if hasattr(place, "database"):
        return step_back_in_warehouse(place.database.seen_by(RETENTION, SECRET).address, known_to)
    return step_back_in_lake(place.tables.history, known_to)


def answered(store: Any, view: str, customers: list[int]) -> list[Profile]:
    features = [f"{view}:{name}" for name in Profile._fields]
    rows = [{"customer_id": customer} for customer in customers]
    return list(profiles_of(store.get_online_features(features, rows).to_dict()))


def ends_of(store: Any, view: str) -> list[datetime]:
    store.refresh_registry()
    return [end for _, end in store.get_feature_view(view).materialization_intervals]


class KilledError(Exception):
    pass


def opened(repository: Path) -> Any:
    from feature_access.registry import open_store

    return open_store(repository)
