"""The same repository on PostgreSQL and Redis gives the same answers, whatever their zone."""

import os
from collections.abc import Callable
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from feast_copy import run
from feast_households import (
    AGED,
    AGED_SINCE,
    DAY,
    FEATURES,
    HOUR,
    HOUSEHOLDS,
    LEAKY,
    PAST,
    PRESENT,
    TTL,
    UNKNOWN,
    at,
    entity_frame,
    expected,
    historical,
    offline,
    online,
    profiles,
)
from oracle import MICROSECOND, ZEROS, ChangeLog, Profile
from postgres_server import NEW_YORK
from production import PROFILE, Production, asked_for
from warehouse import KEPT_FROM, PIPELINE, SECRET, TRAINING

from feature_access.offline_stores.offline_table import BeforeRetentionError
from storage.errors import RefusedError
from storage.profile import chosen_profile

pytest_plugins = ["feast_repository", "postgres_server", "warehouse", "production"]

ASKED = [
    (customer, PRESENT - number * DAY - number * MICROSECOND)
    for number, customer in enumerate([*HOUSEHOLDS, LEAKY, AGED, UNKNOWN] * 2)
    for number in [number % 300]
]


def test_apply_registers_the_warehouses_table_in_postgres(
    production: Production, in_production: Any
) -> None:
    (view,) = in_production.list_feature_views()
    assert type(view.batch_source).__name__ == "PostgreSQLSource"
    assert view.batch_source.name == "data_warehouse.customer_features_offline"
    with production.warehouse.connect() as connection:
        schemas = connection.execute(
            "SELECT DISTINCT schemaname FROM pg_tables WHERE tablename = 'feature_views'"
        ).fetchall()
    assert schemas == [("feature_registry",)]
    made = [path.name for path in (production.repository / "data").rglob("*") if path.is_file()]
    assert made == []


def test_it_answers_as_the_change_log_does(in_production: Any, log: ChangeLog) -> None:
    asked = ASKED[::-1]
    answers = offline(in_production, asked)
    assert len(set(answers)) > 500
    assert [
        (one, got, wanted)
        for one, got, wanted in zip(asked, answers, expected(log, asked), strict=True)
        if got != wanted
    ] == []


def test_it_answers_as_the_embedded_store_does(in_production: Any, store: Any) -> None:
    frame = entity_frame(ASKED).assign(label="x,\"y\"\n'z'", n=range(len(ASKED)))
    ours = historical(in_production, frame)
    embedded = historical(store, frame)
    answer, other = ours.to_arrow(), embedded.to_arrow()
    answer = answer.select(other.column_names)
    assert answer.schema == other.schema
    assert answer == other
    assert ours.matched == embedded.matched
    assert {answer.schema.field(name).type for name in FEATURES[1:]} == {pa.int64()}


def test_full_feature_names(in_production: Any) -> None:
    answer = historical(in_production, entity_frame(ASKED[:9]), full_feature_names=True).to_df()
    assert list(profiles(answer, "customer_profile_v1__")) == offline(in_production, ASKED[:9])


EDGES = {
    "as it arrives": ((LEAKY, PRESENT - DAY), PAST),
    "the microsecond before": ((LEAKY, PRESENT - DAY - MICROSECOND), ZEROS),
    "the future does not leak": ((LEAKY, PRESENT), PAST),
    "as old as the ttl": ((AGED, AGED_SINCE + TTL), Profile(30.0, 1, 4, 1)),
    "a microsecond older": ((AGED, AGED_SINCE + TTL + MICROSECOND), ZEROS),
    "unknown": ((UNKNOWN, PRESENT), ZEROS),
}


@pytest.mark.parametrize(("asked", "answer"), EDGES.values(), ids=EDGES)
def test_bounds_to_the_microsecond(in_production: Any, asked: Any, answer: Profile) -> None:
    assert offline(in_production, [asked]) == [answer]


# The server stands in New York. A naive time is UTC, in the entity frame and in the table alike.

IN_NEW_YORK: dict[str, Callable[[pd.Series], pd.Series]] = {
    "naive": lambda times: times.dt.tz_localize(None),
    "of another zone": lambda times: times.dt.tz_convert(NEW_YORK),
    "text": lambda times: times.map(lambda time: time.isoformat(timespec="microseconds")),
}


@pytest.mark.parametrize("spelled", IN_NEW_YORK.values(), ids=IN_NEW_YORK)
def test_the_servers_zone_moves_no_time(in_production: Any, spelled: Any) -> None:
    frame = entity_frame(ASKED)
    same = frame.assign(event_timestamp=spelled(frame["event_timestamp"]))
    answer = list(profiles(historical(in_production, same).to_df()))
    assert answer == offline(in_production, ASKED)


