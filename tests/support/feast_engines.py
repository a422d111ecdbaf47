"""The project's own repository on each engine's profile, over the households' log of its making."""

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from shutil import copytree
from typing import Any, NamedTuple

import pyarrow.parquet as pq
import pytest
from engines import SPARK
from feast_copy import HISTORY, ROOT, copy_of_the_project, run
from feast_households import LOG_END, TTL
from feast_repository import planted
from oracle import ChangeLog, read_change_log
from redis_server import RedisServer
from warehouse import change_log

from feature_pipeline.refreshed import Tables, Terms
from storage.parquet_table import parts_of

pytest_plugins = ["engines", "feast_repository", "production"]

PROFILE = "profiles/spark.yaml"


class Answering(NamedTuple):
    """A feature store, and its change log read without Feast."""

    store: Any
    log: ChangeLog


@pytest.fixture(
    scope="module", params=["duckdb", pytest.param("postgresql", marks=pytest.mark.slow), SPARK]
)
def answering(request: pytest.FixtureRequest) -> Answering:
    fixture = request.getfixturevalue
    if request.param == "duckdb":
        return Answering(fixture("store"), fixture("log"))
    if request.param == "postgresql":
        return Answering(fixture("in_production"), change_log(fixture("production").warehouse))
    repository = fixture("on_spark")
    from feature_access.registry import open_store

    return Answering(open_store(repository), read_change_log(repository / HISTORY))


@pytest.fixture(scope="module")
def on_spark(
    store: Any,  # the embedded one, opened before another profile is chosen
    spark: Any,
    real_events: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Path]:
    """Applied over the households' change log, made by Spark; never materialized."""
    from refreshes import refresh_on_spark

    folder = tmp_path_factory.mktemp("on_spark")
    repository = copy_of_the_project(folder / "repository")
    copytree(ROOT / "profiles", repository / "profiles")
    history = repository / HISTORY
    tables = Tables(real_events, history, history.with_name("quarantine.parquet"))
    refresh_on_spark(spark, LOG_END, tables, Terms(TTL, timedelta(hours=24)))
    schema = pq.read_schema(parts_of(history)[0]).remove_metadata()
    pq.write_table(planted(schema), history / "planted.parquet")
    (folder / "redis").mkdir(), (folder / "staging").mkdir()
    redis = RedisServer(folder / "redis")
    with pytest.MonkeyPatch.context() as process:
        for name, value in asked_for(folder / "staging", redis).items():
            process.setenv(name, value)
        done = run(repository, "feast", "apply", env=os.environ)
        assert done.returncode == 0, done.stdout + done.stderr
        yield repository
    redis.kill()


def asked_for(staging: Path, redis: RedisServer) -> dict[str, str]:
    """The environment of a job on this profile."""
    return {
        "FEAST_FS_YAML_FILE_PATH": PROFILE,
        "FEATURE_STORE_SPARK_MASTER": "local[2]",
        "FEATURE_STORE_SPARK_STAGING": str(staging),
        "FEATURE_STORE_REDIS": f"127.0.0.1:{redis.port}",
    }
