"""Three engines, one answer: DuckDB, PostgreSQL and a Spark cluster of two workers.

Ten thousand customers with ties, late events, window edges and a server in New York; one customer
has a hundredth of all events. A difference is a failure.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from crowd import crowd
from hypothesis import given
from hypothesis import strategies as st
from oracle import ChangeLog, Oracle, Profile, differences, read_change_log, write_events
from postgres_server import Database
from spark_session import started
from test_change_log_exactness import DAY, LEAP_DAY, MONTH, fractions, oracles, thorough
from test_change_log_exactness import turning_point as turning
from warehouse import LOG, PIPELINE, SECRET, TRAINING, change_log, fill

from feature_pipeline.refresh import bring_up_to
from feature_pipeline.refreshed import Refreshed, Tables, Terms
from feature_pipeline.warehouse_refresh import refresh_warehouse

pytest_plugins = ["postgres_server", "warehouse"]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

MOMENTS = [LEAP_DAY + DAY + timedelta(hours=12), LEAP_DAY + 2 * DAY, LEAP_DAY + 80 * DAY]
SHARES = 8
ENGINES = ("duckdb", "postgresql", "spark")
FEATURES = [f"customer_profile_v1:{name}" for name in Profile._fields]


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    """Two workers of one core and 1 GB each; a shuffle has more shares than they have cores."""
    settings = {
        "spark.sql.shuffle.partitions": str(SHARES),
        # Or shares as small as these would be put together again.
        "spark.sql.adaptive.coalescePartitions.enabled": "false",
    }
    yield from started("local-cluster[2,1,1024]", **settings)


@dataclass(frozen=True)
class Engine:
    """One that has brought the crowd's change log up to the last of the moments."""

    refreshed: list[Refreshed]
    log: ChangeLog
    offline_store: dict[str, Any]
    source: Any


@pytest.fixture(scope="module")
def oracle() -> Oracle:
    return crowd(10_000, seed=1, share_of_first=0.01)


@pytest.fixture(scope="module")
def engines(
    spark: Any,
    shared_warehouse: Database,
    oracle: Oracle,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Engine]:
    from feast import FileSource
    from feast.infra.offline_stores.contrib.postgres_offline_store.postgres_source import (
        PostgreSQLSource,
    )
    from feast.infra.offline_stores.contrib.spark_offline_store.spark_source import SparkSource

    from feature_pipeline.spark_refresh import refresh_on_spark

    terms = Terms(oracle.lookback_window, oracle.allowed_lateness)
    folder = tmp_path_factory.mktemp("engines")
    by_duckdb, by_spark = (lake(folder / name, oracle) for name in ("duckdb", "spark"))
    fill(shared_warehouse, oracle.events)
    address = shared_warehouse.seen_by(PIPELINE, SECRET).address
    stamped = {"name": "log", "timestamp_field": "event_timestamp"}
    training = shared_warehouse.seen_by(TRAINING, SECRET)
    return {
        "duckdb": Engine(
            [bring_up_to(moment, by_duckdb, terms) for moment in MOMENTS],
            read_change_log(by_duckdb.history),
            {"type": "feature_access.offline_store.PointInTimeOfflineStore"},
            FileSource(path=str(by_duckdb.history), **stamped),
        ),
        "postgresql": Engine(
            [refresh_warehouse(address, as_of=m, **window_of(oracle)) for m in MOMENTS],
            change_log(shared_warehouse),
            {
                "type": "feature_access.postgres_offline_store.PointInTimePostgresOfflineStore",
                "host": "127.0.0.1",
                "port": training.port,
                "database": training.name,
                "user": training.user,
                "password": training.password,
                "sslmode": "disable",
            },
            PostgreSQLSource(table=LOG, **stamped),
        ),
        "spark": Engine(
            [refresh_on_spark(spark, moment, by_spark, terms) for moment in MOMENTS],
            read_change_log(by_spark.history),
            {
                "type": "feature_access.spark_offline_store.PointInTimeSparkOfflineStore",
                "staging_location": str(folder),
            },
            SparkSource(path=str(by_spark.history), file_format="parquet", **stamped),
        ),
    }


def window_of(oracle: Oracle) -> dict[str, timedelta]:
    return {
        "lookback_window": oracle.lookback_window,
        "allowed_lateness": oracle.allowed_lateness,
    }


def lake(folder: Path, oracle: Oracle) -> Tables:
    folder.mkdir(exist_ok=True)
    tables = Tables(*(folder / f"{name}.parquet" for name in ("events", "history", "quarantine")))
    write_events(oracle.events, tables.events)
    return tables


