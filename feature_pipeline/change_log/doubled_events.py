"""Events that stand there more than once: one customer, happened and arrived in the same instants.

Of rows that say the same, one counts and the others are set aside. Where they say different things
nobody can tell which is true, and all are set aside. A row that is inadmissible by itself says
nothing.
"""

from collections.abc import Sequence

import duckdb

from feature_pipeline.change_log.event_columns import KEYS
from feature_pipeline.change_log.money import MONEY_OF_ORDER_VALUE
from storage.one_row import one_row

REPEATED = "doubled: stands there more than once"
CONFLICTING = "doubled: stands there more than once, with other amounts"
OF_ONE_HELD = "doubled: the warehouse holds it with other amounts"

_HASHES_AT_ONCE = 20_000_000
_AMOUNTS = f"struct_pack(orders, sessions, value := {MONEY_OF_ORDER_VALUE})"


def set_doubles_aside(
    connection: duckdb.DuckDBPyConnection,
    judged: str,
    event: Sequence[str] = KEYS,
    said: str = _AMOUNTS,
    conflicting: str = CONFLICTING,
) -> None:
    """Give those among the admissible rows of the table `judged` their reason.

    Rows are one `event` where these columns of theirs are equal; what it says is `said`, in SQL.
    """
    one_event = ", ".join(event)
    if not _some_stand_twice(connection, judged, one_event):
        return
    connection.execute(
        f"""
        UPDATE {judged} SET reason = doubled.reason FROM (
            SELECT place, CASE
                WHEN min(said) OVER event <> max(said) OVER event THEN '{conflicting}'
                WHEN row_number() OVER (event ORDER BY place) > 1 THEN '{REPEATED}'
            END AS reason
            FROM (
                SELECT rowid AS place, {one_event}, {said} AS said FROM {judged} SEMI JOIN (
                    SELECT {one_event} FROM {judged} WHERE reason IS NULL
                    GROUP BY {one_event} HAVING count(*) > 1
                ) USING ({one_event}) WHERE reason IS NULL
            ) WINDOW event AS (PARTITION BY {one_event})
        ) AS doubled WHERE {judged}.rowid = doubled.place AND doubled.reason IS NOT NULL
        """
    )


def _some_stand_twice(connection: duckdb.DuckDBPyConnection, judged: str, one_event: str) -> bool:
    """Whether two have one hash; a fifth of the time that it takes to group them by their keys.

    The hashes lie in memory, 8 bytes each, so many at a time.
    """
    admissible = f"FROM {judged} WHERE reason IS NULL"
    (count,) = one_row(connection, f"SELECT count(*) {admissible}")
    for part in range(parts := -(-count // _HASHES_AT_ONCE)):
        keys = f"SELECT hash({one_event}) AS event {admissible}"
        of_part = f"SELECT event FROM ({keys}) WHERE event % {parts} = {part}"
        hashes = connection.execute(of_part).fetchnumpy()["event"]
        hashes.sort()
        if (hashes[1:] == hashes[:-1]).any():
            return True
    return False
