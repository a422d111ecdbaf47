"""Two stores' answers side by side: which rows and values differ, and by how much."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import duckdb
import pyarrow as pa

from contract_checks.measures.likeness import TOLERANCE

_WORST_ROWS = 20


@dataclass(frozen=True)
class Pair:
    """One entity's two values."""

    keys: tuple[object, ...]
    offline: object
    online: object


@dataclass(frozen=True)
class Mismatch:
    """One row in which a feature differs; a side that has no such row is None."""

    keys: tuple[object, ...]
    offline: Mapping[str, object] | None
    online: Mapping[str, object] | None
    differing: tuple[str, ...]
    """The features that do."""
    nth: int
    """1 for a key's first row, 2 for its second, and so on."""


@dataclass(frozen=True)
class FeatureComparison:
    """One feature's values, offline against online.

    Differences are over pairs of two finite numbers, and None where there is no such pair.
    """

    compared: int
    """Rows in which either side has a value, or which one side lacks."""
    mismatched: int
    """Compared rows whose numbers differ, with a single null, or which one side lacks."""
    both_null: int
    """Rows that are null on both sides; not among those compared."""
    worst: tuple[Pair, ...]
    """Up to 20 mismatches: missing ones first, then by difference."""
    largest_difference: float | None
    """Absolute."""
    mean_difference: float | None
    """Absolute."""
    relative_difference: float | None
    """Mean of |online - offline| / |offline|, over pairs whose offline value is not 0."""
    smape: float | None
    """Mean of 2 |online - offline| / (|online| + |offline|), 0 … 2; two zeros count 0."""
    bias: float | None
    """Mean of online - offline."""
    groups: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """By group of rows: how many were compared, and how many of them mismatched."""


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
    mismatches: tuple[Mismatch, ...]
    """Every row that differs, by its key."""


def compare(
    offline: pa.Table,
    online: pa.Table,
    keys: Sequence[str],
    features: Sequence[str],
    group: str | None = None,
) -> Comparison:
    """Join both tables on their keys and compare every feature.

    No row is dropped: a key's first row meets its first row on the other side, its second one the
    second, and a row that finds no partner differs in every feature. Null is a key like any other.
    A number and a text never agree. `group` is a column of the offline table to break down by; a
    row that only the online one has is of group "".

    Raises:
        KeyError: a table lacks one of the columns.
    """
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for side, table in (("offline", offline), ("online", online)):
            grouped = group if side == "offline" else None
            connection.register(f"{side}_rows", _numbered(table, keys, features, grouped))
        connection.execute(_paired(offline, online, len(keys), features))
        rows, differing, only_offline, only_online, duplicates = _row(
            connection,
            f"""count(*), count(*) FILTER ({_any_mismatched(len(features))}),
            count(*) FILTER (online_row IS NULL), count(*) FILTER (offline_row IS NULL),
            count(offline_row) FILTER (nth > 1) + count(online_row) FILTER (nth > 1)""",
        )
        compared = {
            feature: _compared(connection, i, len(keys)) for i, feature in enumerate(features)
        }
        mismatches = tuple(_mismatches(connection, len(keys), features))
    return Comparison(rows, differing, only_offline, only_online, duplicates, compared, mismatches)


def _numbered(
    table: pa.Table, keys: Sequence[str], features: Sequence[str], group: str | None
) -> pa.Table:
    """The columns asked for, under names that cannot clash, and each row's number."""
    columns = {f"key_{i}": table[key] for i, key in enumerate(keys)}
    columns |= {f"feature_{i}": table[feature] for i, feature in enumerate(features)}
    columns["of_group"] = table[group] if group else pa.nulls(table.num_rows, pa.string())
    return pa.table(columns | {"row": pa.array(range(table.num_rows), pa.int64())})


def _paired(offline: pa.Table, online: pa.Table, keys: int, features: Sequence[str]) -> str:
    """The statement that makes `paired`: a full outer join, with each feature's two values."""
    of_key = ", ".join(f"key_{i}" for i in range(keys))
    same_key = " AND ".join(f"a.key_{i} IS NOT DISTINCT FROM b.key_{i}" for i in range(keys))
    either_key = ", ".join(
        f"CASE WHEN a.row IS NULL THEN b.key_{i} ELSE a.key_{i} END AS key_{i}" for i in range(keys)
    )
    values = "".join(
        f", {_pair(i, offline[name].type, online[name].type)}" for i, name in enumerate(features)
    )

    def nth_of_key(side: str) -> str:
        nth = f"row_number() OVER (PARTITION BY {of_key} ORDER BY row) AS nth"
        return f"(SELECT *, {nth} FROM {side}_rows)"

    return f"""
        CREATE TABLE paired AS
        SELECT {either_key}, a.row AS offline_row, b.row AS online_row,
            coalesce(a.nth, b.nth) AS nth, a.row IS NULL OR b.row IS NULL AS alone,
            coalesce(a.of_group, '') AS of_group {values}
        FROM {nth_of_key("offline")} AS a FULL JOIN {nth_of_key("online")} AS b
        ON {same_key} AND a.nth = b.nth"""


