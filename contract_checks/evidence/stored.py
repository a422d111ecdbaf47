"""Where a table lies: in parquet files or in a PostgreSQL warehouse. DuckDB reads either."""

import glob
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path

import duckdb

from contract_checks.evidence import warehouse as postgres
from contract_checks.evidence.declared import RegisteredView, Warehouse
from contract_checks.language.contract import Contract


@dataclass(frozen=True)
class ParquetTable:
    """A parquet file, or every part of a folder as it stands now, and of its Hive folders."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    def is_there(self) -> bool:
        """Whether it can be read."""
        return self.path.is_file() or any(self.path.rglob("*.parquet"))

    def columns(self) -> tuple[str, ...]:
        """Their names."""
        with _engine().cursor() as connection:
            return tuple(connection.read_parquet(self._pattern(), hive_partitioning=False).columns)

    def read_into(self, connection: duckdb.DuckDBPyConnection, name: str, only: str) -> None:
        """Make the table `name` of the rows for which the condition `only` holds.

        A table, not a view: a filter on the file itself trusts statistics that leave out NaN.
        """
        connection.execute(
            f"""CREATE OR REPLACE TABLE "{name}" AS
            FROM read_parquet($path, hive_partitioning = false) WHERE {only}""",
            {"path": self._pattern()},
        )

    def oldest(self, *columns: str) -> datetime | None:
        """The least instant in any of the columns."""
        with _engine().cursor() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            query = f"{_least(columns)} FROM read_parquet($path, hive_partitioning = false)"
            row = connection.execute(query, {"path": self._pattern()}).fetchone()
        return row[0] if row else None

    def _pattern(self) -> str:
        if self.path.is_dir():
            return f"{glob.escape(str(self.path.resolve()))}/**/*.parquet"
        return glob.escape(str(self.path))


@dataclass(frozen=True)
class WarehouseTable:
    """A table of the warehouse, by its name with its schema."""

    warehouse: Warehouse
    name: str

    def __str__(self) -> str:
        return f"{self.name} in {self.warehouse}"

    def is_there(self) -> bool:
        """Whether there is such a table."""
        return bool(self.columns())

    def columns(self) -> tuple[str, ...]:
        """Their names."""
        with postgres.session(self.warehouse) as session:
            return tuple(postgres.columns_of(session, self.name))

    def read_into(self, connection: duckdb.DuckDBPyConnection, name: str, only: str) -> None:
        """As that of a parquet table; the warehouse sends those rows alone."""
        connection.execute(f'DROP TABLE IF EXISTS "{name}"')
        with postgres.session(self.warehouse) as session:
            postgres.copy_out(session, self.name, connection, name, only)

    def oldest(self, *columns: str) -> datetime | None:
        """As that of a parquet table; the warehouse looks it up."""
        with postgres.session(self.warehouse) as session:
            row = session.execute(f"{_least(columns)} FROM {self.name}").fetchone()
        return row[0] if row else None


StoredTable = ParquetTable | WarehouseTable


def offline_of(view: RegisteredView) -> StoredTable:
    """The view's offline table."""
    if view.warehouse:
        return WarehouseTable(view.warehouse, view.source_path)
    return ParquetTable(Path(view.source_path))


def events_of(contract: Contract, view: RegisteredView) -> StoredTable:
    """The events: beside the offline table, under the source table's own name (§4)."""
    return _beside(contract, view, "")


def quarantine_of(contract: Contract, view: RegisteredView) -> StoredTable:
    """The events that were not admissible, beside the others."""
    return _beside(contract, view, "_quarantine")


@cache
def _engine() -> duckdb.DuckDBPyConnection:
    """For small questions: to start one takes longer than to answer most of them.

    It remembers no file, for one of the same name may be another by now.
    """
    return duckdb.connect(config={"enable_external_file_cache": False})


def _least(columns: tuple[str, ...]) -> str:
    # What is no instant of the years 1 to 9999 is not old, and Python cannot name it.
    finite = (
        f"""min("{column}") FILTER (WHERE "{column}" >= TIMESTAMPTZ '0001-01-01 00:00:00+00'
            AND "{column}" < TIMESTAMPTZ '10000-01-01 00:00:00+00')"""
        for column in columns
    )
    least = (f"CAST({minimum} AS TIMESTAMPTZ)" for minimum in finite)
    return f"SELECT least({', '.join(least)})"


def _beside(contract: Contract, view: RegisteredView, suffix: str) -> StoredTable:
    name = contract.source.systems[0].rpartition(".")[2] + suffix
    if view.warehouse:
        schema = view.source_path.rpartition(".")[0] or "public"
        return WarehouseTable(view.warehouse, f"{schema}.{name}")
    return ParquetTable(Path(view.source_path).with_name(f"{name}.parquet"))
