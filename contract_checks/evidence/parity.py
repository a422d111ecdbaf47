"""Offline against online: the same customers, the same instant, value by value."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pyarrow as pa

from contract_checks.evidence.facts import MissingEvidence, Parity, RegisteredView
from contract_checks.evidence.registry import read_online
from contract_checks.evidence.tables import offline_session
from contract_checks.language.contract import Contract
from contract_checks.measures.comparison import Comparison, compare

_COMPARED = 1_000
_PAIRS = 500
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
    compared = compare(offline, online, contract.entity.join_keys, tuple(stored))
    return Parity(
        compared=offline.num_rows,
        differing={name: feature.mismatched for name, feature in compared.features.items()},
        sample=tuple(_worst(contract, compared))[:_SAMPLE_ROWS],
        pairs={name: tuple(_pairs(offline[name], online[name])) for name in stored},
    )


def _worst(contract: Contract, compared: Comparison) -> Iterator[str]:
    for name, feature in compared.features.items():
        for pair in feature.worst:
            keys = zip(contract.entity.join_keys, pair.keys, strict=True)
            named = ", ".join(f"{key}={value}" for key, value in keys)
            yield f"{named}, {name} offline {pair.offline} online {pair.online}"


def _pairs(offline: pa.ChunkedArray, online: pa.ChunkedArray) -> Iterator[tuple[float, float]]:
    """The first pairs of numbers; both are in the order in which the entities were asked for."""
    pairs = zip(offline.to_pylist(), online.to_pylist(), strict=True)
    for before, now in islice(pairs, _PAIRS):
        if isinstance(before, int | float) and isinstance(now, int | float):
            yield float(before), float(now)