def _pair(i: int, offline: pa.DataType, online: pa.DataType) -> str:
    """The columns of `paired` for one feature; the difference is that of two finite numbers."""
    numeric = _is_number(offline) and _is_number(online)
    either_null = pa.types.is_null(offline) or pa.types.is_null(online)
    # DuckDB would turn the text into a number, and fail where it is none.
    unlike = _is_number(offline) != _is_number(online) and not either_null
    a, b = f"CAST(a.feature_{i} AS DOUBLE)", f"CAST(b.feature_{i} AS DOUBLE)"
    # Infinities and NaN are told apart by IS DISTINCT FROM, to which NaN is equal to itself.
    difference = f"CASE WHEN isfinite({a}) AND isfinite({b}) THEN {b} - {a} END"
    size = f"(abs({a}) + abs({b}))"
    apart = f"abs(difference_{i}) > {TOLERANCE} * greatest(abs({a}), abs({b}))"
    return f"""
        a.feature_{i} AS offline_{i}, b.feature_{i} AS online_{i},
        {difference if numeric else "CAST(NULL AS DOUBLE)"} AS difference_{i},
        {f"abs(difference_{i}) / nullif(abs({a}), 0)" if numeric else "NULL"} AS relative_{i},
        {f"2 * abs(difference_{i}) / nullif({size}, 0)" if numeric else "NULL"} AS symmetric_{i},
        alone OR coalesce({apart if numeric else "NULL"}, {
        f"a.feature_{i} IS NOT NULL OR b.feature_{i} IS NOT NULL"
        if unlike
        else f"a.feature_{i} IS DISTINCT FROM b.feature_{i}"
    }) AS mismatched_{i}"""


def _compared(connection: duckdb.DuckDBPyConnection, i: int, keys: int) -> FeatureComparison:
    both_null = f"NOT alone AND offline_{i} IS NULL AND online_{i} IS NULL"
    counts = f"count(*) FILTER (NOT ({both_null})), count(*) FILTER (mismatched_{i})"
    compared, mismatched, null, largest, mean, relative, smape, bias = _row(
        connection,
        f"""{counts}, count(*) FILTER ({both_null}),
        max(abs(difference_{i})), avg(abs(difference_{i})), avg(relative_{i}),
        avg(coalesce(symmetric_{i}, 0)) FILTER (difference_{i} IS NOT NULL), avg(difference_{i})""",
    )
    of_key = ", ".join(f"key_{k}" for k in range(keys))
    worst = connection.execute(
        f"""SELECT {of_key}, offline_{i}, online_{i} FROM paired WHERE mismatched_{i}
        ORDER BY abs(difference_{i}) DESC NULLS FIRST, {of_key}, nth LIMIT {_WORST_ROWS}"""
    ).fetchall()
    pairs = tuple(Pair(row[:keys], *row[keys:]) for row in worst)
    groups = connection.execute(
        f"SELECT of_group, {counts} FROM paired GROUP BY of_group ORDER BY of_group"
    ).fetchall()
    by_group = {group: (of_them, differ) for group, of_them, differ in groups}
    return FeatureComparison(
        compared, mismatched, null, pairs, largest, mean, relative, smape, bias, by_group
    )


def _mismatches(
    connection: duckdb.DuckDBPyConnection, keys: int, features: Sequence[str]
) -> Iterator[Mismatch]:
    of_key = ", ".join(f"key_{k}" for k in range(keys))
    each, n = range(len(features)), len(features)
    columns = ", ".join(f"{part}_{i}" for part in ("offline", "online", "mismatched") for i in each)
    for offline_row, online_row, nth, *rest in connection.execute(
        f"""SELECT offline_row, online_row, nth, {of_key}, {columns} FROM paired
        WHERE {_any_mismatched(n)} ORDER BY {of_key}, nth"""
    ).fetchall():
        key, values = tuple(rest[:keys]), rest[keys:]
        offline, online, differs = (values[i * n : i * n + n] for i in range(3))
        yield Mismatch(
            key,
            None if offline_row is None else dict(zip(features, offline, strict=True)),
            None if online_row is None else dict(zip(features, online, strict=True)),
            tuple(name for name, so in zip(features, differs, strict=True) if so),
            nth,
        )


def _any_mismatched(features: int) -> str:
    return " OR ".join(f"mismatched_{i}" for i in range(features)) or "false"


def _row(connection: duckdb.DuckDBPyConnection, aggregates: str) -> tuple[int, ...]:
    (row,) = connection.execute(f"SELECT {aggregates} FROM paired").fetchall()
    return row


def _is_number(kind: pa.DataType) -> bool:
    """A column that holds numbers, or nulls alone."""
    named = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_null)
    return any(is_kind(kind) for is_kind in named)
