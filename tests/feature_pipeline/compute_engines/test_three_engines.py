"""Three engines, one answer: DuckDB, PostgreSQL and a Spark cluster of two workers.

Ten thousand customers with ties, late events, window edges and a server in New York; one customer
has a hundredth of all events. A difference is a failure.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from random import Random
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from crowd import crowd
from engines import Place, engine_named, terms_of
from event_strategies import DAY, LEAP_DAY, MONTH
from feast_over_a_log import FEATURES, opened
from oracle import Oracle, Profile, differences, row_differences
from spark_session import started

from feature_pipeline.refreshed import RefreshResult
from storage.parquet_table import parts_of

pytest_plugins = ["engines"]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

MOMENTS = [LEAP_DAY + DAY + timedelta(hours=12), LEAP_DAY + 2 * DAY, LEAP_DAY + 80 * DAY]
SHARES = 8
NAMES = ("duckdb", "postgresql", "spark")


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    """Two workers of one core and 1 GB each; a shuffle has more shares than they have cores."""
    settings = {
        "spark.sql.shuffle.partitions": str(SHARES),
        # Or shares as small as these would be put together again.
        "spark.sql.adaptive.coalescePartitions.enabled": "false",
    }
    yield from started("local-cluster[2,1,1024]", **settings)


@pytest.fixture(scope="module")
def oracle() -> Oracle:
    return crowd(10_000, seed=1, share_of_first=0.01)


@pytest.fixture(scope="module")
def places(
    spark: Any, shared_warehouse: Any, oracle: Oracle
) -> Iterator[dict[str, tuple[Place, list[RefreshResult]]]]:
    """Each engine's, brought up to the last of the moments, and what it said it did."""
    fixtures = {"spark": spark, "shared_warehouse": shared_warehouse}
    with ExitStack() as open_places:
        places = {}
        for name in NAMES:
            place = open_places.enter_context(engine_named(name, fixtures.__getitem__).place())
            place.deliver(oracle.events)
            done = [place.bring_up_to(moment, terms_of(oracle)) for moment in MOMENTS]
            places[name] = place, done
        yield places


@pytest.mark.parametrize("name", NAMES)
def test_the_log_is_the_oracles_and_duckdbs_row_for_row(places, oracle, name) -> None:
    place, done = places[name]
    points = [one for one in sorted(oracle.change_points()) if one[1] <= MOMENTS[-1]]
    asked = [*Random(2).sample(points, 20_000), *(p for p in points if p[0] == 0)]
    log = place.log()
    assert differences(oracle, log, asked) == []
    embedded, said = places["duckdb"]
    assert len(log.rows) > 30_000
    assert row_differences(log.rows, embedded.log().rows) == []
    assert place.quarantined() == embedded.quarantined()
    assert done == said
    assert [bool(one.made_anew) for one in done] == [True, False, False]
    for moment, one in zip(MOMENTS, done, strict=True):
        assert vars(one.events) == oracle.counts(moment)._asdict()


@pytest.mark.parametrize("name", NAMES)
def test_feast_answers_as_the_log_does(places, oracle, name, tmp_path) -> None:
    random = Random(3)
    known = [point for point in sorted(oracle.change_points()) if point[1] <= MOMENTS[-1]]
    points = random.sample(known, 20_000)
    asked = [*points, *((10_000_000 + n, points[n][1]) for n in range(100)), *points[:100]]
    random.shuffle(asked)
    frame = pd.DataFrame(asked, columns=["customer_id", "event_timestamp"])
    place, _ = places[name]
    answer = opened(place, tmp_path).get_historical_features(frame, FEATURES).to_arrow()
    assert answer["customer_id"].to_pylist() == [customer for customer, _ in asked]
    columns = (answer[feature].to_pylist() for feature in Profile._fields)
    log = place.log()
    assert list(map(Profile, *columns)) == [log.profile(*one, ttl=MONTH) for one in asked]


def test_the_work_is_shared_out_by_customer_and_one_dear_one_leaves_it_even(places, oracle) -> None:
    dear = sum(event.customer_id == 0 for event in oracle.events) / len(oracle.events)
    assert 0.01 <= dear < 0.02
    place, _ = places["spark"]
    whole = [part for part in parts_of(place.tables.history) if part.stem.endswith("-whole")]
    assert len(whole) == SHARES
    customers = [set(pq.read_table(part)["customer_id"].to_pylist()) for part in whole]
    assert len(set().union(*customers)) == sum(map(len, customers))
    rows = [pq.read_metadata(part).num_rows for part in whole]
    assert max(rows) < 1.2 * sum(rows) * (1 / SHARES + dear)
