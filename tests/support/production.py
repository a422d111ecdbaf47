"""The production profile on real servers: PostgreSQL in New York, and Redis."""

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from shutil import copytree
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest
from feast_copy import ROOT, copy_of_the_project, run
from feast_households import LOG_END, PLANTED, TTL
from postgres_server import Database
from redis_server import RedisServer
from warehouse import LOG, PIPELINE, SECRET, TRAINING

PROFILE = "profiles/production.yaml"
SEARCH_PATH = "options=-csearch_path%3Dfeature_registry"


class Production(NamedTuple):
    """A repository on the production profile, and the servers it stands on."""

    repository: Path
    warehouse: Database
    redis: RedisServer
    environment: dict[str, str]
    """What the profile asks for; the process holds it too."""


def asked_for(
    warehouse: Database, redis: RedisServer, login: str, secret: str = SECRET
) -> dict[str, str]:
    """The environment of a job with this login, in the warehouse and in the registry."""
    registry = (
        f"{quote(login)}:{quote(secret, safe='')}@127.0.0.1:{warehouse.port}/{warehouse.name}"
    )
    return {
        "FEAST_FS_YAML_FILE_PATH": PROFILE,
        "FEATURE_STORE_REGISTRY": f"{registry}?{SEARCH_PATH}",
        "FEATURE_STORE_WAREHOUSE_HOST": "127.0.0.1",
        "FEATURE_STORE_WAREHOUSE_PORT": str(warehouse.port),
        "FEATURE_STORE_WAREHOUSE_DATABASE": warehouse.name,
        "FEATURE_STORE_WAREHOUSE_USER": login,
        "FEATURE_STORE_WAREHOUSE_PASSWORD": secret,
        "FEATURE_STORE_WAREHOUSE_SSLMODE": "disable",
        "FEATURE_STORE_REDIS": f"127.0.0.1:{redis.port}",
    }


@pytest.fixture(scope="module")
def production(
    store: Any,  # the embedded one, opened before another profile is chosen
    shared_warehouse: Database,
    real_events: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Production]:
    """Applied over the households' change log, made in the warehouse; never materialized."""
    from refreshes import refresh_warehouse

    from feature_pipeline.compute_engines.postgres.load import load_events

    warehouse = shared_warehouse
    pipeline = warehouse.seen_by(PIPELINE, SECRET).address
    load_events(pipeline, real_events)
    refresh_warehouse(
        pipeline, as_of=LOG_END, lookback_window=TTL, allowed_lateness=timedelta(hours=24)
    )
    with warehouse.connect() as connection:
        for customer, stamp, values in PLANTED:
            connection.execute(
                f"INSERT INTO {LOG} VALUES (%s, %s, %s, %s, %s, %s)", [customer, stamp, *values]
            )
    folder = tmp_path_factory.mktemp("production")
    repository = copy_of_the_project(folder / "repository")
    copytree(ROOT / "profiles", repository / "profiles")
    (folder / "redis").mkdir()
    redis = RedisServer(folder / "redis")
    applying = asked_for(warehouse, redis, PIPELINE)
    of_registry = "FEATURE_STORE_REGISTRY"  # the tests materialize, too
    environment = asked_for(warehouse, redis, TRAINING) | {of_registry: applying[of_registry]}
    with pytest.MonkeyPatch.context() as process:
        for name, value in environment.items():
            process.setenv(name, value)
        done = run(repository, "feast", "apply", env=os.environ | applying)
        assert done.returncode == 0, done.stdout + done.stderr
        yield Production(repository, warehouse, redis, environment)
    redis.kill()


@pytest.fixture(scope="module")
def in_production(production: Production) -> Any:
    """Its feature store, opened with a login that trains."""
    from feature_access.registry import open_store

    return open_store(production.repository)
