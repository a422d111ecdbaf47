"""The last refresh's figures for Prometheus, as its node exporter collects them from a file."""

from collections.abc import Iterator
from datetime import datetime

from prometheus_client import CollectorRegistry, write_to_textfile
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from contract_checks.language.contract import Contract
from feature_pipeline.refreshed import RefreshResult
from jobs.repository import ROOT

METRICS = ROOT / "data" / "metrics" / "refresh.prom"


def write_metrics(
    contract: Contract,
    as_of: datetime,
    done: RefreshResult | None,
    *,
    broken: int,
    silent: bool,
    seconds: float | None,
) -> None:
    """Write the file anew, whole or not at all; `done` is None where the refresh failed.

    A failed one tells of itself alone: a figure that is not known is not there.
    """
    told = [
        ("as_of_seconds", "The instant it refreshed up to, since 1970.", as_of.timestamp()),
        ("success", "Whether the last refresh was done.", done is not None),
    ]
    if done is not None:
        arrival = done.newest_arrival.timestamp()
        told += [
            ("seconds", "How long it took.", seconds or 0),
            ("new_rows", "Rows it added to the change log.", done.new_rows),
            ("history_rows", "Rows of the change log.", done.history_rows),
            ("events", "Events ingested so far.", done.events.ingested),
            ("quarantined", "Events quarantined so far.", done.events.quarantined),
            ("made_anew", "Whether all was computed anew.", done.made_anew is not None),
            ("newest_arrival_seconds", "When the newest event arrived, since 1970.", arrival),
            ("source_silent", "Whether nothing arrives any more.", silent),
            ("broken_clauses", "Clauses that the rows it added break.", broken),
        ]
    registry = CollectorRegistry()
    registry.register(_Figures(contract.view_name, told))
    METRICS.parent.mkdir(parents=True, exist_ok=True)
    write_to_textfile(str(METRICS), registry)
    # The node exporter is another user; nothing of a customer is in there.
    METRICS.parent.chmod(0o755)
    METRICS.chmod(0o644)


class _Figures(Collector):
    """Plain figures: the library's own gauges share files with Feast's, once Feast is imported."""

    def __init__(self, view: str, told: list[tuple[str, str, float]]) -> None:
        self._view = view
        self._told = told

    def collect(self) -> Iterator[GaugeMetricFamily]:
        for name, text, value in self._told:
            gauge = GaugeMetricFamily(f"feature_store_refresh_{name}", text, labels=["view"])
            gauge.add_metric([self._view], float(value))
            yield gauge