@pytest.mark.parametrize("name", ENGINES)
def test_the_log_is_the_oracles(engines: dict[str, Engine], oracle: Oracle, name: str) -> None:
    points = [one for one in sorted(oracle.change_points()) if one[1] <= MOMENTS[-1]]
    asked = [*Random(2).sample(points, 20_000), *(p for p in points if p[0] == 0)]
    assert differences(oracle, engines[name].log, asked) == []
    for moment, done in zip(MOMENTS, engines[name].refreshed, strict=True):
        assert vars(done.events) == oracle.counts(moment)._asdict()
    assert [bool(done.made_anew) for done in engines[name].refreshed] == [True, False, False]


@pytest.mark.parametrize("name", ENGINES[1:])
def test_the_log_is_duckdbs_row_for_row(engines: dict[str, Engine], name: str) -> None:
    ours, theirs = (sorted(engines[one].log.rows) for one in (name, "duckdb"))
    assert len(ours) == len(theirs) > 30_000
    assert [row[:2] + row.profile[1:] for row in ours] == [
        row[:2] + row.profile[1:] for row in theirs
    ]
    for one, other in zip(ours, theirs, strict=True):
        assert math.isclose(one.profile[0], other.profile[0], rel_tol=1e-12, abs_tol=0), one


@pytest.mark.parametrize("name", ENGINES)
def test_feast_answers_as_the_log_does(
    engines: dict[str, Engine], oracle: Oracle, name: str, tmp_path: Path
) -> None:
    random = Random(3)
    points = random.sample(sorted(oracle.change_points()), 20_000)
    asked = [*points, *((10_000_000 + n, points[n][1]) for n in range(100)), *points[:100]]
    random.shuffle(asked)
    frame = pd.DataFrame(asked, columns=["customer_id", "event_timestamp"])
    answer = opened(engines[name], tmp_path).get_historical_features(frame, FEATURES).to_arrow()
    assert answer["customer_id"].to_pylist() == [customer for customer, _ in asked]
    columns = (answer[feature].to_pylist() for feature in Profile._fields)
    expected = [engines[name].log.profile(*one, ttl=MONTH) for one in asked]
    assert list(map(Profile, *columns)) == expected


def opened(engine: Engine, folder: Path) -> Any:
    from feast import Entity, FeatureStore, FeatureView, Field, RepoConfig, ValueType
    from feast.types import Float64, Int64

    store = FeatureStore(
        config=RepoConfig(
            project="engines",
            provider="local",
            registry=str(folder / "registry.db"),
            offline_store=engine.offline_store,
            online_store={"type": "sqlite", "path": str(folder / "online.db")},
            entity_key_serialization_version=3,
        )
    )
    customer = Entity(name="customer_id", join_keys=["customer_id"], value_type=ValueType.INT64)
    kinds = dict.fromkeys(Profile._fields, Int64) | {Profile._fields[0]: Float64}
    view = FeatureView(
        name="customer_profile_v1",
        entities=[customer],
        ttl=MONTH,
        schema=[Field(name=n, dtype=kind, tags={"default": "0"}) for n, kind in kinds.items()],
        source=engine.source,
    )
    store.apply([customer, view])
    return store


def test_the_work_is_shared_out_by_customer_and_one_dear_one_leaves_it_even(
    engines: dict[str, Engine], oracle: Oracle
) -> None:
    dear = sum(event.customer_id == 0 for event in oracle.events) / len(oracle.events)
    assert 0.01 <= dear < 0.02
    whole = sorted(Path(engines["spark"].source.path).glob("*-whole.parquet"))
    assert len(whole) == SHARES
    customers = [set(pq.read_table(part)["customer_id"].to_pylist()) for part in whole]
    assert len(set().union(*customers)) == sum(map(len, customers))
    rows = [pq.read_metadata(part).num_rows for part in whole]
    assert max(rows) < 1.2 * sum(rows) * (1 / SHARES + dear)


@thorough(8)
@given(oracles(), st.lists(fractions, min_size=2, max_size=3))
def test_refreshed_bit_by_bit_it_is_duckdbs_log(spark, oracle, moments) -> None:
    from feature_pipeline.spark_refresh import refresh_on_spark

    terms = Terms(oracle.lookback_window, oracle.allowed_lateness)
    with TemporaryDirectory() as folder:
        ours, theirs = (lake(Path(folder, name), oracle) for name in ("ours", "theirs"))
        for as_of in sorted(turning(oracle, one) for one in moments):
            done = refresh_on_spark(spark, as_of, ours, terms)
            assert done == bring_up_to(as_of, theirs, terms)
            log = read_change_log(ours.history)
            assert sorted(log.rows) == sorted(read_change_log(theirs.history).rows)
            asked = [one for one in oracle.change_points() if one[1] <= as_of]
            assert differences(oracle, log, asked) == []
