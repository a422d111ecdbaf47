"""The households' profiles as Feast must answer them, and how to ask for them.

Beside the real households stand a few planted customers whose story is known to the microsecond.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
from oracle import MICROSECOND, ChangeLog, Profile, Row

SERVICE = "customer_profile"
VIEW = "customer_profile_v1"
FEATURES = Profile._fields
HOUSEHOLDS = range(1, 2_470)
TTL = timedelta(days=30)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

# In the hour before it many profiles change and a few windows empty. The change log runs on for a
# day, so whoever looks past the present finds something there.
PRESENT = datetime(2017, 11, 26, 23, tzinfo=UTC)
LOG_END = PRESENT + DAY

UNKNOWN = 999_999_999
LEAKY, AGED = 1_000_001, 1_000_002
PAST, FUTURE = Profile(12.5, 2, 3, 1), Profile(777_777.0, 777_777, 777_777, 777_777)
AGED_SINCE = LOG_END - TTL - HOUR  # so that it is known to be too old an hour before the end
PLANTED = [
    Row(LEAKY, PRESENT - DAY, PAST),
    Row(LEAKY, PRESENT + MICROSECOND, FUTURE),
    # No row of zeros follows this one, as one always does in a real log, so the ttl alone ends it.
    Row(AGED, AGED_SINCE, Profile(30.0, 1, 4, 1)),
]

Asked = list[tuple[int, datetime]]


def at(moment: datetime, customers: Iterable[int]) -> Asked:
    return [(customer, moment) for customer in customers]


def expected(log: ChangeLog, asked: Asked) -> list[Profile]:
    """What a plain as-of read of the change log answers."""
    return [log.profile(customer, moment, TTL) for customer, moment in asked]


def entity_frame(asked: Asked) -> pd.DataFrame:
    return pd.DataFrame(asked, columns=["customer_id", "event_timestamp"])


def historical(store: Any, entities: pd.DataFrame, **options: Any) -> Any:
    """Feast's own job, not yet run."""
    return store.get_historical_features(entities, store.get_feature_service(SERVICE), **options)


def offline(store: Any, asked: Asked) -> list[Profile]:
    return list(profiles(historical(store, entity_frame(asked)).to_df()))


def online(store: Any, customers: Iterable[int], **options: Any) -> Any:
    """Feast's own response."""
    rows = [{"customer_id": customer} for customer in customers]
    return store.get_online_features(store.get_feature_service(SERVICE), rows, **options)


def profiles(answer: Any, prefix: str = "") -> Iterator[Profile]:
    """The rows of an answer that holds a column per feature."""
    return map(Profile, *(list(answer[prefix + feature]) for feature in FEATURES))
