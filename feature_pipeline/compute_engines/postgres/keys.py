"""Identifiers lent to the warehouse: by a binary COPY, of whose rows no log of a server quotes any.

A value in a statement, or bound to one, is in PostgreSQL's own log as soon as the statement fails,
is slow or is logged, and nothing that is erased here would leave that log. Of a COPY that is
cancelled it quotes the row that it was at, but for a binary one.
"""

from collections.abc import Iterable, Sequence
from hashlib import md5

import pyarrow as pa
from psycopg import sql

from storage.postgres_session import Session


def lend(connection: Session, table: str, identifiers: Iterable[object]) -> None:
    """Make the session's table `table (customer_id text)` of them; of each once.

    As text, so that no identifier can be refused, which would quote it.
    """
    connection.execute(f"CREATE TEMP TABLE {table} (customer_id text PRIMARY KEY)")
    copy_texts(connection, table, 1, ([one] for one in sorted({str(one) for one in identifiers})))


def copy_texts(
    connection: Session, table: str, width: int, rows: Iterable[Sequence[str | None]]
) -> None:
    """Add rows to a table of so many columns of text."""
    with connection.cursor().copy(f"COPY {table} FROM STDIN (FORMAT binary)") as copy:
        copy.set_types(["text"] * width)
        for row in rows:
            copy.write_row(row)


def lend_keys(connection: Session, table: str, keys: pa.Table, of: str) -> None:
    """Make the session's `table` of the entities' join keys, each of its type in the table `of`."""
    named = [sql.Identifier(name) for name in keys.column_names]
    texts = sql.SQL(", ").join(sql.SQL("{} text").format(name) for name in named)
    connection.execute(sql.SQL("CREATE TEMP TABLE keys_in_text ({})").format(texts))
    rows = ([str(value) for value in row.values()] for row in keys.to_pylist())
    copy_texts(connection, "keys_in_text", len(named), rows)
    columns = sql.SQL(", ").join(named)
    like = sql.SQL("SELECT {} FROM {} AS of WHERE false").format(columns, sql.SQL(of))
    kinds = connection.execute(like).description or ()
    typed = [
        sql.SQL("{}::{}").format(name, sql.SQL(kind.type_display))
        for name, kind in zip(named, kinds, strict=True)
    ]
    made = sql.SQL("CREATE TEMP TABLE {} AS SELECT {} FROM keys_in_text AS k ({})")
    as_there = sql.SQL(", ").join(
        sql.SQL("{} AS {}").format(value, name) for value, name in zip(typed, named, strict=True)
    )
    connection.execute(made.format(sql.SQL(table), as_there, columns))


def near(keys: pa.Table, seed: str) -> str:
    """A condition that names nobody and holds for these entities, and for few others.

    It compares digests of seed and join keys with the greatest of theirs, rounded up: of entities
    that were drawn by the least of these digests, as jobs/rehearsal/sampling.py draws them, it
    holds for as good as no other.
    """
    if not keys.num_rows:
        return "false"
    texts = ("|".join([seed, *map(str, row.values())]) for row in keys.to_pylist())
    greatest = max(md5(text.encode(), usedforsecurity=False).hexdigest() for text in texts)
    named = sql.SQL(", ").join(map(sql.Identifier, keys.column_names))
    digest = sql.SQL("left(md5(concat_ws('|', {}, {})), {})").format(seed, named, _ROUNDED)
    bound = sql.Literal(greatest[:_ROUNDED])
    return sql.SQL('{} COLLATE "C" <= {}').format(digest, bound).as_string()


_ROUNDED = 4
"""Hexadecimal digits, so that a bound is the digest of many."""
