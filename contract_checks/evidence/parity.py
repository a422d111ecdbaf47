"""Offline against online: the same customers, the same instant, value by value."""

from pathlib import Path

import pyarrow as pa

from contract_checks.evidence.facts import MissingEvidence, Parity, RegisteredView
from contract_checks.evidence.registry import read_online
from contract_checks.evidence.tables import offline_session
from contract_checks.language.contract import Contract

_COMPARED = 1_000
_SAMPLE_ROWS = 3


def read_parity(
    contract: Contract, repository: Path, view: RegisteredView
) -> Parity | MissingEvidence:
    """Up to 1,000 customers' online values beside the offline ones at the last materialization.

    The customers are drawn by the hash of their key, so the same ones are drawn every time. Where
    the offline table has no value within the ttl, the declared default is what must be served.
    """
    instant = view.materialized_to
    if instant is None:
        return MissingEvidence(f"{view.name} was never materialized: run scripts/refresh.py")
    connection = offline_session(contract, view, instant)
    if isinstance(connection, MissingEvidence):
        return connection
    keys = ", ".join(f'"{key}"' for key in contract.entity.join_keys)
    stored = {field.name: field.default or "0" for field in view.fields}
    values = ", ".join(
        f'coalesce(CASE WHEN stamp >= $instant - $ttl THEN "{name}" END, \'{default}\') AS "{name}"'
        for name, default in stored.items()
    )
    offline = connection.execute(
        f"""
        SELECT {keys}, {values} FROM (
            SELECT *, "{view.timestamp_field}" AS stamp FROM history
            QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY stamp DESC) = 1
        ) ORDER BY hash({keys}) LIMIT {_COMPARED}
        """,
        {"instant": instant, "ttl": view.ttl},
    ).fetch_arrow_table()
    online = read_online(repository, view.name, offline.select(list(contract.entity.join_keys)))
    return _compare(contract, tuple(stored), offline, online)


def _compare(
    contract: Contract, features: tuple[str, ...], offline: pa.Table, online: pa.Table
) -> Parity:
    differing = dict.fromkeys(features, 0)
    sample = []
    for expected, got in zip(offline.to_pylist(), online.to_pylist(), strict=True):
        for feature in features:
            if expected[feature] != got[feature]:
                differing[feature] += 1
                named = ", ".join(f"{key}={expected[key]}" for key in contract.entity.join_keys)
                sample.append(
                    f"{named}, {feature} offline {expected[feature]} online {got[feature]}"
                )
    return Parity(offline.num_rows, differing, tuple(sample[:_SAMPLE_ROWS]))
