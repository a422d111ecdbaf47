"""Point-in-time reads from PostgreSQL on a server in New York, beside Feast's own store there."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from postgres_server import Database
from tries import tries
from warehouse import SECRET, TRAINING

pytest_plugins = ["postgres_server", "warehouse"]

OURS = "feature_access.offline_stores.postgres_store.PointInTimePostgresOfflineStore"
STOCK = "postgres"
NOON = datetime(2024, 3, 9, 12, tzinfo=UTC)
HOUR, MICROSECOND = timedelta(hours=1), timedelta(microseconds=1)
TTL = timedelta(days=2)


def opened(
    database: Database,
    folder: Path,
    kind: str,
    ttl: timedelta = TTL,
    where: Mapping[str, str] = MappingProxyType({"table": "readings"}),
) -> Any:
    """A feature store of its own over the table `readings`, whose only feature is `value`."""
    from feast import Entity, FeatureStore, FeatureView, Field, RepoConfig, ValueType
    from feast.infra.offline_stores.contrib.postgres_offline_store.postgres_source import (
        PostgreSQLSource,
    )
    from feast.types import Float64, Int64, String

    store = FeatureStore(
        config=RepoConfig(
            project="zones",
            provider="local",
            registry=str(folder / f"{kind}.db"),
            online_store={"type": "sqlite", "path": str(folder / f"{kind}-online.db")},
            offline_store={
                "type": kind,
                "host": "127.0.0.1",
                "port": database.port,
                "database": database.name,
                "user": database.user,
                "password": database.password,
                "sslmode": "disable",
            },
            entity_key_serialization_version=3,
        )
    )
    sensor = Entity(name="sensor", join_keys=["sensor"], value_type=ValueType.STRING)
    view = FeatureView(
        name="readings",
        entities=[sensor],
        ttl=ttl,
        schema=[
            Field(name="value", dtype=Int64, tags={"default": "-1"}),
            Field(name="note", dtype=String),
            Field(name="level", dtype=Float64),
        ],
        source=PostgreSQLSource(name="readings", **where, timestamp_field="at"),
    )
    store.apply([sensor, view])
    return store


FEATURES = ["readings:value", "readings:note", "readings:level"]


def with_table(database: Database, column: str, rows: list[tuple[Any, ...]]) -> None:
    with database.connect() as connection:
        connection.execute("SET TIME ZONE 'UTC'")
        connection.execute("DROP TABLE IF EXISTS readings")
        columns = f"sensor text, at {column}, value bigint, note text, level float"
        connection.execute(f"CREATE TABLE readings ({columns})")
        for row in rows:
            connection.execute("INSERT INTO readings VALUES (%s, %s, %s, %s, %s)", row)


def asked(store: Any, rows: list[tuple[str | None, datetime]], aware: bool) -> list[Any]:
    frame = pd.DataFrame(rows, columns=["sensor", "event_timestamp"])
    if not aware:
        frame["event_timestamp"] = frame["event_timestamp"].dt.tz_localize(None)
    answer = store.get_historical_features(frame, FEATURES).to_df()
    if store.config.offline_store.type == STOCK:  # which may answer in any order
        answer = answer.sort_values("event_timestamp")
    return [None if pd.isna(value) else int(value) for value in answer["value"]]


HOURLY = [("a", NOON + hour * HOUR, hour, "x", 0.5) for hour in range(24)]
EVERY_HOUR = [("a", NOON + hour * HOUR) for hour in range(24)]


@pytest.mark.parametrize("aware", [False, True])
@pytest.mark.parametrize("column", ["timestamp", "timestamptz"])
def test_the_servers_zone_moves_no_time(
    database: Database, tmp_path: Path, column: str, aware: bool
) -> None:
    with_table(database, column, HOURLY)
    assert asked(opened(database, tmp_path, OURS), EVERY_HOUR, aware) == list(range(24))


@pytest.mark.parametrize("aware", [False, True])
def test_feasts_own_store_is_hours_off_there(
    database: Database, tmp_path: Path, aware: bool
) -> None:
    """Why there is ours: over a naive column Feast's goes by the server's zone, whatever is asked.

    It is five hours, then four, for in that night New York's clocks went forward; on a server east
    of Greenwich the same answers come from the future.
    """
    with_table(database, "timestamp", HOURLY)
    answers = asked(opened(database, tmp_path, STOCK), EVERY_HOUR, aware)
    assert answers == [*[None] * 5, *range(14), *range(15, 20)]


def test_materialization_reads_in_utc(database: Database, tmp_path: Path) -> None:
    for column in ("timestamp", "timestamptz"):
        with_table(database, column, HOURLY)
        store = opened(database, tmp_path, OURS)
        store.materialize(NOON, NOON + 5 * HOUR)
        answer = store.get_online_features(FEATURES[:1], [{"sensor": "a"}]).to_dict()
        assert answer["value"] == [5], column


# Every answer is the plain one.

sensors = st.sampled_from(["a", "", 'q"uote\n', "NULL", "{a,\\b}"])
moments = st.builds(
    lambda days, more: NOON + days * timedelta(days=1) + more * MICROSECOND,
    st.integers(0, 4),
    st.sampled_from([-1, 0, 1]),
)
values = st.none() | st.integers(-(2**63), 2**63 - 1)
notes = st.none() | st.sampled_from(["", 'q"uote', "new\nline", "\\N", "NULL", "a,b", "7"])
readings = st.dictionaries(st.tuples(sensors, moments), st.tuples(values, notes), max_size=12)


def plainly(rows: dict[Any, Any], sensor: str | None, moment: datetime) -> tuple[Any, Any]:
    there = [at for who, at in rows if who == sensor and moment - TTL <= at <= moment]
    value, note = rows[sensor, max(there)] if there else (None, None)
    return -1 if value is None else value, note


ON_STANDBY = "reader_of_a_standby"


@pytest.fixture(scope="module")
def shared(shared_warehouse: Database, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A database, and a store over it by the server's kind: a standby lets no table be made."""
    with_table(shared_warehouse, "timestamptz", [])
    with shared_warehouse.connect() as owner:
        owner.execute(f"CREATE ROLE {ON_STANDBY} SUPERUSER LOGIN PASSWORD '{SECRET}'")
        owner.execute(f"ALTER ROLE {ON_STANDBY} SET default_transaction_read_only = on")
    folder, standby = tmp_path_factory.mktemp, shared_warehouse.seen_by(ON_STANDBY, SECRET)
    yield (
        shared_warehouse,
        {
            False: opened(shared_warehouse, folder("primary"), OURS),
            True: opened(standby, folder("standby"), OURS),
        },
    )
    with shared_warehouse.connect() as owner:
        owner.execute(f"DROP ROLE {ON_STANDBY}")


