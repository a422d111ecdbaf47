"""The operations log: one table in which every job leaves a record, and which the checks read.

SQLite beside the data by default; any database SQLAlchemy knows where the environment's
`FEATURE_STORE_OPERATIONS_LOG` names one. Records are only ever added; retention and erasure (§9),
and a step back from a time to come, alone revise them. What each job writes under `figures` is told
in docs/operations.md.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    DateTime,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
    delete,
    insert,
    inspect,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import TypeDecorator

from postgres_limits import limit_sqlalchemy

ADDRESS_VARIABLE = "FEATURE_STORE_OPERATIONS_LOG"


class _Instant(TypeDecorator[datetime]):
    """An instant, to the microsecond; naive UTC where the database knows no zones."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Any) -> Any:
        zoned = dialect.name == "postgresql"
        return dialect.type_descriptor(TIMESTAMP(timezone=True) if zoned else DateTime())

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a record's time must carry a zone: a naive time names no instant")
        utc = value.astimezone(UTC)
        return utc if dialect.name == "postgresql" else utc.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


TABLES = MetaData()
"""The one table of the log; whoever provisions a database makes it there."""
_OPERATIONS = Table(
    "operations",
    TABLES,
    Column("id", Integer, primary_key=True),
    Column("job", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("at", _Instant, nullable=False),
    Column("passed", Boolean, nullable=False),
    Column("seconds", Float),
    Column("figures", JSON, nullable=False),
    Index("operations_by_time", "at"),
)


@dataclass(frozen=True)
class Record:
    """One run of one job."""

    job: str
    """The job's name, such as `refresh`, `backfill`, `promotion`."""
    subject: str
    """What it was about: a feature view, or an upstream job's name."""
    at: datetime
    """The instant it ran as of."""
    passed: bool
    seconds: float | None = None
    figures: Mapping[str, Any] = field(default_factory=dict)
    """What it counted and measured; anything JSON holds."""

    @property
    def completed(self) -> bool:
        """Whether it came to a result, passed or not; a run that was cut short left its error."""
        return "error" not in self.figures


class OperationsLog:
    """The log at a SQLAlchemy address; the table is made when first written to."""

    def __init__(self, address: str) -> None:
        limit_sqlalchemy()
        self._engine = create_engine(address)

    def is_begun(self) -> bool:
        """Whether anything was ever written to it; a mere look makes no file."""
        file = self._engine.url.database
        if self._engine.dialect.name == "sqlite" and file and not Path(file).is_file():
            return False
        return inspect(self._engine).has_table(_OPERATIONS.name)

    def append(self, *records: Record) -> None:
        """Add records, all of them or none."""
        self._make()
        with self._engine.begin() as connection:
            connection.execute(insert(_OPERATIONS), [_row(record) for record in records])
        self._engine.dispose()

    def _make(self) -> None:
        try:
            TABLES.create_all(self._engine)
        except DBAPIError:  # another process may have made it since this one looked
            if not inspect(self._engine).has_table(_OPERATIONS.name):
                raise

    def records(self, until: datetime, jobs: Iterable[str] = ()) -> tuple[Record, ...]:
        """The records up to a time, oldest first; of those jobs alone where any are named."""
        if not inspect(self._engine).has_table(_OPERATIONS.name):
            return ()
        columns = [column for column in _OPERATIONS.columns if column.name != "id"]
        query = select(*columns).where(_OPERATIONS.c.at <= until)
        if named := tuple(jobs):
            query = query.where(_OPERATIONS.c.job.in_(named))
        with self._engine.connect() as connection:
            rows = connection.execute(query.order_by(_OPERATIONS.c.at, _OPERATIONS.c.id)).all()
        self._engine.dispose()
        return tuple(Record(**row._mapping) for row in rows)

    def revise(self, revised: Callable[[Record], Record | None]) -> int:
        """Put each record's revision in its place, or nothing; says how many were another.

        All of them or none. What SQLite gives up is overwritten, not only unlinked.
        """
        if not inspect(self._engine).has_table(_OPERATIONS.name):
            return 0
        changed = 0
        with self._engine.begin() as connection:
            if self._engine.dialect.name == "sqlite":
                connection.exec_driver_sql("PRAGMA secure_delete = ON")
            for row in connection.execute(select(_OPERATIONS)).all():
                found = Record(**{k: v for k, v in row._mapping.items() if k != "id"})
                record, this = revised(found), _OPERATIONS.c.id == row.id
                if record is None:
                    connection.execute(delete(_OPERATIONS).where(this))
                elif record != found:
                    connection.execute(update(_OPERATIONS).where(this).values(_row(record)))
                changed += record != found
        self._engine.dispose()
        return changed


def address_of(repository: Path, environment: Mapping[str, str]) -> str:
    """Where the repository's log lies: the environment's address, or SQLite in `data/`."""
    file = repository.resolve() / "data" / "operations.db"
    return environment.get(ADDRESS_VARIABLE) or f"sqlite:///{file}"


def _row(record: Record) -> dict[str, Any]:
    return {
        "job": record.job,
        "subject": record.subject,
        "at": record.at,
        "passed": record.passed,
        "seconds": record.seconds,
        "figures": dict(record.figures),
    }
