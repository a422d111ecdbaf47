"""Entity rows on their way to a PostgreSQL server, for one join.

They go by a binary COPY into a temporary table, for no log quotes the rows of one. A server
that is read-only, as a standby is, lets no table be made: there they are a setting of the session,
whose value is a bound parameter, which a log may hold (docs/production.md).
"""

from collections.abc import Mapping

import pyarrow as pa

from storage.postgres_arrow import copied_in
from storage.postgres_copy import binary_type
from storage.postgres_session import Session

_SETTING = "feature_store.entity_rows"


def sent_in(session: Session, rows: pa.Table, columns: Mapping[str, str]) -> str:
    """Send the rows for this transaction, and say what they are in a FROM clause.

    `columns` are PostgreSQL's types by name, in the order of the rows' columns.

    Raises:
        psycopg.Error: the server refuses them; it says so without the row that the server quotes.
    """
    read_only = session.execute("SHOW transaction_read_only").fetchone()
    return (
        _as_setting(session, rows, columns)
        if read_only == ("on",)
        else _as_table(session, rows, columns)
    )


def _as_table(session: Session, rows: pa.Table, columns: Mapping[str, str]) -> str:
    sent = ", ".join(f'"{field.name}" {binary_type(field.type)}' for field in rows.schema)
    session.execute("DROP TABLE IF EXISTS asked")
    session.execute(f"CREATE TEMP TABLE asked ({sent}) ON COMMIT DROP".encode())
    copied_in(session, rows, "asked")
    as_there = ", ".join(f'"{name}"::{kind} AS "{name}"' for name, kind in columns.items())
    return f"(SELECT {as_there} FROM asked)"


def _as_setting(session: Session, rows: pa.Table, columns: Mapping[str, str]) -> str:
    """An array of texts for each column, each a setting, which the join reads once."""
    for place, name in enumerate(columns):
        texts = rows[name].cast(pa.string()).to_pylist()
        session.execute(f"SELECT set_config('{_SETTING}_{place}', %s::text[]::text, true)", [texts])
    arrays = ", ".join(
        f"current_setting('{_SETTING}_{place}')::{kind}[]"
        for place, kind in enumerate(columns.values())
    )
    named = ", ".join(f'"{name}"' for name in columns)
    return f"(SELECT * FROM unnest({arrays}) AS sent ({named}))"