def test_a_text_key_for_a_number_is_refused(in_production: Any) -> None:
    frame = entity_frame(ASKED[:2]).assign(customer_id=["one", "two"])
    with pytest.raises(ValueError, match="customer_id is declared Int64, and row 1: holds a text"):
        historical(in_production, frame).to_arrow()


def test_a_row_without_a_customer_has_the_defaults(in_production: Any) -> None:
    frame = entity_frame(ASKED[:3]).astype({"customer_id": "Int64"})
    frame.loc[1, "customer_id"] = pd.NA
    answer = list(profiles(historical(in_production, frame).to_df()))
    assert answer == [
        offline(in_production, ASKED[:1])[0],
        ZEROS,
        *offline(in_production, ASKED[2:3]),
    ]


# Materialized into Redis.


def test_materialized_it_answers_online_as_offline(
    production: Production, in_production: Any, log: ChangeLog
) -> None:
    from feature_pipeline.online.materialize import materialize_up_to

    materialize_up_to(in_production, PRESENT - HOUR)
    materialize_up_to(in_production, PRESENT)
    customers = [*HOUSEHOLDS, LEAKY, AGED, UNKNOWN]
    answer = list(profiles(online(in_production, customers).to_dict()))
    assert answer == offline(in_production, at(PRESENT, customers))
    assert answer[-3] == PAST
    assert sum(one != ZEROS for one in answer) > 1_000
    assert len(production.redis.keys()) > 1_000


# What it asks for.


def test_every_missing_variable_is_named_before_anything_runs(production: Production) -> None:
    held = dict(production.environment)
    del held["FEATURE_STORE_REDIS"], held["FEATURE_STORE_WAREHOUSE_PASSWORD"]
    with pytest.raises(
        RefusedError, match="asks for FEATURE_STORE_REDIS, FEATURE_STORE_WAREHOUSE_PASSWORD, not"
    ):
        chosen_profile(production.repository, held)
    assert chosen_profile(production.repository, production.environment).name == "production.yaml"
    assert chosen_profile(production.repository, {}).name == "feature_store.yaml"
    with pytest.raises(RefusedError, match="no profile at"):
        chosen_profile(production.repository, {"FEAST_FS_YAML_FILE_PATH": "profiles/other.yaml"})


@pytest.mark.parametrize(
    "missing", ["FEATURE_STORE_REGISTRY", "FEATURE_STORE_WAREHOUSE_HOST", "FEATURE_STORE_REDIS"]
)
def test_plain_feast_names_a_missing_variable_and_shows_no_secret(
    production: Production, missing: str
) -> None:
    held = {name: value for name, value in os.environ.items() if name != missing}
    done = run(production.repository, "feast", "apply", env=held)
    printed = done.stdout + done.stderr
    assert done.returncode != 0
    assert missing in printed
    assert production.environment["FEATURE_STORE_WAREHOUSE_PASSWORD"] not in printed


@pytest.mark.parametrize(
    ("login", "secret", "said"),
    [
        (PIPELINE, "another secret", "password authentication failed for user"),
        (TRAINING, SECRET, "permission denied for"),
    ],
)
def test_a_registry_that_lets_nobody_in_or_write_is_told_in_a_line(
    production: Production, login: str, secret: str, said: str
) -> None:
    there = asked_for(production.warehouse, production.redis, login, secret)
    held = os.environ | {"FEATURE_STORE_REGISTRY": there["FEATURE_STORE_REGISTRY"]}
    done = run(production.repository, "feast", "apply", env=held)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "refused: the registry in FEATURE_STORE_REGISTRY failed: " in done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert secret not in done.stdout + done.stderr


def test_a_profile_chosen_by_half_is_refused(production: Production) -> None:
    """`feast -f` tells Feast alone; what is declared would still lie in files."""
    held = {n: v for n, v in os.environ.items() if n != "FEAST_FS_YAML_FILE_PATH"}
    done = run(production.repository, "feast", "-f", PROFILE, "apply", env=held)
    assert done.returncode != 0
    assert "choose the profile by FEAST_FS_YAML_FILE_PATH" in done.stdout + done.stderr


# After a retention.


def test_a_time_before_the_logs_beginning_is_refused(
    production: Production, in_production: Any
) -> None:
    asked = (HOUSEHOLDS[0], PRESENT - 100 * DAY)
    begins = asked[1] + MICROSECOND
    with production.warehouse.connect() as connection:
        connection.execute(f"INSERT INTO {KEPT_FROM} VALUES (%s)", [begins])
        try:
            with pytest.raises(BeforeRetentionError, match=r"1 rows ask .* let go: leave"):
                offline(in_production, [asked, (asked[0], begins)])
            assert len(offline(in_production, [(asked[0], begins)])) == 1
        finally:
            connection.execute(f"DELETE FROM {KEPT_FROM}")
