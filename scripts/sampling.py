"""Whom a rehearsal asks, and what the offline store answers."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from contract_checks.language.contract import Contract
from feature_access.refusal import RefusedError
from feature_pipeline.engine import this_file

if TYPE_CHECKING:
    from feast import FeatureService, FeatureStore

_EVER = datetime(1970, 1, 1, tzinfo=UTC)


def pinned_service(store: "FeatureStore", contract: Contract) -> "FeatureService":
    """The service that serves the contract's version, and it alone.

    Raises:
        RefusedError: it is not registered.
    """
    from feast.errors import FeatureServiceNotFoundException

    try:
        return store.get_feature_service(contract.view_name)
    except FeatureServiceNotFoundException as error:
        raise RefusedError(
            f"no feature service {contract.view_name} is registered: run `feast apply`"
        ) from error


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
    if not Path(source.path).is_file():
        raise RefusedError(f"no offline table at {source.path}: run scripts/refresh.py")
    keys = ", ".join(f'"{key}"' for key in contract.entity.join_keys)
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        entities = connection.execute(
            f"""
            FROM (
                SELECT DISTINCT {keys} FROM read_parquet($offline)
                WHERE "{source.timestamp_field}" BETWEEN $since AND $as_of
            ) ORDER BY md5(concat_ws('|', $seed, {keys})), {keys} LIMIT $most
            """,
            {
                "offline": this_file(Path(source.path)),
                "since": since,
                "as_of": as_of,
                "seed": as_of.isoformat(),
                "most": most,
            },
        ).fetch_arrow_table()
    if not entities.num_rows:
        raise RefusedError(
            f"{source.path} has no row from {since.isoformat()} to {as_of.isoformat()}: name "
            "another time"
        )
    return entities


def unknown(store: "FeatureStore", contract: Contract, known: pa.Table) -> pa.Table:
    """As many entities, under identifiers outside the range of the offline table's own."""
    source, key = store.get_feature_view(contract.view_name).batch_source, known.column_names[0]
    with duckdb.connect() as connection:
        query = f'SELECT min("{key}"), max("{key}") FROM read_parquet($offline)'
        ((least, greatest),) = connection.execute(
            query, {"offline": this_file(Path(source.path))}
        ).fetchall()
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


def features_of(service: "FeatureService") -> tuple[str, ...]:
    """The features a service serves."""
    return tuple(f.name for view in service.feature_view_projections for f in view.features)
