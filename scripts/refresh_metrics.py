"""The last refresh's figures for Prometheus, as its node exporter collects them from a file."""

from datetime import datetime

from prometheus_client import CollectorRegistry, Gauge, write_to_textfile

from contract_checks.language.contract import Contract
from feature_pipeline.refreshed import Refreshed
from scripts.command_line import ROOT

METRICS = ROOT / "data" / "metrics" / "refresh.prom"


def write_metrics(
    contract: Contract,
    as_of: datetime,
    done: Refreshed | None,
    *,
    broken: int,
    silent: bool,
    seconds: float | None,
) -> None:
    """Write the file anew, whole or not at all; `done` is None where the refresh failed.

    A failed one tells of itself alone: a figure that is not known is not there.
    """
    registry = CollectorRegistry()

    def gauge(name: str, text: str, value: float) -> None:
        named = f"feature_store_refresh_{name}"
        Gauge(named, text, ["view"], registry=registry).labels(contract.view_name).set(value)

    gauge("as_of_seconds", "The instant it refreshed up to, since 1970.", as_of.timestamp())
    gauge("success", "Whether the last refresh was done.", done is not None)
    if done is not None:
        gauge("seconds", "How long it took.", seconds or 0)
        gauge("new_rows", "Rows it added to the change log.", done.new_rows)
        gauge("history_rows", "Rows of the change log.", done.history_rows)
        gauge("events", "Events ingested so far.", done.events.ingested)
        gauge("quarantined", "Events quarantined so far.", done.events.quarantined)
        gauge("made_anew", "Whether all was computed anew.", done.made_anew is not None)
        arrival = done.newest_arrival.timestamp()
        gauge("newest_arrival_seconds", "When the newest event arrived, since 1970.", arrival)
        gauge("source_silent", "Whether nothing arrives any more.", silent)
        gauge("broken_clauses", "Clauses that the rows it added break.", broken)
    METRICS.parent.mkdir(parents=True, exist_ok=True)
    write_to_textfile(str(METRICS), registry)
