"""One customer's rows of events, quarantine and change log, wherever the profile keeps these."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

from feature_pipeline.change_log.removal import holding, remove, rows_to_go
from feature_pipeline.compute_engines.postgres.row_deletion import (
    TABLES,
    delete_customer_rows,
    rows_of_customer,
)
from feature_pipeline.erasure.identity import Identity
from feature_pipeline.erasure.residual_search import Searched
from jobs.repository import EVENTS, HISTORY, QUARANTINE, chosen_warehouse


@dataclass(frozen=True)
class Step:
    """One store, the customer's rows in it, and how they leave."""

    store: str
    rows: int
    erase: Callable[[], object]


@dataclass(frozen=True)
class InFiles:
    """The tables are parquet below data/, where every file is searched anyway."""

    identity: Identity

    def steps(self) -> tuple[Step, ...]:
        """The change log first."""
        whose = holding(self.identity.column, self.identity.text)
        files = {"offline": HISTORY, "events": EVENTS, "quarantine": QUARANTINE}
        rows = {name: rows_to_go(file, whose) for name, file in files.items()}
        return tuple(Step(name, rows[name], partial(remove, f, whose)) for name, f in files.items())

    def searched(self) -> Iterator[Searched]:
        """Nothing that is not searched as a file."""
        yield from ()


@dataclass(frozen=True)
class InWarehouse:
    """The tables are PostgreSQL's; `address` is a libpq connection string."""

    identity: Identity
    address: str = field(repr=False)  # it holds the password

    def steps(self) -> tuple[Step, ...]:
        """The change log first."""
        return tuple(
            Step(
                name,
                self._rows(table),
                partial(delete_customer_rows, self.address, table, self._whose),
            )
            for name, table in TABLES.items()
        )

    def searched(self) -> Iterator[Searched]:
        """Each table, for what is left."""
        for table in TABLES.values():
            yield Searched(table, "the table's rows", self._rows(table))

    @property
    def _whose(self) -> str:
        return self.identity.text

    def _rows(self, table: str) -> int:
        return rows_of_customer(self.address, table, self._whose)


def stored(identity: Identity) -> InFiles | InWarehouse:
    """The customer's rows by the chosen profile."""
    address = chosen_warehouse()
    return InWarehouse(identity, address) if address else InFiles(identity)
