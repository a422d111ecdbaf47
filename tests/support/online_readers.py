"""Online reads by every way there is."""

import asyncio
from datetime import timedelta

from feast_households import (
    SERVICE,
    VIEW,
)
from oracle import Profile

MAX_AGE = timedelta(hours=2)


def terms():
    from feature_access.terms import Terms

    return Terms(VIEW, ("ML Platform", "Marketing Analytics"), MAX_AGE)


def opened(repository, **other):
    from feature_access.online_features import OnlineFeatures

    chosen = {"service": SERVICE, "consumer": "ML Platform", "terms": terms()} | other
    return OnlineFeatures.open(repository, **chosen)


def keys(customers):
    return [{"customer_id": customer} for customer in customers]


def told(answer) -> list[Profile]:
    return [Profile(**row) for row in answer.named()]


def ways(features):
    """Both ways of reading."""

    def later(asked, at):
        return asyncio.run(features.read_async(asked, at=at))

    return [lambda asked, at: features.read(asked, at=at), later]
