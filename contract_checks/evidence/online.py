"""What the online store holds, as far as the offline table tells whom to ask for."""

from collections.abc import Iterator
from datetime import UTC, datetime

import duckdb

from contract_checks.evidence.declared import RegisteredView
from contract_checks.evidence.facts import MissingEvidence, OnlineStore
from contract_checks.evidence.registry import OnlineReader, Read
from contract_checks.evidence.tables import Sessions
from contract_checks.language.contract import Contract

_ASKED = 1_000


def materialized_at(view: RegisteredView) -> datetime:
    """The instant that the online store stands at.

    Raises:
        MissingEvidence: it was never materialized, or has moved past the as-of time since.
    """
    if view.materialized_beyond is not None:
        raise MissingEvidence(
            f"{view.name} is materialized up to {view.materialized_beyond.isoformat()}, past the "
            "time judged: judge as of that time; if it is still to come, a clock went wrong"
        )
    if view.materialized_to is None:
        raise MissingEvidence(f"{view.name} was never materialized: run scripts/refresh.py")
    return view.materialized_to


def read_online_store(
    contract: Contract, view: RegisteredView, read: OnlineReader, sessions: Sessions
) -> OnlineStore:
    """The oldest and the newest row that are served, of up to 1,000 entities at either end.

    An entity whose last offline row is old has an old row online, if any; and the newest row of the
    offline table, as of the materialization, is the newest there has to be.

    Raises:
        MissingEvidence: see `materialized_at`; or there is no offline table.
    """
    until = materialized_at(view)
    history = sessions(until)
    oldest_first, newest_first = (
        list(_served(history, contract, read, view, order)) for order in ("", "DESC")
    )
    row = history.execute(
        f"""SELECT CAST(max("{view.timestamp_field}") AS TIMESTAMPTZ) FROM history
        WHERE "{view.timestamp_field}" >= $since""",
        {"since": until - view.ttl},
    ).fetchone()
    return OnlineStore(
        oldest=min(oldest_first, default=None),
        newest=max(newest_first, default=None),
        newest_to_serve=row[0] if row else None,
        heartbeat=read.heartbeat(),
    )


def _served(
    history: duckdb.DuckDBPyConnection,
    contract: Contract,
    read: Read,
    view: RegisteredView,
    order: str,
) -> Iterator[datetime]:
    """The stamps of the rows that entities are served from; a default is from none."""
    keys = ", ".join(f'"{key}"' for key in contract.entity.join_keys)
    there = " AND ".join(f'"{key}" IS NOT NULL' for key in contract.entity.join_keys)
    asked = history.execute(
        f"""SELECT {keys} FROM history WHERE {there} GROUP BY ALL
        ORDER BY max("{view.timestamp_field}") {order}, {keys} LIMIT {_ASKED}"""
    ).fetch_arrow_table()
    answer = read(asked)
    for field in view.fields:
        for stamp in answer[f"{field.name}__ts"].to_pylist():
            if stamp:
                yield datetime.fromtimestamp(stamp, UTC)
