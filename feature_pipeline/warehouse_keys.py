"""Identifiers lent to the warehouse: by COPY, of whose rows no log of a server quotes any.

A value in a statement, or bound to one, is in PostgreSQL's own log as soon as the statement fails,
is slow or is logged, and nothing that is erased here would leave that log.
"""

from collections.abc import Iterable

from feature_pipeline.warehouse import Session


def lend(connection: Session, table: str, identifiers: Iterable[object]) -> None:
    """Make the session's table `table (customer_id text)` of them; of each once.

    As text, so that no identifier can be refused, which would quote it.
    """
    connection.execute(f"CREATE TEMP TABLE {table} (customer_id text PRIMARY KEY)")
    with connection.cursor().copy(f"COPY {table} FROM STDIN") as copy:
        for identifier in sorted({str(one) for one in identifiers}):
            copy.write_row([identifier])
