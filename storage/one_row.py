"""The row of a query that always has one, whichever server or engine is asked."""

from typing import Any, Protocol


class _Answer(Protocol):
    def fetchone(self) -> Any: ...


class _Session(Protocol):
    def execute(self, query: Any, parameters: Any, /) -> _Answer: ...


def one_row(
    connection: _Session, query: str, parameters: dict[str, Any] | None = None
) -> tuple[Any, ...]:
    """The single row of a query that always has one, such as a count."""
    row: tuple[Any, ...] | None = connection.execute(query, parameters).fetchone()
    if row is None:
        raise LookupError(f"a query that always has a row gave none: {query}")
    return row
