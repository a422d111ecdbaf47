"""The offline table and the join, gathered with DuckDB from the parquet files they lie in."""

import glob
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import duckdb

from contract_checks.evidence.declared import RegisteredView
from contract_checks.evidence.facts import Join, MissingEvidence, OfflineStore, Table
from contract_checks.language.contract import Contract

_SAMPLE_ROWS = 3
ARRIVAL = "created_timestamp"
"""The events' arrival column: the house's convention, which no clause names."""


class DuckTable:
    """A view of a DuckDB session, which this object alone uses."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, name: str) -> None:
        self._connection = connection
        self._name = name

    @property
    def columns(self) -> Mapping[str, str]:
        described = self._connection.execute(f"DESCRIBE {self._name}").fetchall()
        return {row[0]: row[1] for row in described}

    def count(self, where: str = "true") -> int:
        return int(str(self._one(f"SELECT count(*) FROM {self._name} WHERE {where}")))

    def sample(self, where: str, columns: tuple[str, ...]) -> tuple[str, ...]:
        there = [column for column in columns if column in self.columns]
        chosen = ", ".join(f'"{column}"' for column in there)
        rows = self._connection.execute(
            f"SELECT {chosen} FROM {self._name} WHERE {where} ORDER BY ALL LIMIT {_SAMPLE_ROWS}"
        ).fetchall()
        return tuple(
            ", ".join(f"{c}={_shown(v)}" for c, v in zip(there, row, strict=True)) for row in rows
        )

    def value(self, expression: str) -> object:
        return self._one(f"SELECT {expression} FROM {self._name}")

    def _one(self, query: str) -> object:
        row = self._connection.execute(query).fetchone()
        return None if row is None else row[0]


def stretch_digest(table: Table, time: str, after: datetime, until: datetime) -> str:
    """Of the rows stamped in (after, until], whatever their order."""
    columns = ", ".join(f'"{column}"' for column in sorted(table.columns))
    rows = f"md5_number(CAST(row({columns}) AS VARCHAR))"
    start, end = (f"TIMESTAMPTZ '{instant.isoformat()}'" for instant in (after, until))
    within = f'"{time}" > {start} AND "{time}" <= {end}'
    return str(table.value(f"bit_xor({rows}) FILTER (WHERE {within})"))


def _shown(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def read_offline_store(
    contract: Contract, view: RegisteredView, as_of: datetime, since: datetime | None = None
) -> OfflineStore | MissingEvidence:
    """The view's offline table as known at `as_of`, or why it cannot be read.

    With `since`, the rows stamped after it alone.
    """
    connection = offline_session(contract, view, as_of, since)
    if isinstance(connection, MissingEvidence):
        return connection
    keys = ", ".join(f'"{key}"' for key in contract.entity.join_keys)
    connection.execute(
        f"""CREATE TABLE duplicates AS SELECT {keys}, "{view.timestamp_field}", count(*) AS rows
        FROM history GROUP BY ALL HAVING count(*) > 1"""
    )
    history = DuckTable(connection, "history")
    newest = history.value(f'CAST(max("{view.timestamp_field}") AS TIMESTAMPTZ)')
    return OfflineStore(
        path=view.source_path,
        history=history,
        duplicates=DuckTable(connection, "duplicates"),
        newest=newest if isinstance(newest, datetime) else None,
    )


def read_join(contract: Contract, view: RegisteredView, as_of: datetime) -> Join | MissingEvidence:
    """A left join, at `as_of`, of the entities active in the look-back window to their features."""
    events = events_of(contract, view)
    if not is_table(events):
        return MissingEvidence(f"no events at {events}: the match rate cannot be measured")
    connection = offline_session(contract, view, as_of)
    if isinstance(connection, MissingEvidence):
        return connection
    keys = ", ".join(f'"{key}"' for key in contract.entity.join_keys)
    time = contract.time.event_timestamp
    connection.execute(
        f"""
        CREATE TABLE active AS
        SELECT DISTINCT {keys} FROM read_parquet($events)
        WHERE "{ARRIVAL}" <= $as_of AND "{time}" > $as_of - $lookback
          AND "{ARRIVAL}" - "{time}" BETWEEN INTERVAL 0 SECOND AND $lateness
        """,
        {
            "events": parquet_at(events),
            "as_of": as_of,
            "lookback": contract.time.lookback,
            "lateness": contract.time.allowed_lateness,
        },
    )
    connection.execute(
        f"""
        CREATE TABLE joined AS
        SELECT {keys}, count(stamp) AS matches FROM active LEFT JOIN (
            SELECT {keys}, "{view.timestamp_field}" AS stamp FROM history
            WHERE "{view.timestamp_field}" >= $as_of - $ttl
            QUALIFY stamp = max(stamp) OVER (PARTITION BY {keys})
        ) USING ({keys}) GROUP BY {keys}
        """,
        {"as_of": as_of, "ttl": view.ttl},
    )
    joined = DuckTable(connection, "joined")
    return Join(
        entity_rows=joined.count(),
        matched=joined.count("matches > 0"),
        joined_rows=int(str(joined.value("coalesce(sum(matches), 0)"))),
        unmatched_sample=joined.sample("matches = 0", contract.entity.join_keys),
    )


def is_table(path: Path) -> bool:
    """Whether a table lies there: a parquet file, or a folder of them."""
    return path.is_file() or any(path.glob("*.parquet"))


def parquet_at(path: Path) -> str:
    """A table for `read_parquet`: a file, or every part of a folder as it stands now."""
    if path.is_dir():
        return f"{glob.escape(str(path.resolve()))}/*.parquet"
    return glob.escape(str(path))


def events_of(contract: Contract, view: RegisteredView) -> Path:
    """The events: beside the offline table, under the source table's own name (§4)."""
    source = contract.source.systems[0].rsplit(".", 1)[-1]
    return Path(view.source_path).with_name(f"{source}.parquet")


def offline_session(
    contract: Contract, view: RegisteredView, as_of: datetime, since: datetime | None = None
) -> duckdb.DuckDBPyConnection | MissingEvidence:
    """A session in which `history` is the offline table as known at `as_of`.

    With `since`, the rows stamped after it alone.
    """
    offline = Path(view.source_path)
    if not is_table(offline):
        return MissingEvidence(f"no offline table at {view.source_path}: run scripts/refresh.py")
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.read_parquet(parquet_at(offline)).create_view("offline")
    needed = (*contract.entity.join_keys, view.timestamp_field)
    if absent := [c for c in needed if c not in DuckTable(connection, "offline").columns]:
        return MissingEvidence(f"{view.source_path} has no column {', '.join(absent)}")
    known = f'"{view.timestamp_field}" <= $as_of OR "{view.timestamp_field}" IS NULL'
    bounds = {"as_of": as_of}
    if since is not None:
        known = f'"{view.timestamp_field}" > $since AND "{view.timestamp_field}" <= $as_of'
        bounds["since"] = since
    # A table, not a view: a filter on the file itself trusts statistics that leave out NaN.
    connection.execute(f"CREATE TABLE history AS FROM offline WHERE {known}", bounds)
    return connection
