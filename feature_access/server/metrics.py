"""What a feature server tells Prometheus: latency, errors, freshness, defaults served.

Counts are of all workers, through the folder that `PROMETHEUS_MULTIPROC_DIR` names. No label holds
a customer.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

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

_OURS = {m.name for metric in (SECONDS, REQUESTS, ROWS, DEFAULTS) for m in metric.describe()}

Standing = tuple[str, timedelta | None]
"""A view and the age of what the store holds of it; None where it does not answer."""


class _Told(Collector):
    """What is asked for at each scrape; a gauge of the workers' files would be as old as theirs."""

    def __init__(self, standings: Callable[[], Iterable[Standing]]) -> None:
        self._standings = standings

    def collect(self) -> Iterator[Metric]:
        """See prometheus_client: what our workers counted, and how the store stands now."""
        for counted in MultiProcessCollector(None).collect():  # type: ignore[no-untyped-call]
            if counted.name in _OURS:  # Feast has metrics of its own, of a server that is not run
                yield counted
        up = GaugeMetricFamily(
            "feature_store_online_up", "Whether the online store answers.", labels=["view"]
        )
        age = GaugeMetricFamily(
            "feature_store_online_age_seconds",
            "The present less the instant the online store is materialized to.",
            labels=["view"],
        )
        for view, found in self._standings():
            up.add_metric([view], found is not None)
            if found is not None:
                age.add_metric([view], found.total_seconds())
        yield from (up, age)


def exposition(
    standings: Callable[[], Iterable[Standing]], accept: str | None
) -> tuple[bytes, str]:
    """All of it as Prometheus reads it, in the format that it accepts, and that format's name."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Told(standings))
    encode, content_type = choose_encoder(accept or "")
    return encode(registry), content_type