TWO_READINGS = {("a", NOON): (1, ""), ("", NOON): (None, None)}
TWO_AND_NOBODY = [("a", NOON), ("", NOON), (None, NOON)]


@settings(max_examples=tries(60), suppress_health_check=list(HealthCheck))
@given(
    readings,
    st.lists(st.tuples(sensors | st.none(), moments), min_size=1, max_size=12),
    st.booleans(),
)
@example(TWO_READINGS, TWO_AND_NOBODY, True)
@example(TWO_READINGS, TWO_AND_NOBODY, False)
def test_every_answer_is_the_plain_one(shared, rows, questions, read_only):
    database, store = shared[0], shared[1][read_only]
    rows = rows or {("z", NOON): (1, None)}
    with database.connect() as connection:
        connection.execute("TRUNCATE readings")
        for (sensor, at), (value, note) in rows.items():
            connection.execute(
                "INSERT INTO readings VALUES (%s, %s, %s, %s, 1)", [sensor, at, value, note]
            )
    frame = pd.DataFrame(questions, columns=["sensor", "event_timestamp"])
    frame = frame.assign(event_timestamp=pd.to_datetime(frame["event_timestamp"], utc=True))
    answer = store.get_historical_features(frame.assign(label="l"), FEATURES).to_arrow()
    got = list(zip(answer["value"].to_pylist(), answer["note"].to_pylist(), strict=True))
    assert got == [plainly(rows, *question) for question in questions]
    assert answer["sensor"].to_pylist() == [sensor for sensor, _ in questions]


