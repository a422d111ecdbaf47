"""Entities are named to the warehouse by keys that are lent, or by a bound that names nobody."""

import pyarrow as pa
import pytest
from postgres_server import Database
from warehouse import LOG, PIPELINE, SECRET

from feature_pipeline.compute_engines.postgres.keys import lend_keys, near
from feature_pipeline.compute_engines.postgres.warehouse import session

pytest_plugins = ["postgres_server", "warehouse"]

SEED = "2024-03-01T12:00:00+00:00"
STORES = "CREATE TEMP TABLE stores (shop text, till bigint, visits bigint)"
SOLD = [("a", 1, 10), ("a,b", 1, 20), ("a", 2, 30), ("NULL", 1, 40)]


def test_lent_keys_are_of_the_tables_own_types(shared_warehouse: Database) -> None:
    address = shared_warehouse.seen_by(PIPELINE, SECRET).address
    keys = pa.table({"customer_id": [33, -(2**63)]})
    with session(address) as connection, connection.transaction():
        lend_keys(connection, "theirs", keys, LOG)
        lent = connection.execute("SELECT * FROM theirs ORDER BY 1")
        assert [column.type_display for column in lent.description or ()] == ["int8"]
        assert lent.fetchall() == [(-(2**63),), (33,)]


def test_lent_keys_of_two_columns_name_their_pairs_alone(shared_warehouse: Database) -> None:
    with session(shared_warehouse.address) as connection:
        connection.execute(STORES)
        connection.cursor().executemany("INSERT INTO stores VALUES (%s, %s, %s)", SOLD)
        keys = pa.table({"shop": ["a,b", "NULL", "a"], "till": [1, 1, 2]})
        lend_keys(connection, "theirs", keys, "stores")
        query = "SELECT visits FROM stores WHERE (shop, till) IN (SELECT shop, till FROM theirs)"
        assert sorted(connection.execute(query).fetchall()) == [(20,), (30,), (40,)]


@pytest.mark.parametrize("kind", ["bigint", "text"])
@pytest.mark.parametrize("most", [1, 200])
def test_a_bound_holds_for_those_drawn_and_for_few_others(
    shared_warehouse: Database, kind: str, most: int
) -> None:
    """Drawn as jobs/rehearsal/sampling.py draws: by the least digests of seed and key."""
    with session(shared_warehouse.address) as connection:
        connection.execute(
            f"CREATE TEMP TABLE everybody AS SELECT (900000 + n)::{kind} AS customer_id "
            "FROM generate_series(1, 5000) AS n"
        )
        drawn = connection.execute(
            "SELECT customer_id FROM everybody ORDER BY md5(concat_ws('|', %s, customer_id)) "
            "LIMIT %s",
            [SEED, most],
        ).fetchall()
        keys = pa.table({"customer_id": [who for (who,) in drawn]})
        condition = near(keys, SEED)
        found = connection.execute(f"SELECT customer_id FROM everybody WHERE {condition}")
        held = set(found.fetchall())
    assert set(drawn) <= held
    assert len(held) <= most + 5
    assert not any(str(who) in condition for (who,) in drawn)


def test_nobody_is_near_no_keys() -> None:
    assert near(pa.table({"customer_id": pa.array([], pa.int64())}), SEED) == "false"
