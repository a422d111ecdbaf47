"""Whom a rehearsal asks, and what the offline store answers."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pyarrow as pa

from contract_checks.language.contract import Contract
from jobs.rehearsal.offline_rows import offline_rows
from storage.errors import RefusedError

if TYPE_CHECKING:
    from feast import FeatureService, FeatureStore

READ_AT, AGE = "read_at", "age"
_AGES = {"< 1 h": "1 hour", "< 1 d": "1 day", "< 7 d": "7 days"}
AGES = (*_AGES, "older", "no row")
"""How old a served value's row can be, in words."""
_EVER = datetime(1970, 1, 1, tzinfo=UTC)


def pinned_service(store: "FeatureStore", contract: Contract) -> "FeatureService":
    """The service that serves the contract's version, and it alone.

    Raises:
        RefusedError: it is not registered.
    """
    import feast_start  # noqa: F401  (before Feast)
    from feast.errors import FeatureServiceNotFoundException

    try:
        return store.get_feature_service(contract.view_name)
    except FeatureServiceNotFoundException as error:
        raise RefusedError(
            f"no feature service {contract.view_name} is registered: run `feast apply`"
        ) from error


def known_by(store: "FeatureStore", contract: Contract, as_of: datetime) -> datetime:
    """The latest time, not after `as_of`, of which the offline table has the answers."""
    from feature_access.training.known_times import how_far_known

    known = how_far_known(store, [store.get_feature_view(contract.view_name)], as_of)
    return known.until if known else as_of


def sampled(
    store: "FeatureStore",
    contract: Contract,
    as_of: datetime,
    most: int,
    since: datetime = _EVER,
) -> pa.Table:
    """Join keys of up to `most` entities with a row in the offline table, `since` to `as_of`.

    Drawn by the hash of key and time: the same ones for the same time, others for another.

    Raises:
        RefusedError: there is no offline table, or no such entity.
    """
    source = store.get_feature_view(contract.view_name).batch_source
    keys = ", ".join(f'"{key}"' for key in contract.entity.join_keys)
    within = f"""{_literal(since)} AND {_literal(as_of)}"""
    only = f'"{source.timestamp_field}" BETWEEN {within}'
    with offline_rows(store, contract.view_name, f"DISTINCT {keys}", only) as connection:
        entities = connection.execute(
            f"FROM offline ORDER BY md5(concat_ws('|', $seed, {keys})), {keys} LIMIT $most",
            {"seed": as_of.isoformat(), "most": most},
        ).fetch_arrow_table()
    if not entities.num_rows:
        raise RefusedError(
            f"{source.name} has no row from {since.isoformat()} to {as_of.isoformat()}: name "
            "another time"
        )
    return entities


def unknown(store: "FeatureStore", contract: Contract, known: pa.Table) -> pa.Table:
    """As many entities, under identifiers outside the range of the offline table's own."""
    key = known.column_names[0]
    ends = f'min("{key}") AS least, max("{key}") AS greatest'
    with offline_rows(store, contract.view_name, ends) as connection:
        ((least, greatest),) = connection.execute("FROM offline").fetchall()
    strangers = [
        {**row, key: least - i if isinstance(least, int) else f"{greatest} {i}"}
        for i, row in enumerate(known.to_pylist(), start=1)
    ]
    return pa.Table.from_pylist(strangers, known.schema)


def offline_answers(
    store: "FeatureStore", service: "FeatureService", keys: pa.Table, as_of: datetime
) -> pa.Table:
    """What a training set would hold for the entities at that time, a row each."""
    entities = keys.to_pandas().assign(event_timestamp=as_of)
    return store.get_historical_features(entities, service).to_arrow()


def answers_at_each(
    store: "FeatureStore", service: "FeatureService", contract: Contract, reads: pa.Table
) -> pa.Table:
    """What the offline store answers to each read, in order: join keys and `read_at`.

    Beside the features stands `age`: how old the row is that they are from, in words.
    """
    from feature_access.training.entity_frame import as_pandas

    keys = list(contract.entity.join_keys)
    asked = reads.select([*keys, READ_AT])
    entities = as_pandas(asked).rename(columns={READ_AT: "event_timestamp"})
    answers = store.get_historical_features(entities, service).to_arrow()
    features = {name: answers[name] for name in features_of(service)}
    columns = {name: asked[name] for name in asked.column_names} | features
    return pa.table(columns | {AGE: _ages(store, contract, asked)})


def _ages(store: "FeatureStore", contract: Contract, asked: pa.Table) -> pa.ChunkedArray:
    source = store.get_feature_view(contract.view_name).batch_source
    stamp = f'l."{source.timestamp_field}"'
    same_key = " AND ".join(f'a."{key}" = l."{key}"' for key in contract.entity.join_keys)
    younger = " ".join(f"WHEN age < INTERVAL '{t}' THEN '{name}'" for name, t in _AGES.items())
    numbered = asked.append_column("nth", pa.array(range(asked.num_rows), pa.int64()))
    columns = ", ".join(
        f'"{name}"' for name in (*contract.entity.join_keys, source.timestamp_field)
    )
    with offline_rows(store, contract.view_name, columns) as connection:
        # DuckDB takes an Arrow table for one row and would loop over it: 200 times slower.
        connection.execute("SET asof_loop_join_threshold = 0")
        connection.register("asked", numbered)
        return connection.execute(
            f"""SELECT CASE WHEN age IS NULL THEN 'no row' {younger} ELSE 'older' END AS age FROM (
                SELECT nth, {READ_AT} - {stamp} AS age FROM asked AS a
                ASOF LEFT JOIN offline AS l ON {same_key} AND {READ_AT} >= {stamp}
            ) ORDER BY nth"""
        ).fetch_arrow_table()["age"]


def _literal(instant: datetime) -> str:
    return f"TIMESTAMPTZ '{instant.isoformat()}'"


def features_of(service: "FeatureService") -> tuple[str, ...]:
    """The features a service serves."""
    return tuple(f.name for view in service.feature_view_projections for f in view.features)