# What it will not answer.


def test_an_empty_table_has_no_answer_not_even_a_default(
    database: Database, tmp_path: Path
) -> None:
    from feature_access.offline_stores.offline_table import OfflineStoreEmptyError

    with_table(database, "timestamptz", [])
    store = opened(database, tmp_path, OURS)
    with pytest.raises(OfflineStoreEmptyError, match="holds nothing of readings"):
        asked(store, EVERY_HOUR, aware=True)
    with database.connect() as connection:
        connection.execute("DROP TABLE readings")
    with pytest.raises(OfflineStoreEmptyError, match="holds nothing of readings"):
        asked(store, EVERY_HOUR, aware=True)


def test_a_type_it_cannot_read_is_named(database: Database, tmp_path: Path) -> None:
    with_table(database, "timestamptz", HOURLY)
    store = opened(database, tmp_path, OURS)
    with database.connect() as connection:
        connection.execute("ALTER TABLE readings ALTER note TYPE interval USING '1 day'")
    with pytest.raises(ValueError, match=r"column note .* interval"):
        asked(store, EVERY_HOUR, aware=True)


STAMP = datetime(2024, 3, 9, 17, 0, 0, 1, tzinfo=ZoneInfo("UTC"))
VALUES = {
    "'\\x00ff5c'::bytea": b"\x00\xff\\",
    "''::bytea": b"",
    "'{\"a\": [1, null]}'::json": '{"a": [1, null]}',
    "'{\"a\":1}'::jsonb": '{"a": 1}',
    "'c0ffee00-0000-0000-0000-000000000001'::uuid": "c0ffee00-0000-0000-0000-000000000001",
    "1.25::numeric": 1.25,
    "'{1,NULL,-2}'::smallint[]": [1, None, -2],
    "'{1,2}'::integer[]": [1, 2],
    "'{9007199254740993}'::bigint[]": [2**53 + 1],
    "'{0.5,NaN}'::real[]": [0.5, float("nan")],
    "'{1e300}'::float[]": [1e300],
    "'{1.25,NULL}'::numeric[]": [1.25, None],
    "'{t,f,NULL}'::boolean[]": [True, False, None],
    "ARRAY['', 'a,\"b\n', 'NULL', NULL]": ["", 'a,"b\n', "NULL", None],
    "ARRAY['ü']::varchar[]": ["ü"],
    "'{2024-03-09}'::date[]": [STAMP.date()],
    "ARRAY['2024-03-09 12:00:00.000001-05'::timestamptz, NULL]": [STAMP, None],
    "'{2024-03-09 17:00:00.000001}'::timestamp[]": [STAMP],
    "ARRAY['{\"a\": 1}']::jsonb[]": ['{"a": 1}'],
    "ARRAY['\\x00']::bytea[]": [b"\x00"],
    "'{}'::bigint[]": [],
}


def test_every_type_that_feast_knows_is_read(database: Database) -> None:
    from storage.postgres_arrow import copied_out

    columns = ", ".join(f"{value} AS c{i}" for i, value in enumerate(VALUES))
    nothing = ", ".join(f"CASE WHEN false THEN c{i} END AS c{i}" for i in range(len(VALUES)))
    with database.connect() as session:
        session.execute("SET TIME ZONE 'UTC'")
        rows = copied_out(session, f"SELECT {columns}")
        assert repr(list(rows.to_pylist()[0].values())) == repr(list(VALUES.values()))
        none = copied_out(session, f"SELECT {columns} LIMIT 0")
        assert none.schema == rows.schema
        nulls = copied_out(session, f"SELECT {nothing}, 1 AS one FROM (SELECT {columns}) AS v")
        assert list(nulls.to_pylist()[0].values()) == [*[None] * len(VALUES), 1]


@pytest.mark.parametrize("value", ["'{{1,2},{3,4}}'::int[]", "ARRAY['infinity'::timestamptz]"])
def test_an_array_without_a_place_in_arrow_is_refused_in_words(
    database: Database, value: str
) -> None:
    from storage.postgres_arrow import copied_out

    with database.connect() as session, pytest.raises(ValueError, match="column odd holds arrays"):
        copied_out(session, f"SELECT {value} AS odd")


