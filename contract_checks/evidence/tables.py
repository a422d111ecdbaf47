"""The offline table and the join, gathered with DuckDB from wherever they lie."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import cache

import duckdb

from contract_checks.evidence.declared import RegisteredView
from contract_checks.evidence.facts import Join, MissingEvidence, OfflineStore, Table, there
from contract_checks.evidence.stored import events_of, offline_of
from contract_checks.language.contract import Contract

_SAMPLE_ROWS = 3
MICROSECOND = timedelta(microseconds=1)
Sessions = Callable[[datetime], duckdb.DuckDBPyConnection]
"""By as-of time, see `offline_sessions`."""
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


def interval_digest(table: Table, time: str, after: datetime, until: datetime) -> str:
    """The digest of the rows stamped in (after, until], whatever their order."""
    columns = ", ".join(f'"{column}"' for column in sorted(table.columns))
    row = f"md5_number(CAST(row({columns}) AS VARCHAR))"
    within = f'"{time}" > {literal(after)} AND "{time}" <= {literal(until)}'
    # A filter of the aggregate would come after the row's text was made, of all history.
    return str(table.value(f"bit_xor(CASE WHEN {within} THEN {row} END)"))


def _shown(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def read_offline_store(
    contract: Contract, view: RegisteredView, connection: duckdb.DuckDBPyConnection
) -> OfflineStore:
    """The view's offline table in a session of `offline_session`."""
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


def read_join(
    contract: Contract, view: RegisteredView, sessions: Sessions, as_of: datetime
) -> Join | MissingEvidence:
    """A left join, at `as_of`, of the entities active in the look-back window to their features.

    Raises:
        MissingEvidence: there is no offline table.
    """
    events = events_of(contract, view)
    if not events.is_there():
        return MissingEvidence(f"no events at {events}: the match rate cannot be measured")
    connection = sessions(as_of)
    keys = ", ".join(f'"{key}"' for key in contract.entity.join_keys)
    time = contract.time.event_timestamp
    arrived = f""""{ARRIVAL}" <= {literal(as_of)}
        AND "{time}" > {literal(as_of - contract.time.lookback)}"""
    events.read_into(connection, "arrived", arrived)
    connection.execute(
        f"""
        CREATE TABLE active AS SELECT DISTINCT {keys} FROM arrived
        WHERE epoch_us("{ARRIVAL}") - epoch_us("{time}") BETWEEN 0 AND $lateness_us
        """,
        {"lateness_us": contract.time.allowed_lateness // MICROSECOND},
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


def literal(instant: datetime) -> str:
    """In the SQL of DuckDB and of PostgreSQL alike; `instant` carries a time zone."""
    return f"TIMESTAMPTZ '{instant.isoformat()}'"


def offline_sessions(contract: Contract, view: RegisteredView) -> Sessions:
    """The sessions of `offline_session`, each opened once: it holds a copy of the offline table.

    They raise MissingEvidence where that cannot be read.
    """
    return cache(lambda as_of: there(offline_session(contract, view, as_of)))


def offline_session(
    contract: Contract, view: RegisteredView, as_of: datetime, since: datetime | None = None
) -> duckdb.DuckDBPyConnection | MissingEvidence:
    """A session in which `history` is the offline table as known at `as_of`.

    With `since`, the rows stamped after it alone.
    """
    offline = offline_of(view)
    if not offline.is_there():
        return MissingEvidence(f"no offline table at {offline}: run scripts/refresh.py")
    columns = offline.columns()
    needed = (*contract.entity.join_keys, view.timestamp_field)
    if absent := [c for c in needed if c not in columns]:
        return MissingEvidence(f"{offline} has no column {', '.join(absent)}")
    stamp = f'"{view.timestamp_field}"'
    known = f"({stamp} <= {literal(as_of)} OR {stamp} IS NULL)"
    if since is not None:
        known = f"{stamp} > {literal(since)} AND {stamp} <= {literal(as_of)}"
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    offline.read_into(connection, "history", known)
    return connection
