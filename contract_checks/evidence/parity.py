"""Offline against online: the same entities, the same instant, value by value."""

from collections.abc import Iterator
from datetime import datetime
from itertools import islice

import duckdb
import pyarrow as pa

from contract_checks.evidence.declared import RegisteredView
from contract_checks.evidence.facts import Parity
from contract_checks.evidence.online import materialized_at
from contract_checks.evidence.registry import Read
from contract_checks.evidence.tables import DuckTable, Sessions
from contract_checks.language.contract import Contract
from contract_checks.measures.comparison import Comparison, compare

_COMPARED = 1_000
_STRANGERS = 10
_PAIRS = 500
_SAMPLE_ROWS = 3


def read_parity(contract: Contract, view: RegisteredView, read: Read, sessions: Sessions) -> Parity:
    """Up to 1,000 entities' online values beside the offline ones at the last materialization.

    They are drawn by the hash of that instant and their keys: others after every refresh. Where the
    offline table has no value within the ttl, the declared default is what must be served; and so
    it is to a few strangers, whom the offline table does not know.

    Raises:
        MissingEvidence: see `materialized_at`; or there is no offline table.
    """
    instant = materialized_at(view)
    history = sessions(instant)
    _draw(history, contract, view, instant)
    keys, names = list(contract.entity.join_keys), [field.name for field in view.fields]

    def beside_online(table: str) -> tuple[pa.Table, pa.Table]:
        offline = history.execute(f"FROM {table}").fetch_arrow_table()
        return offline, read(offline.select(keys))

    offline, online = beside_online("drawn")
    compared = compare(offline, online, keys, names)
    strange = compare(*beside_online("strangers"), keys, names)
    return Parity(
        compared=offline.num_rows,
        differing={name: feature.mismatched for name, feature in compared.features.items()},
        sample=tuple(_worst(contract, compared))[:_SAMPLE_ROWS],
        entities=DuckTable(history, "last_rows").count(),
        strangers={name: feature.mismatched for name, feature in strange.features.items()},
        pairs={name: tuple(_pairs(offline[name], online[name])) for name in names},
    )


def _draw(
    history: duckdb.DuckDBPyConnection, contract: Contract, view: RegisteredView, instant: datetime
) -> None:
    """Make the tables `drawn` and `strangers`: keys, and the values that are to be served."""
    first, *others = (f'"{key}"' for key in contract.entity.join_keys)
    keys = ", ".join([first, *others])
    present = " AND ".join(f"{key} IS NOT NULL" for key in (first, *others))
    defaults = {field.name: field.default or "0" for field in view.fields}
    values = ", ".join(
        f'coalesce(CASE WHEN stamp >= $instant - $ttl THEN "{name}" END, \'{default}\') AS "{name}"'
        for name, default in defaults.items()
    )
    history.execute(
        f"""CREATE TABLE last_rows AS SELECT DISTINCT ON ({keys}) * FROM (
            SELECT {keys}, max("{view.timestamp_field}") AS stamp FROM history
            WHERE {present} GROUP BY {keys}
        ) AS newest JOIN history USING ({keys})
        WHERE history."{view.timestamp_field}" IS NOT DISTINCT FROM newest.stamp"""
    )
    history.execute(
        f"""CREATE TABLE drawn AS SELECT {keys}, {values} FROM last_rows
        ORDER BY md5(concat_ws('|', $seed, {keys})), {keys} LIMIT {_COMPARED}""",
        {"instant": instant, "ttl": view.ttl, "seed": instant.isoformat()},
    )
    textual = view.entities[0].dtype == "STRING"
    nth, every = "row_number() OVER ()", "FROM last_rows"
    after, before = f"(SELECT max({first}) {every})", f"(SELECT min({first}) {every})"
    nobody = f"{after} || ' ' || {nth}" if textual else f"{before} - {nth}"
    kinds = DuckTable(history, "drawn").columns  # or a default would be text, and no number
    default = ", ".join(
        f"CAST('{value}' AS {kinds[name]}) AS \"{name}\"" for name, value in defaults.items()
    )
    history.execute(
        f"""CREATE TABLE strangers AS
        SELECT * REPLACE ({nobody} AS {first}, {default}) FROM drawn LIMIT {_STRANGERS}"""
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
