"""Two stores' answers side by side: which rows and values differ, and by how much."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa

_TOLERANCE = 1e-12
"""Relative: numbers nearer than this are equal."""
_WORST_ROWS = 3


@dataclass(frozen=True)
class Pair:
    """One entity's two values."""

    keys: tuple[object, ...]
    offline: object
    online: object


@dataclass(frozen=True)
class FeatureComparison:
    """One feature's values, offline against online.

    The last three are over pairs of two finite numbers, and None where there is no such pair.
    """

    compared: int
    """Rows in which either side has a value, or which one side lacks."""
    mismatched: int
    """Of those: numbers that differ, a single null, or a row that one side lacks."""
    both_null: int
    """Rows that are null on both sides; not among those compared."""
    worst: tuple[Pair, ...]
    """A few mismatches: missing ones first, then by difference."""
    largest_difference: float | None
    """Absolute."""
    smape: float | None
    """Mean of 2 |online - offline| / (|online| + |offline|), 0 … 2; two zeros count 0."""
    bias: float | None
    """Mean of online - offline."""


@dataclass(frozen=True)
class Comparison:
    """Every row of either side, once."""

    rows: int
    differing: int
    """Rows in which any feature is mismatched."""
    only_offline: int
    only_online: int
    duplicates: int
    """Rows, of both sides, whose key stands there already."""
    features: Mapping[str, FeatureComparison]


def compare(
    offline: pa.Table, online: pa.Table, keys: Sequence[str], features: Sequence[str]
) -> Comparison:
    """Join both tables on their keys and compare every feature.

    No row is dropped: a key's first row meets its first row on the other side, its second one the
    second, and a row that finds no partner differs in every feature. Null is a key like any other.

    Raises:
        KeyError: a table lacks one of the columns.
    """
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for side, table in (("offline", offline), ("online", online)):
            connection.register(f"{side}_rows", _numbered(table, keys, features))
        connection.execute(_paired(offline, online, len(keys), features))
        any_mismatched = " OR ".join(f"mismatched_{i}" for i in range(len(features))) or "false"
        rows, differing, only_offline, only_online, duplicates = _row(
            connection,
            f"""count(*), count(*) FILTER ({any_mismatched}),
            count(*) FILTER (online_row IS NULL), count(*) FILTER (offline_row IS NULL),
            count(offline_row) FILTER (nth > 1) + count(online_row) FILTER (nth > 1)""",
        )
        compared = {
            feature: _compared(connection, i, len(keys)) for i, feature in enumerate(features)
        }
    return Comparison(rows, differing, only_offline, only_online, duplicates, compared)


def _numbered(table: pa.Table, keys: Sequence[str], features: Sequence[str]) -> pa.Table:
    """The columns asked for, under names that cannot clash, and each row's number."""
    columns = {f"key_{i}": table[key] for i, key in enumerate(keys)}
    columns |= {f"feature_{i}": table[feature] for i, feature in enumerate(features)}
    return pa.table(columns | {"row": pa.array(range(table.num_rows), pa.int64())})


def _paired(offline: pa.Table, online: pa.Table, keys: int, features: Sequence[str]) -> str:
    """The statement that makes `paired`: a full outer join, with each feature's two values."""
    of_key = ", ".join(f"key_{i}" for i in range(keys))
    same_key = " AND ".join(f"a.key_{i} IS NOT DISTINCT FROM b.key_{i}" for i in range(keys))
    either_key = ", ".join(
        f"CASE WHEN a.row IS NULL THEN b.key_{i} ELSE a.key_{i} END AS key_{i}" for i in range(keys)
    )
    values = "".join(
        f", {_pair(i, numeric=_is_number(offline[name].type) and _is_number(online[name].type))}"
        for i, name in enumerate(features)
    )

    def nth_of_key(side: str) -> str:
        nth = f"row_number() OVER (PARTITION BY {of_key} ORDER BY row) AS nth"
        return f"(SELECT *, {nth} FROM {side}_rows)"

    return f"""
        CREATE TABLE paired AS
        SELECT {either_key}, a.row AS offline_row, b.row AS online_row,
            coalesce(a.nth, b.nth) AS nth, a.row IS NULL OR b.row IS NULL AS alone {values}
        FROM {nth_of_key("offline")} AS a FULL JOIN {nth_of_key("online")} AS b
        ON {same_key} AND a.nth = b.nth"""


def _pair(i: int, *, numeric: bool) -> str:
    """The columns of `paired` for one feature; the difference is that of two finite numbers."""
    a, b = f"CAST(a.feature_{i} AS DOUBLE)", f"CAST(b.feature_{i} AS DOUBLE)"
    # Infinities and NaN are told apart by IS DISTINCT FROM, to which NaN is equal to itself.
    difference = f"CASE WHEN isfinite({a}) AND isfinite({b}) THEN {b} - {a} END"
    size = f"(abs({a}) + abs({b}))"
    apart = f"abs(difference_{i}) > {_TOLERANCE} * greatest(abs({a}), abs({b}))"
    return f"""
        a.feature_{i} AS offline_{i}, b.feature_{i} AS online_{i},
        {difference if numeric else "CAST(NULL AS DOUBLE)"} AS difference_{i},
        {f"2 * abs(difference_{i}) / nullif({size}, 0)" if numeric else "NULL"} AS relative_{i},
        alone OR coalesce({apart if numeric else "NULL"},
            a.feature_{i} IS DISTINCT FROM b.feature_{i}) AS mismatched_{i}"""


def _compared(connection: duckdb.DuckDBPyConnection, i: int, keys: int) -> FeatureComparison:
    both_null = f"NOT alone AND offline_{i} IS NULL AND online_{i} IS NULL"
    compared, mismatched, null, largest, smape, bias = _row(
        connection,
        f"""count(*) FILTER (NOT ({both_null})), count(*) FILTER (mismatched_{i}),
        count(*) FILTER ({both_null}), max(abs(difference_{i})),
        avg(coalesce(relative_{i}, 0)) FILTER (difference_{i} IS NOT NULL), avg(difference_{i})""",
    )
    of_key = ", ".join(f"key_{k}" for k in range(keys))
    worst = connection.execute(
        f"""SELECT {of_key}, offline_{i}, online_{i} FROM paired WHERE mismatched_{i}
        ORDER BY abs(difference_{i}) DESC NULLS FIRST, {of_key}, nth LIMIT {_WORST_ROWS}"""
    ).fetchall()
    pairs = tuple(Pair(row[:keys], *row[keys:]) for row in worst)
    return FeatureComparison(compared, mismatched, null, pairs, largest, smape, bias)


def _row(connection: duckdb.DuckDBPyConnection, aggregates: str) -> tuple[int, ...]:
    (row,) = connection.execute(f"SELECT {aggregates} FROM paired").fetchall()
    return row


def _is_number(kind: pa.DataType) -> bool:
    """A column that holds numbers, or nulls alone."""
    named = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_null)
    return any(is_kind(kind) for is_kind in named)
