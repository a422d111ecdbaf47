"""Where a warehouse's table begins, and how far it is known, as what stands beside it tells."""

import re
from datetime import datetime

from storage.errors import RefusedError
from storage.postgres_session import Session

_PLAIN = re.compile(r"[a-z_]\w*(\.[a-z_]\w*)?")


def retained_since(session: Session, table: str) -> datetime | None:
    """Where a table begins since its last retention, as the table beside it says."""
    return _newest(session, "begins", _beside(session, table, "kept_from"))


def known_up_to(session: Session, table: str) -> datetime | None:
    """How far a table is known, as the view beside it says; None for one that is not ours.

    Raises:
        RefusedError: the table is ours, as retention tells, and not how far it is known.
    """
    says = _beside(session, table, "known_up_to")
    if says is None and _beside(session, table, "kept_from"):
        raise RefusedError(
            f"nothing beside {table} says how far it is known: migrate the warehouse first "
            "(alembic upgrade head)"
        )
    return _newest(session, "as_of", says)


def _beside(session: Session, table: str, what: str) -> str | None:
    """The name of what stands beside a table to tell of it; None where nothing does."""
    if not _PLAIN.fullmatch(table):
        return None  # a query, say: servers before 16 fail on what is no name
    name = f"{table}_{what}"
    row = session.execute("SELECT to_regclass(%s) IS NOT NULL", [name]).fetchone()
    return name if row and row[0] else None


def _newest(session: Session, instant: str, table: str | None) -> datetime | None:
    if table is None:
        return None
    row = session.execute(f"SELECT max({instant}) FROM {table}").fetchone()
    return row[0] if row else None
