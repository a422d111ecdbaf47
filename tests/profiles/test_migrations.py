"""The migrated warehouse lets each role do its job, and nothing else."""

import psycopg
import pytest
from postgres_server import Database
from warehouse import (
    ERASED,
    EVENTS,
    JUDGE,
    LOG,
    PIPELINE,
    QUARANTINE,
    REFRESHES,
    REGISTRY,
    RETENTION,
    SECRET,
    TRAINING,
    migrate,
    prepare,
)

pytest_plugins = ["postgres_server", "warehouse"]

AN_EVENT = f"INSERT INTO {EVENTS} VALUES (1, '2024-01-01Z', '2024-01-01Z', 1, 9.99, 1)"
A_ROW = f"INSERT INTO {LOG} VALUES (1, '2024-01-01Z', 9.99, 1, 1, 1)"
SET_ASIDE = f"INSERT INTO {QUARANTINE} VALUES (1, '2024-01-01Z', '2024-01-01Z', 1, 1, 1, 'late')"
A_REFRESH = (
    f"INSERT INTO {REFRESHES} VALUES (DEFAULT, '2024-01-01Z', '30 d', '24 h', 'x', 1, 1, 0, 0, 1)"
)
READS = [f"SELECT * FROM {table}" for table in (EVENTS, LOG, QUARANTINE, REFRESHES)]
WHO_WAS_ERASED = f"SELECT * FROM {ERASED}"
OFF_THE_LIST = [f"DELETE FROM {ERASED}", f"UPDATE {ERASED} SET digest = digest"]
KNOWN_UP_TO = f"SELECT * FROM {LOG}_known_up_to"
MAY_READ = [*READS, KNOWN_UP_TO]
A_TEMPORARY_TABLE = "CREATE TEMP TABLE asked (customer_id bigint)"
A_REGISTRY = "CREATE TABLE feature_registry.mine (name text)"
A_VIEW = "CREATE VIEW customer_activity.orders AS SELECT 1 AS orders"
THE_PAST = [
    f"UPDATE {LOG} SET orders_30d = 0",
    f"DELETE FROM {LOG}",
    f"TRUNCATE {LOG}",
    f"UPDATE {EVENTS} SET orders = 0",
    f"DELETE FROM {EVENTS}",
    f"DELETE FROM {REFRESHES}",
    f"DROP TABLE {LOG}",
]
ELSEWHERE = [
    "CREATE TABLE data_warehouse.mine (a int)",
    "CREATE TABLE public.mine (a int)",
    "CREATE SCHEMA mine",
    "CREATE ROLE mine",
    f"COPY {LOG} TO PROGRAM 'cat'",
]


def list_of_erased(digit: str) -> str:
    return f"INSERT INTO {ERASED} VALUES (repeat('{digit}', 64), repeat('{digit}', 64))"


WRITES = [AN_EVENT, A_ROW, SET_ASIDE, A_REFRESH]
MAY = {
    PIPELINE: [
        *WRITES,
        *READS,
        KNOWN_UP_TO,
        f"DELETE FROM {QUARANTINE}",
        A_TEMPORARY_TABLE,
        A_VIEW,
        WHO_WAS_ERASED,
        list_of_erased("b"),
    ],
    JUDGE: [WHO_WAS_ERASED],
    RETENTION: [WHO_WAS_ERASED, list_of_erased("c")],
    TRAINING: [READS[1], KNOWN_UP_TO, A_TEMPORARY_TABLE],
    REGISTRY: [A_REGISTRY, "SELECT * FROM feature_registry.projects"],
}
MAY_NOT = {
    PIPELINE: [*THE_PAST, *ELSEWHERE, *OFF_THE_LIST],
    JUDGE: [*WRITES, *OFF_THE_LIST, list_of_erased("d")],
    RETENTION: [*OFF_THE_LIST, f"TRUNCATE {ERASED}"],
    TRAINING: [
        WHO_WAS_ERASED,
        list_of_erased("d"),
        *WRITES,
        READS[0],
        *READS[2:],
        *THE_PAST,
        *ELSEWHERE,
        A_REGISTRY,
        A_VIEW,
    ],
    REGISTRY: [WHO_WAS_ERASED, *WRITES, *READS, *THE_PAST, *ELSEWHERE, A_VIEW],
}


@pytest.mark.parametrize("login", MAY)
def test_each_role_can_do_its_job_and_no_more(shared_warehouse: Database, login: str) -> None:
    session = shared_warehouse.seen_by(login, SECRET).connect()
    for statement in MAY[login]:
        session.execute(statement)
    for statement in MAY_NOT[login]:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            session.execute(statement)


@pytest.mark.parametrize(
    "event",
    [
        "(NULL, '2024-01-01Z', '2024-01-01Z', 1, 1, 1)",
        "(1, NULL, '2024-01-01Z', 1, 1, 1)",
        "(1, '2024-01-01Z', NULL, 1, 1, 1)",
        "(1, '-infinity', 'infinity', 1, 1, 1)",
        "(1, '2024-01-01Z', '2024-01-01Z', -1, -0.01, -1)",
        "(7, '2024-01-01Z', '2024-01-01Z', 1, 1, 1), (7, '2024-01-01Z', '2024-01-01Z', 1, 1, 1)",
    ],
)
def test_every_row_comes_in_and_can_be_set_aside(shared_warehouse: Database, event: str) -> None:
    with shared_warehouse.seen_by(PIPELINE, SECRET).connect() as connection:
        connection.execute(f"INSERT INTO {EVENTS} VALUES {event}")
        connection.execute(f"INSERT INTO {QUARANTINE} SELECT *, 'why' FROM {EVENTS}")


def dumped(database: Database) -> list[tuple[str, ...]]:
    """Every column, index and right, as the server's catalogue has them."""
    with database.connect() as connection:
        return connection.execute(
            """
            SELECT table_schema, table_name, column_name, data_type
            FROM information_schema.columns WHERE table_schema = 'data_warehouse'
            UNION ALL SELECT schemaname, tablename, indexname, indexdef FROM pg_indexes
            WHERE schemaname = 'data_warehouse'
            UNION ALL SELECT grantee, table_name, privilege_type, is_grantable
            FROM information_schema.role_table_grants WHERE table_schema = 'data_warehouse'
            ORDER BY 1, 2, 3, 4
            """
        ).fetchall()


def test_migrating_again_changes_nothing_and_keeps_the_rows(warehouse: Database) -> None:
    before = dumped(warehouse)
    assert len(before) > 30
    with warehouse.connect() as connection:
        connection.execute(A_ROW)
    prepare(warehouse)
    assert dumped(warehouse) == before
    with warehouse.connect() as connection:
        assert connection.execute(f"SELECT count(*) FROM {LOG}").fetchone() == (1,)


def test_the_history_is_not_taken_back(warehouse: Database) -> None:
    done = migrate(warehouse.url, "downgrade", "base")
    assert done.returncode != 0
    assert "restore a backup" in done.stderr
    assert len(dumped(warehouse)) > 30


def test_a_missing_address_is_named() -> None:
    done = migrate("")
    assert done.returncode != 0
    assert "FEATURE_STORE_MIGRATIONS_DATABASE is not set" in done.stdout + done.stderr


def test_a_wrong_password_is_not_shown(database: Database) -> None:
    done = migrate(database.seen_by("postgres", "guessed-and-wrong").url)
    assert done.returncode != 0
    assert "password authentication failed" in done.stderr
    assert "guessed-and-wrong" not in done.stdout + done.stderr
