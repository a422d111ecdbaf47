"""A small Spark of the tests' own; skipped aloud where there is no Java to run it."""

import shutil
import signal
from collections.abc import Iterator
from typing import Any

import pytest

SMALL = {
    "spark.driver.memory": "1g",
    # Each query is run a few times: what compiles it best costs more than it saves.
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    "spark.log.level": "ERROR",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.shuffle.partitions": "2",
    "spark.sql.session.timeZone": "America/New_York",  # so that whatever follows it is seen
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
}


def started(master: str, **more: str) -> Iterator[Any]:
    if shutil.which("java") is None:
        pytest.skip("NO JAVA HERE: Spark was not tested; install Java 17 or later")
    from pyspark.sql import SparkSession

    interrupted = signal.getsignal(signal.SIGINT)
    session = SparkSession.builder.config(map=SMALL | {"spark.master": master} | more).getOrCreate()
    signal.signal(signal.SIGINT, interrupted)  # Spark's stays, and outlives it
    assert session.sparkContext.master == master  # and not one that another module left
    yield session
    session.stop()


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    """Two threads of this process's own JVM."""
    yield from started("local[2]")
