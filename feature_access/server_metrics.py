"""What a feature server tells Prometheus: latency, errors, freshness, defaults served.

Counts are of all workers, through the folder that `PROMETHEUS_MULTIPROC_DIR` names. No label holds
a customer.
"""

from collections.abc import Iterable
from datetime import timedelta

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

SECONDS = Histogram(
    "feature_store_request_seconds",
    "How long an online read took, whatever came of it.",
    ["status"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1),
)
REQUESTS = Counter(
    "feature_store_requests", "Online reads, by consumer and HTTP status.", ["consumer", "status"]
)
ROWS = Counter("feature_store_rows", "Entities answered for.", ["view"])
DEFAULTS = Counter(
    "feature_store_default_rows", "Those that the store held nothing of: defaults.", ["view"]
)

Standing = tuple[str, timedelta | None]
"""A view and the age of what the store holds of it; None where it does not answer."""


def exposition(standings: Iterable[Standing]) -> bytes:
    """All of it, as Prometheus reads it."""
    counted = CollectorRegistry()
    MultiProcessCollector(counted)  # type: ignore[no-untyped-call]
    now = CollectorRegistry()
    up = Gauge(
        "feature_store_online_up", "Whether the online store answers.", ["view"], registry=now
    )
    age = Gauge(
        "feature_store_online_age_seconds",
        "The present less the instant the online store is materialized to.",
        ["view"],
        registry=now,
    )
    for view, found in standings:
        up.labels(view).set(found is not None)
        if found is not None:
            age.labels(view).set(found.total_seconds())
    return generate_latest(counted) + generate_latest(now)