def test_sql_text_and_a_period_are_no_entity_frame(database: Database, tmp_path: Path) -> None:
    with_table(database, "timestamptz", HOURLY)
    store = opened(database, tmp_path, OURS)
    with pytest.raises(ValueError, match="must be a DataFrame"):
        store.get_historical_features("SELECT 'a' AS sensor, now() AS event_timestamp", FEATURES)
    with pytest.raises(ValueError, match="give an entity frame"):
        store.get_historical_features(
            features=FEATURES, start_date=NOON, end_date=NOON + HOUR
        ).to_df()


def test_a_password_is_in_no_error(database: Database, tmp_path: Path) -> None:
    with_table(database, "timestamptz", HOURLY)
    store = opened(database, tmp_path, OURS)
    wrong = store.config.offline_store.model_copy(update={"password": "guessed-and-wrong"})
    store.config._offline_store = wrong
    with pytest.raises(Exception, match="password authentication failed") as refusal:
        asked(store, EVERY_HOUR, aware=True)
    assert "guessed-and-wrong" not in str(refusal.value)


KEYS_ON_STANDBY = {
    "bigint": [1, -(2**63)],
    "numeric": [1, 2**63 - 1],
    "uuid": ["c0ffee00-0000-0000-0000-000000000001", "not one"],
    "char(3)": ["a", "a  "],
    "text": ["a", "{a,NULL}"],
}


@pytest.mark.parametrize("kind", KEYS_ON_STANDBY)
def test_a_standby_finds_what_its_primary_finds(database: Database, kind: str) -> None:
    import pyarrow as pa

    from feature_access.offline_stores.postgres_entity_rows import sent_in
    from feature_access.offline_stores.postgres_keys import KeyKind
    from storage.postgres_arrow import copied_out

    found = []
    for read_only in ("off", "on"):
        with database.connect() as session, session.transaction():
            session.execute("SET LOCAL TIME ZONE 'UTC'")
            session.execute(f"SET LOCAL transaction_read_only = {read_only}")
            (column,) = session.execute(f"SELECT NULL::{kind} AS key").description
            key = KeyKind.of(column)
            keys = pa.chunked_array([pa.array([*KEYS_ON_STANDBY[kind], None], key.held)])
            rows = pa.table(
                {"key": key.spelled(keys), "at": pa.array([NOON] * 3), "row": [2, 1, 0]}
            )
            columns = {"key": key.named, "at": "timestamptz", "row": "bigint"}
            sent = sent_in(session, rows, columns)
            found.append(copied_out(session, f"SELECT * FROM {sent} AS e ORDER BY row").to_pylist())
            none = sent_in(session, rows.slice(3), columns)
            assert copied_out(session, f"SELECT * FROM {none} AS e").num_rows == 0
    assert found[0] == found[1]
    assert [row["row"] for row in found[0]] == [0, 1, 2]


def test_a_login_that_trains_leaves_nothing_behind(warehouse: Database, tmp_path: Path) -> None:
    with_table(warehouse, "timestamptz", HOURLY)
    with warehouse.connect() as connection:
        connection.execute("GRANT SELECT ON readings TO feature_store_training")
        before = connection.execute("SELECT count(*) FROM pg_class").fetchone()
        store = opened(warehouse.seen_by(TRAINING, SECRET), tmp_path, OURS)
        assert asked(store, EVERY_HOUR, aware=True) == list(range(24))
        assert connection.execute("SELECT count(*) FROM pg_class").fetchone() == before


SOURCES = {
    "a query": {"query": "SELECT * FROM readings WHERE sensor = 'a'"},
    "a name in quotes": {"table": '"readings"'},
}


@pytest.mark.parametrize("where", SOURCES.values(), ids=SOURCES)
def test_a_source_beside_which_no_beginning_can_stand_answers(
    database: Database, tmp_path: Path, where: dict[str, str]
) -> None:
    with_table(database, "timestamptz", HOURLY)
    store = opened(database, tmp_path, OURS, where=where)
    assert asked(store, EVERY_HOUR, aware=True) == list(range(24))
